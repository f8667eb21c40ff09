// Package lifecycle starts the parts of a service, keeps it running, and stops it
// in the reverse order. Both services use it:
//
//	start   the server listens at once, but its health is red
//	        the schema is checked; a database that is down is waited for
//	        background tasks and producers start
//	        consumers and the tasks that send start once every producer works
//	        those in the background start when they can
//	run     until the context ends (SIGTERM) or something fails for good
//	stop    health turns red, running calls finish
//	        background tasks end
//	        consumers let their handlers finish
//	        producers close
//
// The database is closed by its owner afterwards.
//
// All of the stop shares the drain timeout. Run waits so long, and a short grace,
// for Serve, for clients that still start and for tasks, and leaves behind what has
// not ended by then, which is an error. For the Stop of the server and the clients it
// waits without a bound of its own: they are to return soon after their context.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"orderflow/internal/server"
)

// Server answers calls; *server.Server is one.
type Server interface {
	// Serve returns when Stop has been called, or with the error that ends it.
	Serve() error
	Stop(ctx context.Context) error
}

// Client is a producer or a consumer.
type Client interface {
	// Start returns when it works, and tries until then.
	Start(ctx context.Context) error
	// Ready is nil from a Start that has succeeded to Stop. It does not ask the
	// broker: one that is down meanwhile does not show here.
	Ready() error
	// Stop lets what is under way finish, until ctx ends.
	Stop(ctx context.Context) error
}

// Part is a client and its name in readiness and log.
type Part struct {
	Name string
	Client
}

// Task is what a service does beside answering, until its context ends.
type Task func(ctx context.Context)

// Plan is what a service consists of.
type Plan struct {
	Log          *slog.Logger
	DrainTimeout time.Duration // for all of the stop

	Schema    *Gate  // passed before anything else of the plan starts
	Config    *Gate  // passed once the broker has been asked; may be nil
	Producers []Part // stopped last
	Consumers []Part // started after, and stopped before the producers, which their handlers use
	// Background are more consumers, of what may never come. They are no part of
	// readiness, and nothing waits for their start.
	Background []Part
	Tasks      []Task
	Senders    []Task // those that send, and begin once every producer works
}

// Checks are the readiness checks of the plan's parts.
func (p *Plan) Checks() []server.Check {
	checks := []server.Check{p.Schema.check()}
	if p.Config != nil {
		checks = append(checks, p.Config.check())
	}
	for _, parts := range [][]Part{p.Producers, p.Consumers} {
		for _, part := range parts {
			checks = append(checks, server.Check{
				Name:  part.Name,
				Probe: func(context.Context) error { return part.Ready() },
			})
		}
	}
	return checks
}

// Run runs the service until ctx ends, which is the normal end and no error, or
// until something fails for good, and stops it.
func (p *Plan) Run(ctx context.Context, srv Server) error {
	work, endWork := context.WithCancel(ctx)
	defer endWork()
	failed := make(chan error, 2)
	serving := background(func() { report(failed, srv.Serve()) })
	working := background(func() { report(failed, p.work(work)) })

	var failure error
	select {
	case <-ctx.Done():
		p.Log.Info("stopping: running calls and handlers may finish", "within", p.DrainTimeout)
	case failure = <-failed:
		p.Log.Error("stopping because of a failure", "error", failure)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.DrainTimeout)
	defer cancel()
	stopped := srv.Stop(drain)
	endWork()
	stopped = errors.Join(stopped,
		await(drain, working, "a client that starts, or a task,"),
		stopAll(drain, slices.Concat(p.Consumers, p.Background)), stopAll(drain, p.Producers),
		await(drain, serving, "the server"))
	if failure == nil && stopped == nil {
		p.Log.Info("stopped")
	}
	return errors.Join(failure, stopped)
}

// endGrace is how long what has been told to end may take when the drain time is
// over: something else may have used it up.
const endGrace = time.Second

// background runs f; the channel is closed when it has returned.
func background(f func()) <-chan struct{} {
	ended := make(chan struct{})
	go func() { defer close(ended); f() }()
	return ended
}

// await waits for the end of what, within ctx and the grace. The library's part of
// a client's start, for one, cannot be cancelled and takes up to 24 seconds.
func await(ctx context.Context, ended <-chan struct{}, what string) error {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return nil
	case <-time.After(endGrace):
		return fmt.Errorf("%s did not end within the drain timeout", what)
	}
}

func report(failed chan<- error, err error) {
	if err != nil {
		failed <- err
	}
}

// work starts everything and runs the tasks. It returns when ctx has ended, which
// is no error, or with the first failure.
func (p *Plan) work(ctx context.Context) error {
	if err := p.Schema.wait(ctx); err != nil {
		return unlessEnded(ctx, err)
	}
	all, workCtx := errgroup.WithContext(ctx)
	all.Go(func() error {
		if err := startAll(workCtx, p.Producers); err != nil {
			return err
		}
		for _, task := range p.Senders {
			all.Go(func() error { task(workCtx); return nil })
		}
		return startAll(workCtx, p.Consumers)
	})
	if p.Config != nil {
		all.Go(func() error { return p.Config.wait(workCtx) })
	}
	all.Go(func() error { return startAll(workCtx, p.Background) })
	for _, task := range p.Tasks {
		all.Go(func() error { task(workCtx); return nil })
	}
	return unlessEnded(ctx, all.Wait())
}

// unlessEnded drops the error of what was cut short because the service stops.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// startAll starts parts side by side, and returns when all of them work or, with
// the first failure, when all of them have returned.
func startAll(ctx context.Context, parts []Part) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		all.Go(func() error {
			if err := part.Start(ctx); err != nil {
				return fmt.Errorf("start %s: %w", part.Name, err)
			}
			return nil
		})
	}
	return all.Wait()
}

// stopAll stops parts side by side: they share the time that is left.
func stopAll(ctx context.Context, parts []Part) error {
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			if err := part.Stop(ctx); err != nil {
				errs[i] = fmt.Errorf("stop %s: %w", part.Name, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
