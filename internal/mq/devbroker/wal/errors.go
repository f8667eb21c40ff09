package wal

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is what Append and Rewrite return after Close.
	ErrClosed = errors.New("the log is closed")
	// ErrLocked means that another process, or another Log of this one, has the
	// directory open.
	ErrLocked = errors.New("in use by another process")
	// ErrTooLarge means that a record is longer than MaxRecord.
	ErrTooLarge = errors.New("record too large")
)

// CorruptError says that bytes are not what was written there, although they had
// been safely on disk. Open returns it and changes nothing.
type CorruptError struct {
	File   string // the damaged file's path
	Offset int64  // where in the file what is not understood begins
	Reason string // what is wrong there
}

// Error names the file, the place and what is wrong there.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is corrupt at byte %d: %s", e.File, e.Offset, e.Reason)
}
