package mq

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Suspend lets no new handler begin, until Resume, and returns when those that run
// have ended, or when ctx ends: then the error says that handlers are still running,
// and the consumer is suspended all the same. Messages wait on the broker, some of
// them here. It may be called at any time, also before Start, and again.
//
// The client library's own way stops only the fetching of messages, looks at that
// every 30 seconds, and is a data race.
func (c *Consumer) Suspend(ctx context.Context) error { return c.pause.suspend(ctx) }

// Resume lets handlers begin again, at once. It does nothing to a consumer that is
// not suspended.
func (c *Consumer) Resume() { c.pause.resume() }

// pause counts the handlers that run, and keeps new ones waiting while it is
// suspended.
type pause struct {
	mu        sync.Mutex
	running   int
	suspended bool
	resumed   chan struct{} // closed by resume; of the current or last suspension
	idle      chan struct{} // closed when no handler runs any more; likewise
}

func newPause() *pause { return &pause{} }

// begin counts a handler in. While suspended it waits, and says no if stop is
// closed or late comes first.
func (p *pause) begin(stop <-chan struct{}, late <-chan time.Time) bool {
	for {
		p.mu.Lock()
		if !p.suspended {
			p.running++
			p.mu.Unlock()
			return true
		}
		resumed := p.resumed
		p.mu.Unlock()
		select {
		case <-resumed:
		case <-stop:
			return false
		case <-late:
			return false
		}
	}
}

func (p *pause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if p.suspended && p.running == 0 {
		close(p.idle)
	}
}

func (p *pause) suspend(ctx context.Context) error {
	p.mu.Lock()
	if !p.suspended {
		p.suspended, p.resumed, p.idle = true, make(chan struct{}), make(chan struct{})
		if p.running == 0 {
			close(p.idle)
		}
	}
	idle, resumed := p.idle, p.resumed
	p.mu.Unlock()
	if isClosed(idle) { // select would toss a coin
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-resumed:
		return errors.New("resumed while handlers were still running")
	case <-ctx.Done():
		return errors.Join(errors.New("handlers are still running"), ctx.Err())
	}
}

func (p *pause) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.suspended {
		p.suspended = false
		close(p.resumed)
	}
}
