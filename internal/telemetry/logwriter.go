package telemetry

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// The room between a log and its sink: what does not fit is dropped.
const (
	maxWaitingLines = 8192
	maxWaitingBytes = 8 << 20
	maxBatchBytes   = 64 << 10 // lines that are written in one go
)

// errLogStuck says that lines were lost at the end.
var errLogStuck = errors.New("the log did not take its last lines in time")

// LogWriter stands between a log and its sink: a write never waits for the sink. While
// that is slow, lines wait in memory; when that is full, they are dropped and counted:
// an order is worth more than the line about it. A sink that fails loses what it was
// given, which counts as dropped too.
type LogWriter struct {
	sink    io.Writer
	waiting atomic.Int64 // bytes
	dropped atomic.Uint64
	ended   chan struct{} // closed when everything is written, after Close

	mu     sync.RWMutex // of lines: nothing is sent once it is closed
	closed bool
	lines  chan []byte
}

// NewLogWriter makes a writer and starts its goroutine, which Close ends.
func NewLogWriter(sink io.Writer) *LogWriter {
	w := &LogWriter{sink: sink, lines: make(chan []byte, maxWaitingLines), ended: make(chan struct{})}
	go w.drain()
	return w
}

// Write takes one line, which it copies. It never fails and never waits.
func (w *LogWriter) Write(line []byte) (int, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed || w.waiting.Add(int64(len(line))) > maxWaitingBytes {
		w.drop(line)
		return len(line), nil
	}
	select {
	case w.lines <- bytes.Clone(line):
	default:
		w.drop(line)
	}
	return len(line), nil
}

// drop forgets a line. One that came after Close has not been waiting.
func (w *LogWriter) drop(line []byte) {
	if !w.closed {
		w.waiting.Add(-int64(len(line)))
	}
	w.dropped.Add(1)
}

// Dropped is how many lines the sink never got. A nil *LogWriter drops none.
func (w *LogWriter) Dropped() uint64 {
	if w == nil {
		return 0
	}
	return w.dropped.Load()
}

// Close takes no more lines and returns when those that wait are written, or, with an
// error, after the timeout. A sink that blocks for good keeps the goroutine: nothing in
// Go can take a blocked write back.
func (w *LogWriter) Close(timeout time.Duration) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.lines)
	}
	w.mu.Unlock()
	select {
	case <-w.ended:
		return nil
	case <-time.After(timeout):
		return errLogStuck
	}
}

// drain writes what waits, as many lines at once as there are.
func (w *LogWriter) drain() {
	defer close(w.ended)
	var batch bytes.Buffer
	for line := range w.lines {
		batch.Reset()
		n := uint64(1)
		batch.Write(line)
	more:
		for batch.Len() < maxBatchBytes {
			select {
			case line, ok := <-w.lines:
				if !ok {
					break more
				}
				batch.Write(line)
				n++
			default:
				break more
			}
		}
		if _, err := w.sink.Write(batch.Bytes()); err != nil {
			w.dropped.Add(n)
		}
		w.waiting.Add(-int64(batch.Len()))
	}
}
