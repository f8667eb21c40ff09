package devbroker

import (
	"bytes"
	"testing"

	"orderflow/internal/mq/devbroker/wal"
)

// What one request changes may be more than a record takes.
func TestChangesOfManyRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := RunT(t, WithDataDir(dir), WithFsync(wal.Never))
	b.mu.Lock()
	for range 300 {
		b.record(changeNoTopic, bytes.Repeat([]byte("x"), 128<<10))
	}
	if len(b.written) > maxRecord+(128<<10)+16 {
		t.Errorf("a record of %d bytes", len(b.written))
	}
	safe := b.writeRecord()
	b.mu.Unlock()
	if err := b.awaitSafe(safe); err != nil || safe != 2 {
		t.Errorf("written as %d records, %v", safe, err)
	}
	if err := b.Restart(); err != nil {
		t.Error(err)
	}
}
