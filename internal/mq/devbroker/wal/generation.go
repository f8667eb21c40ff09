package wal

import "errors"

// generation is a log's files between two rewrites. It has one user at a time.
type generation struct {
	dir    directory
	number uint64
	limit  int64 // of a segment's size
	last   *segment
	full   int64 // bytes of the segments before the last
}

// createGeneration begins a generation that nobody reads before the
// file current names it.
func createGeneration(d directory, number uint64, limit int64) (*generation, error) {
	first, err := createSegment(d, number, 1)
	if err != nil {
		return nil, err
	}
	return &generation{dir: d, number: number, limit: limit, last: first}, nil
}

// write writes a batch; see segment.write.
func (g *generation) write(batch []byte) error {
	if size := g.last.size.Load(); size >= g.limit && size > headerSize {
		if err := g.roll(); err != nil {
			return err
		}
	}
	return g.last.write(batch)
}

// roll begins the next segment. The one before is on disk by then, whatever the
// mode: so only the last segment can be torn.
func (g *generation) roll() error {
	if err := g.last.sync(); err != nil {
		return err
	}
	next, err := createSegment(g.dir, g.number, g.last.sequence+1)
	if err != nil {
		return err
	}
	before := g.last
	g.full += before.size.Load()
	g.last = next
	return before.close()
}

// size is how many bytes all segments have.
func (g *generation) size() int64 { return g.full + g.last.size.Load() }

// drop deletes the generation, which nobody reads any more. What cannot be
// deleted now is when the directory is opened again.
func (g *generation) drop() error {
	errs := []error{g.last.close()}
	for sequence := uint64(1); sequence <= g.last.sequence; sequence++ {
		errs = append(errs, g.dir.Remove(segmentName(g.number, sequence)))
	}
	return errors.Join(errs...)
}
