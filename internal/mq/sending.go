package mq

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"orderflow/internal/mq/message"
)

// maxInFlight bounds the sends that are under way at once, those included whose
// callers have given up: the library goes on for up to 12 seconds, or 24 while
// it looks for a route.
const maxInFlight = 256

// sendRetries is how often the library repeats a failed attempt of 3 seconds.
// Callers wait about 5 seconds at the most, so one repetition is all that can
// still reach anybody.
const sendRetries = 1

// sending is the set of sends that are under way. It turns no new one in when it
// is closing, and waits for the rest.
type sending struct {
	slots chan struct{}

	mu      sync.Mutex
	closed  bool
	pending sync.WaitGroup
}

func newSending() *sending { return &sending{slots: make(chan struct{}, maxInFlight)} }

// run calls send on a goroutine of its own and waits for it, or for ctx: the
// library does not keep to a deadline by itself. If ctx ends first, run returns
// at once with its error and send's result is thrown away; drain still waits for
// it.
func (s *sending) run(ctx context.Context, send func() error) error {
	done := make(chan error, 1)
	if err := s.start(ctx, func() { done <- guarded(send) }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return noAnswer(ctx)
	}
}

// noAnswer is the error of a send that goes on without its caller.
func noAnswer(ctx context.Context) error {
	return fmt.Errorf("%w: no answer in time: %w", message.ErrUnavailable, ctx.Err())
}

// start runs f on a goroutine that drain waits for.
func (s *sending) start(ctx context.Context, f func()) error {
	return s.startThen(ctx, f, func() {})
}

// startThen runs f as start does, and then, on the same goroutine, after: drain
// waits for it, too, but it takes up no slot and may send.
func (s *sending) startThen(ctx context.Context, f, after func()) error {
	if ctx.Err() != nil { // select would toss a coin
		return fmt.Errorf("%w: %w: no time left: %w", message.ErrNotSent, message.ErrUnavailable, ctx.Err())
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w: too many sends are under way: %w", message.ErrNotSent, message.ErrUnavailable, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		<-s.slots
		return fmt.Errorf("%w: %w: the producer is stopped", message.ErrNotSent, message.ErrUnavailable)
	}
	s.pending.Add(1)
	go func() {
		defer s.pending.Done()
		func() {
			defer func() { <-s.slots }()
			f()
		}()
		after()
	}()
	return nil
}

// guarded calls f and turns a panic into an error: the library dereferences what
// a broken answer lacks.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the client library panicked: %v", message.ErrUnavailable, p)
		}
	}()
	return f()
}

// drain turns new sends away and waits for those under way, or for ctx.
func (s *sending) drain(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	idle := make(chan struct{})
	go func() { // ends when the last send does, which the library bounds
		s.pending.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("sends were still under way"), ctx.Err())
	}
}
