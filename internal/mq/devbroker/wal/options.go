package wal

import (
	"fmt"
	"log/slog"
	"time"
)

// Fsync says what a record must have survived when Wait returns.
type Fsync int

// What Wait waits for. A power loss takes what is not on disk; the end of the
// process, SIGKILL included, takes only what was not written.
const (
	// Always waits until the record is on disk. All records that are appended
	// while the disk is busy share its next fdatasync.
	Always Fsync = iota
	// Interval waits until the record is written; what is written is put on
	// disk every Options.Interval, and nobody waits for that.
	Interval
	// Never waits until the record is written and leaves the rest to the
	// operating system, except where a segment ends and when the log is closed.
	Never
)

const (
	defaultInterval    = time.Second
	defaultSegmentSize = 64 << 20
)

// Options of a log; the zero value is a good one.
type Options struct {
	// Fsync is what Wait promises; Always by default.
	Fsync Fsync
	// Interval is the time between two syncs under Fsync Interval; 0 means 1 s.
	Interval time.Duration
	// SegmentSize is how many bytes a file may have before the next one is
	// begun; what is written at once stays together, so a file may be longer by
	// that. 0 means 64 MiB.
	SegmentSize int64
	// Logger gets what recovery did; slog.Default if nil.
	Logger *slog.Logger
}

// complete fills in what is left out.
func (o Options) complete() (Options, error) {
	switch {
	case o.Fsync < Always || o.Fsync > Never:
		return o, fmt.Errorf("fsync: there is no mode %d", o.Fsync)
	case o.Interval < 0:
		return o, fmt.Errorf("interval: %v is negative", o.Interval)
	case o.SegmentSize < 0:
		return o, fmt.Errorf("segment size: %d is negative", o.SegmentSize)
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegmentSize
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}
