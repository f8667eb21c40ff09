package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/internal/telemetry/telemetrytest"
)

// gated is a sink that blocks until it is opened.
type gated struct {
	open chan struct{}
	mu   sync.Mutex
	text bytes.Buffer
	err  error
}

func (g *gated) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	return g.text.Write(p)
}

func TestLogWriterWritesEveryLineInOrder(t *testing.T) {
	sink := &gated{open: make(chan struct{})}
	close(sink.open)
	w := NewLogWriter(sink)
	log := NewLogger(w, JSON, slog.LevelInfo)
	const lines = 3000
	for i := range lines {
		log.Info("line", "n", i)
	}
	if err := w.Close(time.Minute); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(sink.text.String()), "\n")
	if len(got) != lines || w.Dropped() != 0 {
		t.Fatalf("%d lines, %d dropped", len(got), w.Dropped())
	}
	for i, text := range got {
		if !strings.HasSuffix(text, fmt.Sprintf(`"n":%d}`, i)) {
			t.Fatalf("line %d is %s", i, text)
		}
	}
}

// A sink that blocks for good: everybody who logs goes on, what does not fit is
// counted, and the end comes all the same.
func TestLogWriterNeverWaitsForItsSink(t *testing.T) {
	sink := &gated{open: make(chan struct{})}
	defer close(sink.open) // the goroutine of the writer ends then
	w := NewLogWriter(sink)
	registry := NewRegistry(w)
	log := NewLogger(w, JSON, slog.LevelInfo)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for range 2 * maxWaitingLines {
			log.Info("an order was placed")
		}
	}()
	select {
	case <-finished:
	case <-time.After(30 * time.Second):
		t.Fatal("logging waits for the sink")
	}
	if got := telemetrytest.Value(t, registry, "log_lines_dropped_total"); got < maxWaitingLines/2 {
		t.Errorf("%v lines are counted as dropped", got)
	}
	if err := w.Close(10 * time.Millisecond); err == nil {
		t.Error("Close says that all is written")
	}
	before := w.Dropped()
	log.Info("after the end")
	if w.Dropped() != before+1 {
		t.Error("a line after the end is not counted")
	}
}

// Few long lines fill the memory as well as many short ones.
func TestLogWriterIsBoundedInBytes(t *testing.T) {
	sink := &gated{open: make(chan struct{})}
	w := NewLogWriter(sink)
	line := bytes.Repeat([]byte("x"), 1<<20)
	for range 20 {
		if n, err := w.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if d := w.Dropped(); d < 20-maxWaitingBytes>>20 || d > 13 {
		t.Errorf("%d of 20 lines of 1 MiB are dropped", d)
	}
	close(sink.open)
	if err := w.Close(time.Minute); err != nil {
		t.Error(err)
	}
}

func TestLogWriterCountsWhatItsSinkRefuses(t *testing.T) {
	sink := &gated{open: make(chan struct{}), err: errors.New("disk full")}
	w := NewLogWriter(sink)
	for range 5 {
		_, _ = w.Write([]byte("line\n"))
	}
	close(sink.open)
	if err := w.Close(time.Minute); err != nil || w.Dropped() != 5 {
		t.Errorf("%d dropped, %v", w.Dropped(), err)
	}
}

// A line is the writer's own: slog uses its buffer again.
func TestLogWriterCopiesLines(t *testing.T) {
	sink := &gated{open: make(chan struct{})}
	w := NewLogWriter(sink)
	line := []byte("first\n")
	_, _ = w.Write(line)
	copy(line, "XXXXX")
	close(sink.open)
	if err := w.Close(time.Minute); err != nil || sink.text.String() != "first\n" {
		t.Errorf("%q, %v", sink.text.String(), err)
	}
}
