package wal

import (
	"errors"
	"fmt"
)

// rewriteBatch is how many bytes Rewrite writes at once.
const rewriteBatch = 1 << 20

// Rewrite replaces the whole log by the records that the function yields, in
// that order; Size is what they take then. They are on disk when Rewrite returns,
// whatever the mode. A crash at any moment leaves the old log or the new one,
// never parts of both.
//
// The caller must not append while Rewrite runs, which holds for the function
// too, and the function must not wait for a position. yield copies the record;
// when it returns an error the function should return it, and Rewrite fails even
// if it does not. After an error the old log is there and goes on, unless the
// error came from the switch itself: then nobody knows which of the two the next
// Open finds, and the log has failed.
func (l *Log) Rewrite(records func(yield func(record []byte) error) error) error {
	l.mu.Lock()
	last := l.appended
	l.mu.Unlock()
	if err := l.Wait(last); err != nil { // whoever waits for the old records has been told
		return err
	}
	l.files.Lock()
	defer l.files.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return ErrClosed
	}
	l.attempts++ // what is left of a failed attempt must not mix with the next
	next, err := l.build(l.attempts, records)
	if err != nil {
		return fmt.Errorf("rewrite the log: %w", err)
	}
	if err := reveal(l.dir, currentName); err != nil {
		l.fail(fmt.Errorf("switch to generation %d: %w", next.number, err))
		return errors.Join(l.failure(), next.last.close())
	}
	before := l.gen
	l.gen = next
	l.size.Store(next.size())
	if err := before.drop(); err != nil {
		l.options.Logger.Warn("log: delete what was rewritten", "generation", before.number, "error", err)
	}
	return nil
}

// build writes a generation, and the file that will make it the current one, and
// puts both on disk. If it cannot, nothing is left.
func (l *Log) build(number uint64, records func(yield func(record []byte) error) error) (*generation, error) {
	g, err := createGeneration(l.dir, number, l.options.SegmentSize)
	if err != nil {
		return nil, err
	}
	b := builder{gen: g, batch: make([]byte, markSize, rewriteBatch)}
	err = records(b.add)
	if b.err != nil {
		err = b.err
	}
	if err == nil {
		err = b.finish()
	}
	if err == nil {
		err = prepare(l.dir, currentName, currentFile(number))
	}
	if err != nil {
		if dropped := g.drop(); dropped != nil {
			l.options.Logger.Warn("log: delete what was not finished", "generation", number, "error", dropped)
		}
		return nil, err
	}
	return g, nil
}

// builder fills a generation.
type builder struct {
	gen   *generation
	batch []byte
	err   error
}

func (b *builder) add(record []byte) error {
	if b.err == nil && len(record) > MaxRecord {
		b.err = fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrTooLarge, len(record), MaxRecord)
	}
	if b.err != nil {
		return b.err
	}
	if len(b.batch) > markSize && len(b.batch)+len(record) > rewriteBatch {
		b.flush()
	}
	b.batch = appendFrame(b.batch, kindRecord, record)
	return b.err
}

func (b *builder) flush() {
	b.err = b.gen.write(b.batch)
	b.batch = b.batch[:markSize]
}

func (b *builder) finish() error {
	if b.flush(); b.err != nil {
		return b.err
	}
	return b.gen.last.seal()
}
