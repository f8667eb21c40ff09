// Package lifecycle starts the parts of a service, keeps it running, and stops it
// in the reverse order. Both services use it:
//
//	start   the server listens at once, but its health is red
//	        the schema is checked; a database that is down is waited for
//	        producers, consumers and background tasks start, all at once
//	run     until the context ends (SIGTERM) or something fails for good
//	stop    health turns red, running calls finish
//	        background tasks end
//	        consumers let their handlers finish
//	        producers close
//
// The database is closed by its owner afterwards. Every goroutine is waited for.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"orderflow/internal/server"
)

// Server answers calls; *server.Server is one.
type Server interface {
	Serve() error
	Stop(ctx context.Context) error
}

// Client is a producer or a consumer.
type Client interface {
	// Start returns when it works, and tries until then.
	Start(ctx context.Context) error
	// Ready is nil while it works.
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
	Consumers []Part // stopped before the producers, which their handlers use
	Tasks     []Task
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
	var serving, working sync.WaitGroup
	serving.Go(func() { report(failed, srv.Serve()) })
	working.Go(func() { report(failed, p.work(work)) })

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
	working.Wait()
	stopped = errors.Join(stopped, stopAll(drain, p.Consumers), stopAll(drain, p.Producers))
	serving.Wait()
	if failure == nil && stopped == nil {
		p.Log.Info("stopped")
	}
	return errors.Join(failure, stopped)
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
	for _, parts := range [][]Part{p.Producers, p.Consumers} {
		for _, part := range parts {
			all.Go(func() error {
				if err := part.Start(workCtx); err != nil {
					return fmt.Errorf("start %s: %w", part.Name, err)
				}
				return nil
			})
		}
	}
	if p.Config != nil {
		all.Go(func() error { return p.Config.wait(workCtx) })
	}
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
