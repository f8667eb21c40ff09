package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Check is one thing that must hold before calls are welcome.
type Check struct {
	Name string // short and stable: operators see it at /readyz

	// Probe returns nil if it holds. It must return when ctx ends. Its error goes
	// to the log only.
	Probe func(ctx context.Context) error
}

// Readiness is a set of checks that are polled. Until all of them have passed,
// the service is not ready.
type Readiness struct {
	log      *slog.Logger
	interval time.Duration
	changed  func(ready bool) // told after each round; set by the server

	mu     sync.Mutex
	checks []*checkState
}

type checkState struct {
	Check
	ok     bool
	since  time.Time // when it was first asked
	logged time.Time // when its failure was last written to the log
}

const (
	// DefaultCheckInterval is the time between two rounds of checks.
	DefaultCheckInterval = 500 * time.Millisecond
	// checkTimeout bounds one check; one that takes longer has failed.
	checkTimeout = 2 * time.Second
	// startGrace is how long a check may fail at the start of the process before
	// that is worth a warning.
	startGrace = 2 * time.Second
	// remindAfter is how often the log repeats that a check still fails.
	remindAfter = 30 * time.Second
)

// errNotChecked is the state of a check before its first round.
var errNotChecked = errors.New("not checked yet")

// NewReadiness returns a set of checks that a Server polls each interval; 0 means
// DefaultCheckInterval. Without checks, the service is ready.
func NewReadiness(log *slog.Logger, interval time.Duration, checks ...Check) *Readiness {
	if interval <= 0 {
		interval = DefaultCheckInterval
	}
	r := &Readiness{log: log, interval: interval, changed: func(bool) {}}
	for _, c := range checks {
		r.checks = append(r.checks, &checkState{Check: c})
	}
	return r
}

// Failing lists the names of the checks that do not pass, sorted.
func (r *Readiness) Failing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, c := range r.checks {
		if !c.ok {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// run polls until ctx ends.
func (r *Readiness) run(ctx context.Context) {
	tick := time.NewTicker(r.interval)
	defer tick.Stop()
	for {
		r.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round runs all checks at once, so that a slow one does not delay the others.
func (r *Readiness) round(ctx context.Context) {
	var wg sync.WaitGroup
	for _, c := range r.checks {
		wg.Go(func() {
			err := probe(ctx, c.Probe)
			if ctx.Err() == nil { // else the process is ending, and the result says nothing
				r.record(c, err)
			}
		})
	}
	wg.Wait()
	r.changed(len(r.Failing()) == 0)
}

func probe(ctx context.Context, check func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("check panicked: %v", p)
		}
	}()
	return check(ctx)
}

// record keeps the result, and logs it when it has changed or when a failure has
// lasted for a while.
func (r *Readiness) record(c *checkState, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, now := c.ok, time.Now()
	c.ok = err == nil
	if c.since.IsZero() {
		c.since = now
	}
	switch {
	case err == nil && !was:
		r.log.Info("check passes", "check", c.Name)
	case err != nil && (was || now.Sub(c.since) >= startGrace && now.Sub(c.logged) >= remindAfter):
		c.logged = now
		r.log.Warn("check fails: the service is not ready", "check", c.Name, "error", err)
	}
}

// Every returns a probe that, once it has passed, asks again only after d: for
// what is costly to ask and seldom changes.
func Every(d time.Duration, probe func(ctx context.Context) error) func(ctx context.Context) error {
	var mu sync.Mutex
	var passed time.Time
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if !passed.IsZero() && time.Since(passed) < d {
			return nil
		}
		if err := probe(ctx); err != nil {
			passed = time.Time{}
			return err
		}
		passed = time.Now()
		return nil
	}
}

// Latch is a check that fails until Pass is called, and passes from then on: for
// what is found out once, while the service starts.
type Latch struct {
	mu     sync.Mutex
	passed bool
	err    error
}

// Pass makes the check pass.
func (l *Latch) Pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed = true
}

// Fail says why the check does not pass yet.
func (l *Latch) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// Probe is the check.
func (l *Latch) Probe(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.passed:
		return nil
	case l.err != nil:
		return l.err
	default:
		return errNotChecked
	}
}
