package devbroker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// When the data folder cannot be written nobody is told of what is not in it, and a
// Restart begins with what is.
func TestFailure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := devbroker.RunT(t, devbroker.WithDataDir(dir), devbroker.WithAutoCreateTopics(true))
	p, other := dial(t, b), dial(t, b)
	p.store("orders", "safe")
	failed := b.Failed()
	select {
	case <-failed:
		t.Fatal("it has failed early")
	default:
	}
	if err := b.FailJournal(); err != nil {
		t.Fatal(err)
	}
	answers := p.ask(remoting.RequestSendMessage, sending("orders"), []byte("lost"))
	<-p.ended
	<-other.ended
	silent(t, answers)
	<-failed
	if err := b.Err(); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("Err is %v", err)
	}
	dial(t, b).refused(remoting.ResponseServiceNotAvailable, remoting.RequestSendMessage, sending("orders"), []byte("late"))
	b.Advance(2 * time.Hour) // old messages are due to be looked for
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-b.Failed():
		t.Error("it has failed again")
	default:
	}
	dial(t, b).store("orders", "next")
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"safe", "next"}) || b.Err() != nil {
		t.Errorf("got %q, Err is %v", got, b.Err())
	}
}

// What is gone from memory is some time later gone from the data folder, too, while
// the broker goes on.
func TestCompaction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, _ := startManual(t, devbroker.WithDataDir(dir), devbroker.WithFsync(wal.Never))
	p := dial(t, b)
	p.store("orders", "before")
	fillWithGarbage(t, b)
	b.Advance(time.Hour)
	if size := folderSize(t, dir); size > 1<<20 {
		t.Errorf("the journal has %d bytes", size)
	}
	p.store("orders", "after")
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("got %q", got)
	}
}
