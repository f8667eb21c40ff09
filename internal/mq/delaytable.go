package mq

import (
	"context"
	"fmt"
	"sync"
	"time"

	"orderflow/internal/mq/message"
)

const (
	// delayTableAge is how long the broker's table of delay levels is believed.
	// The table changes only when the broker restarts.
	delayTableAge = 30 * time.Second
	// delayTableRetry is the pause after the table could not be fetched again.
	delayTableRetry = time.Second
	// delayTableTimeout bounds a fetch, which no caller's deadline does.
	delayTableTimeout = 2 * time.Second
)

// delayTable is the broker's table of delay levels. It is fetched in the
// background, once at a time: only callers that come before there ever was a
// table wait for it, so that a name server that hangs holds up nobody else.
type delayTable struct {
	fetch func(context.Context) (DelayLevels, error)

	work     context.Context // ends with stop
	stopWork context.CancelFunc
	fetches  sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	levels  DelayLevels
	askNext time.Time      // when levels is to be fetched again; zero if it never was fetched
	running *delayFetching // nil if there is no fetch under way
}

// delayFetching is a fetch that is under way.
type delayFetching struct {
	done   chan struct{}
	levels DelayLevels // valid when done is closed, like err
	err    error
}

func newDelayTable(fetch func(context.Context) (DelayLevels, error)) *delayTable {
	work, stop := context.WithCancel(context.Background())
	return &delayTable{fetch: fetch, work: work, stopWork: stop}
}

// get returns the table; if it is old, the next caller gets a new one.
func (t *delayTable) get(ctx context.Context) (DelayLevels, error) {
	t.mu.Lock()
	levels, known := t.levels, !t.askNext.IsZero()
	if t.running == nil && !t.stopped && !time.Now().Before(t.askNext) {
		t.running = &delayFetching{done: make(chan struct{})}
		f := t.running
		t.fetches.Go(func() { t.run(f) })
	}
	running := t.running
	t.mu.Unlock()
	switch {
	case known: // even an old table is the best guess
		return levels, nil
	case running == nil:
		return levels, fmt.Errorf("%w: the producer is stopped", message.ErrUnavailable)
	}
	select {
	case <-running.done:
		return running.levels, running.err
	case <-ctx.Done():
		return levels, fmt.Errorf("%w: %w", message.ErrUnavailable, ctx.Err())
	}
}

func (t *delayTable) run(f *delayFetching) {
	ctx, cancel := context.WithTimeout(t.work, delayTableTimeout)
	defer cancel()
	f.levels, f.err = t.fetch(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case f.err == nil:
		t.levels, t.askNext = f.levels, time.Now().Add(delayTableAge)
	case !t.askNext.IsZero():
		t.askNext = time.Now().Add(delayTableRetry)
	}
	t.running = nil
	close(f.done)
}

// stop ends the fetch that is under way and waits for its end.
func (t *delayTable) stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.stopWork()
	t.fetches.Wait()
}
