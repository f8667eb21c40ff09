package mq

import (
	"context"
	"errors"
	"time"
)

// shutdownGrace is what the library gets to let go when the caller's time is
// over already: enough where the broker answers.
const shutdownGrace = 500 * time.Millisecond

// shutDown runs f, and gives up when ctx has ended and the grace is over: to say
// good-bye the library dials brokers that may be gone, for 15 seconds each, and
// asks nobody how long it may. f then goes on alone, until these dials end.
func shutDown(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- guarded(f) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(shutdownGrace):
		return errors.Join(errors.New("the client library was still shutting down"), ctx.Err())
	}
}
