// Package wal is a log on disk: records are appended, and are there again, in
// order and whole, when the log is opened the next time, whatever ended the
// process in between. It knows nothing of what a record means.
//
// Append puts a record into a buffer; one goroutine writes what has gathered
// there and syncs it; Wait waits for that. What Wait promises is Options.Fsync:
//
//	           write(2) is called     on disk (fdatasync)    Wait returns   outlives
//	Always     as soon as it can be   with each write        when on disk   a power loss
//	Interval   as soon as it can be   every second           when written   SIGKILL
//	Never      as soon as it can be   when a segment ends    when written   SIGKILL
//
// In every mode what there is gets on disk when a segment ends, and in Open,
// Rewrite and Close.
// "As soon as it can be" is when the write, or the sync, before it has returned;
// nobody needs to call Wait for it. In every mode records are written in the
// order of Append, and what is recovered is a prefix of them.
//
// # Files
//
//	lock                   locked while the log is open; empty
//	current                the number of the generation to read
//	GGGGGGGG-SSSSSSSS.log  a segment: generation and sequence number, decimal
//	*.tmp                  a file that is not complete; deleted by Open
//
// A generation is what there is between two calls of Rewrite, which writes the
// next one beside it and then switches by replacing current. Its segments are
// numbered from 1 without gaps; all but the last one are on disk to their end.
// Open begins a new segment and never adds to an old one. Segments of other
// generations are left over from a crash; Open deletes them. Files with other
// names are left alone.
//
// Numbers are big-endian. current has 24 bytes:
//
//	 0  8  "devgen\r\n"
//	 8  4  format version, 1
//	12  8  generation
//	20  4  CRC-32C of the 20 bytes before
//
// A segment is a header of 48 bytes and then frames, one behind the other:
//
//	 0  8  "devwal\r\n"
//	 8  4  format version, 1
//	12  8  generation
//	20  8  sequence number
//	28 16  identity: random, another one for each segment
//	44  4  CRC-32C of the 44 bytes before
//
// A frame:
//
//	0  4  kind in the upper 7 bits: 1 a record, 2 a mark; length of the payload in
//	      the lower 25
//	4  4  CRC-32C of identity, the 4 bytes before and the payload
//	8  n  payload
//
// No kind is 0, so zeros are no frame; and with the identity in the checksum,
// neither is a block of some other segment that the file system mixed in. The
// payload of a mark:
//
//	 0 16  identity
//	16  8  offset of the mark's frame in the file
//	24  8  offset below which everything was on disk before the mark was written
//
// The first batch that is written after a successful sync begins with a mark.
// Under Always that is every batch but the first of a segment.
//
// # Recovery
//
// A crash of the process leaves all that was written, and at most one write that
// was cut short. A loss of power leaves, of what was written after the last sync,
// any pages in any combination; where the others should be, the file ends or has
// zeros or garbage. So a bad record with good ones behind it can be either, torn
// or damaged, and nothing in those bytes can tell: what tells is whether they
// had been on disk. That is what the marks are for. When something is not a whole
// frame with the right checksum:
//
//   - In a segment that is not the last, it is damage: the next segment was
//     begun when this one was on disk.
//   - In the last segment it is damage if any mark behind it says that it had
//     been on disk. Such marks are searched for by the identity in them, since it
//     is not known where frames begin; no content of a message can imitate one.
//   - Otherwise it is a torn tail. The file is cut there, good records behind it
//     included: no sync is known to have covered them, and what is recovered has
//     to be a prefix. Open waits until the cut is on disk and logs how many bytes
//     it took.
//   - A bad header, a segment that is missing and a bad current are damage: those
//     are on disk before anything depends on them, and have their names only when
//     they are.
//
// Damage is a *CorruptError; Open neither cuts nor repairs it, since acknowledged
// records would silently be gone. The way out is a copy, or another directory.
//
// What cannot be told from a torn tail, and is cut, is damage to what was written
// after the last mark: under Always to the last batch before a crash, under Never
// to all of the last segment before a crash. Close and Rewrite end with a sync
// and a mark, so after those nothing is cut but the mark itself. That the last
// segment has lost its end, and the marks there, cannot be told either.
//
// The rule is that of Pebble (format FormatWALSyncChunks, pull requests 4331 and
// 4336), which writes the synced offset into its chunks for the same reason.
// RocksDB cannot tell the two apart and has the operator choose (WALRecoveryMode;
// its pull request 6963 spells the dilemma out); etcd guesses by looking for
// sectors of zeros. Alagappan et al., "Protocol-Aware Recovery for Consensus-Based
// Storage" (FAST '18), section 3.3.3, has the general argument.
//
// A sync that fails is never tried again, because Linux drops what it could not
// write and reports it once: the log fails as a whole. The next Open would see
// those records in memory and take them for safe, so it writes what no mark
// vouches for once more before it syncs; see Rebello et al., "Can Applications
// Recover from fsync Failures?" (ATC '20).
//
// All this holds as far as the disk keeps what fdatasync returned for, and the
// file system does not lose a file that was synced together with its directory.
package wal
