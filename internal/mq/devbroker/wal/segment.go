package wal

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"sync/atomic"
)

const (
	segmentMagic  = "devwal\r\n"
	formatVersion = 1
	headerSize    = 48
	headerSum     = headerSize - 4
)

// segment is the last file of a generation, the one that is written to. write
// has one caller at a time; sync may run beside it.
type segment struct {
	name     string
	sequence uint64
	id       identity
	seed     uint32
	file     file

	size   atomic.Int64 // what has been written
	synced atomic.Int64 // what is on disk
	marked int64        // what the last mark says of that

	syncing sync.Mutex
	failed  error // of the first sync that failed
	closed  bool
}

// createSegment makes an empty segment. Its header is on disk before the file
// gets its name, so a segment with a bad header was damaged later.
func createSegment(d directory, generation, sequence uint64) (*segment, error) {
	s := &segment{name: segmentName(generation, sequence), sequence: sequence}
	_, _ = rand.Read(s.id[:]) // never fails: see its documentation
	s.seed = s.id.checksum()
	err := prepare(d, s.name, header(generation, sequence, s.id))
	if err == nil {
		err = reveal(d, s.name)
	}
	if err == nil {
		s.file, _, err = d.Open(s.name, os.O_RDWR)
	}
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	s.size.Store(headerSize)
	s.synced.Store(headerSize)
	s.marked = headerSize
	return s, nil
}

func header(generation, sequence uint64, id identity) []byte {
	b := append(make([]byte, 0, headerSize), segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, generation)
	b = binary.BigEndian.AppendUint64(b, sequence)
	b = append(b, id[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// parseHeader checks a segment's header against the file's name. The reason says
// what is wrong with it.
func parseHeader(b []byte, name string) (id identity, reason string) {
	if len(b) < headerSize || string(b[:8]) != segmentMagic ||
		crc32.Checksum(b[:headerSum], castagnoli) != binary.BigEndian.Uint32(b[headerSum:headerSize]) {
		return id, "not the header of a segment"
	}
	if version := binary.BigEndian.Uint32(b[8:]); version != formatVersion {
		return id, fmt.Sprintf("format %d, and this program knows %d only", version, formatVersion)
	}
	if is := segmentName(binary.BigEndian.Uint64(b[12:]), binary.BigEndian.Uint64(b[20:])); is != name {
		return id, "the header is that of " + is
	}
	return identity(b[28:headerSum]), ""
}

// write writes frames without checksums. Before them the batch has room for a
// mark, which is written if there is something new to say.
func (s *segment) write(batch []byte) error {
	size := s.size.Load()
	if synced := s.synced.Load(); synced > s.marked {
		putMark(batch, s.id, size, synced)
		s.marked = synced
	} else {
		batch = batch[markSize:]
	}
	sumFrames(batch, s.seed)
	n, err := s.file.WriteAt(batch, size)
	s.size.Add(int64(n))
	if err != nil {
		return fmt.Errorf("write %s: %w", s.name, err)
	}
	return nil
}

// sync puts on disk what has been written until now. After a failure it never
// tries again: the system has dropped what it could not write, and a second try
// would succeed without it.
func (s *segment) sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	size := s.size.Load()
	if s.failed != nil || s.closed || size == s.synced.Load() {
		return s.failed
	}
	if err := s.file.Sync(); err != nil {
		s.failed = fmt.Errorf("sync %s: %w", s.name, err)
		return s.failed
	}
	s.synced.Store(size)
	return nil
}

// seal puts everything on disk, and then a mark that says so: from there on even
// a damaged last record is known to be damaged, not torn.
func (s *segment) seal() error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := s.write(make([]byte, markSize)); err != nil {
		return err
	}
	return s.sync()
}

// close closes the file when no sync is under way.
func (s *segment) close() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.closed = true
	return s.file.Close()
}
