package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Bounds of the buffers between Append and the writer.
const (
	maxPending    = 8 << 20 // bytes that wait; beyond, Append waits for the writer
	initialBuffer = 4 << 10
)

// Position is a place in the order of appended records: the number of records
// that have been appended up to there since Open.
type Position uint64

// Log is an open log. It is safe for concurrent use, except that nothing may be
// appended during Rewrite. It owns up to two goroutines, which Close ends.
type Log struct {
	options Options
	dir     directory
	release func() error // gives the directory's lock back

	files    sync.Mutex // held while files are written or replaced; taken before mu
	gen      *generation
	attempts uint64 // the highest number that a generation has had
	size     atomic.Int64

	mu       sync.Mutex
	work     sync.Cond // for the writer: there is something to write, or an end
	room     sync.Cond // for appenders: the writer took what there was
	progress sync.Cond // for waiters: more is safe, or an end
	pending  []byte    // frames that wait for the writer, behind room for a mark
	spare    []byte    // the buffer that the writer does not use now
	appended Position
	safe     Position // up to here what Options.Fsync promises is true
	err      error    // why the log has failed
	closed   bool

	stop     chan struct{}
	running  sync.WaitGroup
	once     sync.Once
	closeErr error
}

// Open opens the log in a directory, which it makes if there is none, and locks
// it: if somebody else has it open, the error wraps ErrLocked. It calls replay
// for every whole record, in order; the slice is replay's to keep. A torn tail is
// cut, which the logger is told. If what is on disk is damaged instead, the error
// is a *CorruptError and nothing is changed, although replay has seen the records
// before the damage. An error of replay comes back wrapped and changes nothing
// either.
func Open(dir string, o Options, replay func(record []byte) error) (*Log, error) {
	if err := makeDirectory(dir); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	release, err := lockDirectory(dir)
	if err != nil {
		return nil, fmt.Errorf("open log: directory %s: %w", dir, err)
	}
	l, err := open(diskDirectory{dir}, o, replay)
	if err != nil {
		var corrupt *CorruptError
		if errors.As(err, &corrupt) {
			corrupt.File = filepath.Join(dir, corrupt.File)
		}
		return nil, errors.Join(fmt.Errorf("open log in %s: %w", dir, err), release())
	}
	l.release = release
	return l, nil
}

// open is Open in a directory that is there and locked.
func open(d directory, o Options, replay func(record []byte) error) (*Log, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	gen, err := recovery{dir: d, log: o.Logger, replay: replay}.run(o.SegmentSize)
	if err != nil {
		return nil, err
	}
	l := &Log{
		options: o, dir: d, release: func() error { return nil },
		gen: gen, attempts: gen.number,
		pending: emptyBuffer(), spare: emptyBuffer(),
		stop: make(chan struct{}),
	}
	l.work.L, l.room.L, l.progress.L = &l.mu, &l.mu, &l.mu
	l.size.Store(gen.size())
	l.running.Go(l.write)
	if o.Fsync == Interval {
		l.running.Go(l.syncEvery)
	}
	return l, nil
}

// emptyBuffer is a buffer with room for a mark, as segment.write wants it.
func emptyBuffer() []byte { return make([]byte, markSize, initialBuffer) }

// Append adds a record behind all others and copies it. It does not wait for the
// disk, unless 8 MiB wait there already; see Wait. The error wraps ErrTooLarge if
// the record is longer than MaxRecord, and then the log is as before; it is
// ErrClosed after Close. If a write or a sync failed, for which it need not have
// been this record's, it is that error from then on: what was not safe by then
// may be lost.
func (l *Log) Append(record []byte) (Position, error) {
	if len(record) > MaxRecord {
		return 0, fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrTooLarge, len(record), MaxRecord)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && !l.closed && len(l.pending) > markSize && len(l.pending)+len(record) > maxPending {
		l.room.Wait()
	}
	switch {
	case l.err != nil:
		return 0, l.err
	case l.closed:
		return 0, ErrClosed
	}
	if len(l.pending) == markSize {
		l.work.Signal()
	}
	l.pending = appendFrame(l.pending, kindRecord, record)
	l.appended++
	return l.appended, nil
}

// Wait waits until the record at the position, and all before it, are as safe as
// Options.Fsync promises: on disk under Always; under Interval and Never given to
// the operating system by write(2), so that they outlive this process but not a
// power loss. If the log has failed it returns why, even for records that were
// safe before.
func (l *Log) Wait(p Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p > l.appended {
		return fmt.Errorf("wait for position %d: only %d records were appended", p, l.appended)
	}
	for l.safe < p && l.err == nil {
		l.progress.Wait()
	}
	return l.err
}

// Size is how many bytes the log's files have. Records that still wait to be
// written are not in it.
func (l *Log) Size() int64 { return l.size.Load() }

// Close writes what was appended, puts everything on disk whatever the mode, and
// unlocks the directory. It returns the error that the log has failed with, if it
// has. Calls after the first return the same.
func (l *Log) Close() error {
	l.once.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	l.mu.Lock()
	l.closed = true
	l.work.Signal()
	l.room.Broadcast()
	l.mu.Unlock()
	close(l.stop)
	l.running.Wait()

	l.files.Lock()
	defer l.files.Unlock()
	err := l.failure()
	if err == nil {
		if err = l.gen.last.seal(); err != nil {
			l.fail(err)
		}
		l.size.Store(l.gen.size())
	}
	return errors.Join(err, l.gen.last.close(), l.release())
}

// fail makes all calls return the error from now on; the first one stays.
func (l *Log) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = fmt.Errorf("the log has failed: %w", err)
	l.work.Signal()
	l.room.Broadcast()
	l.progress.Broadcast()
}

func (l *Log) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
