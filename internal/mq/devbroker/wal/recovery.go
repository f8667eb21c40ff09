package wal

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// recovery reads what is in a directory and makes it fit to go on with. It
// changes nothing before it has read everything and found it good.
type recovery struct {
	dir    directory
	log    *slog.Logger
	replay func(record []byte) error
}

// extent is what there is of a segment.
type extent struct {
	id      identity
	size    int64 // of the file
	end     int64 // of its last whole frame
	vouched int64 // how far a mark says that it is on disk
	records int
}

// run replays the current generation and returns it with a new segment to write
// to. It never goes on in an old one, where blocks that the file system lost and
// found again could look like records of today.
func (r recovery) run(limit int64) (*generation, error) {
	names, err := r.dir.Names()
	if err != nil {
		return nil, err
	}
	number, err := currentGeneration(r.dir)
	if err != nil {
		return nil, err
	}
	if number == 0 {
		return r.begin(names, limit)
	}
	g := &generation{dir: r.dir, number: number, limit: limit}
	next, err := r.segments(g, segmentsOf(number, names))
	if err != nil {
		return nil, err
	}
	if err := r.discard(names, number); err != nil {
		return nil, err
	}
	g.last, err = createSegment(r.dir, number, next)
	return g, err
}

// begin makes the first generation. A crash may have left an earlier attempt,
// which has no records; if there are some, the directory is not new.
func (r recovery) begin(names []string, limit int64) (*generation, error) {
	for _, name := range names {
		if _, _, ok := parseSegmentName(name); !ok {
			continue
		}
		f, size, err := r.dir.Open(name, os.O_RDONLY)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return nil, err
		}
		if size > headerSize {
			return nil, &CorruptError{File: currentName, Reason: "missing, and " + name + " has records"}
		}
	}
	if err := r.discard(names, 0); err != nil {
		return nil, err
	}
	g, err := createGeneration(r.dir, 1, limit)
	if err == nil {
		err = prepare(r.dir, currentName, currentFile(g.number))
	}
	if err == nil {
		err = reveal(r.dir, currentName)
	}
	return g, err
}

// discard deletes what crashes left over.
func (r recovery) discard(names []string, current uint64) error {
	for _, name := range names {
		if !isLeftOver(name, current) {
			continue
		}
		if err := r.dir.Remove(name); err != nil {
			return fmt.Errorf("delete left-over: %w", err)
		}
		r.log.Debug("log: deleted a left-over file", "file", name)
	}
	return nil
}

// segments replays the segments and returns the number of the one to write to.
// One without records is replaced, or a program that crashes at its start would
// fill the disk with them.
func (r recovery) segments(g *generation, sequences []uint64) (next uint64, err error) {
	for i := range max(len(sequences), 1) {
		if want := uint64(i) + 1; len(sequences) == 0 || sequences[i] != want {
			return 0, &CorruptError{File: segmentName(g.number, want), Reason: "missing"}
		}
	}
	for i, sequence := range sequences {
		e, err := r.segment(segmentName(g.number, sequence), i == len(sequences)-1)
		if err != nil {
			return 0, err
		}
		if next = sequence; e.records > 0 {
			next++
			g.full += e.end
		}
	}
	return next, nil
}

// segment replays one segment. The last one is cut where it is torn, and what is
// kept of it is on disk when segment returns.
func (r recovery) segment(name string, last bool) (extent, error) {
	f, size, err := r.dir.Open(name, os.O_RDWR)
	if err != nil {
		return extent{}, err
	}
	e, err := r.read(f, name, size)
	if err == nil && e.end < e.size {
		err = checkTorn(f, name, e, last)
	}
	if err == nil && last {
		err = r.settle(f, name, e)
	}
	return e, errors.Join(err, f.Close())
}

// read replays records up to the first bytes that are none.
func (r recovery) read(f file, name string, size int64) (extent, error) {
	head := make([]byte, min(size, headerSize))
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(len(head))), head); err != nil {
		return extent{}, fmt.Errorf("read %s: %w", name, err)
	}
	id, reason := parseHeader(head, name)
	if reason != "" {
		return extent{}, &CorruptError{File: name, Reason: reason}
	}
	e := extent{id: id, size: size, vouched: headerSize}
	in := newScan(f, id, size)
	for {
		e.end = in.offset
		kind, payload, err := in.next()
		switch {
		case err == io.EOF || err == errNoFrame:
			return e, nil
		case err != nil:
			return e, fmt.Errorf("read %s: %w", name, err)
		}
		if kind == kindMark {
			synced, ok := parseMark(payload, id, e.end)
			if !ok {
				return e, nil
			}
			e.vouched = synced
			continue
		}
		if err := r.replay(payload); err != nil {
			return e, fmt.Errorf("replay %s at byte %d: %w", name, e.end, err)
		}
		e.records++
	}
}

// checkTorn finds out whether what follows a segment's last whole frame may be
// the trace of a crash. It is damage if it is followed by more segments, or by a
// mark that says it had been on disk.
func checkTorn(f file, name string, e extent, last bool) error {
	if !last {
		return &CorruptError{File: name, Offset: e.end, Reason: "not a record, and more segments follow"}
	}
	claimed, err := claimedBeyond(f, e.id, e.end, e.size)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if claimed {
		return &CorruptError{File: name, Offset: e.end, Reason: "not a record, and it had been on disk"}
	}
	return nil
}

// settle cuts the last segment where it is torn and puts the rest on disk. What
// no mark vouches for is written again first: if the process before this one
// ended because a sync had failed, the system shows what it could not write and
// believes that it is on disk.
func (r recovery) settle(f file, name string, e extent) error {
	if e.end < e.size {
		if err := f.Truncate(e.end); err != nil {
			return fmt.Errorf("cut %s: %w", name, err)
		}
		r.log.Warn("log: cut a torn tail", "file", name, "offset", e.end, "bytes", e.size-e.end)
	}
	buf := make([]byte, min(e.end-e.vouched, scanBuffer))
	for at := e.vouched; at < e.end; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), e.end-at)], at)
		if err == nil {
			_, err = f.WriteAt(buf[:n], at)
		}
		if err != nil {
			return fmt.Errorf("write %s again: %w", name, err)
		}
		at += int64(n)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", name, err)
	}
	return nil
}
