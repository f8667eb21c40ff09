package dev

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/internal/assembly"
	"orderflow/internal/process"
)

// app is a service that was put together.
type app interface {
	Run(ctx context.Context) error
	Addr() string
	AdminAddr() string
}

// service is one that runs. A nil service is one that does not.
type service struct {
	app   app
	drain context.CancelFunc
	ended chan struct{} // closed when it has
	err   error         // of Run; valid then
}

// readyPoll is how often a service is asked whether it is ready.
const readyPoll = 5 * time.Millisecond

// start puts a service together, runs it and waits until it is ready.
func start(ctx context.Context, host assembly.Host, assemble func(context.Context, assembly.Host) (app, func(), error)) (*service, error) {
	life, drain := context.WithCancel(context.WithoutCancel(ctx))
	assembled, cleanup, err := assemble(life, host)
	if err != nil {
		drain()
		return nil, err
	}
	s := &service{app: assembled, drain: drain, ended: make(chan struct{})}
	go func() { // ends with stop, or by itself
		defer close(s.ended)
		defer cleanup()
		s.err = assembled.Run(life)
	}()
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *service) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for !process.Ready(ctx, s.app.AdminAddr()) {
		select {
		case <-s.ended:
			return fmt.Errorf("it has ended: %w", s.err)
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w", ctx.Err())
		case <-ticker.C:
		}
	}
	return nil
}

// stop asks the service to drain, which has a time limit of its own, and waits for
// its end, or for ctx.
func (s *service) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.drain()
	select {
	case <-s.ended:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("a service did not end: %w", ctx.Err())
	}
}

// failed is closed when the service has ended; one that does not run never fails.
func (s *service) failed() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.ended
}

// failure is why the service has ended by itself.
func (s *service) failure(name string) error {
	return fmt.Errorf("%s has ended: %w", name, s.err)
}

func (s *service) addr() string {
	if s == nil {
		return ""
	}
	return s.app.Addr()
}

func (s *service) adminAddr() string {
	if s == nil {
		return ""
	}
	return s.app.AdminAddr()
}
