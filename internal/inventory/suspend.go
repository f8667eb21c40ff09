package inventory

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"orderflow/internal/apierror"
	"orderflow/internal/clock"
)

const (
	// maxSuspension is how long consumers may be suspended by one call: somebody who
	// forgets to resume them has stopped inventory for no longer than that.
	maxSuspension = time.Hour
	// runningTimeout is how long a suspension waits for the handlers that run.
	runningTimeout = 5 * time.Second
	// lagTimeout bounds the question how many messages wait.
	lagTimeout = 3 * time.Second
)

// consumer handles the messages of a topic; *mq.Consumer is one.
type consumer interface {
	// Suspend lets no new handler begin, and returns when none runs, or when ctx ends,
	// with an error, suspended all the same.
	Suspend(ctx context.Context) error
	Resume()
	// Lag is how many messages the group has not acknowledged.
	Lag(ctx context.Context) (int64, error)
}

// Member is a consumer of this replica, and what it is to the broker.
type Member struct {
	Group, Topic string
	Consumer     consumer
}

// Consumers are those of this replica that handle order events and payment timeouts.
// An operator can suspend them for a while.
type Consumers struct {
	members []Member
	clock   clock.Clock
	log     *slog.Logger

	turn    chan struct{} // has room for one: who suspends or resumes
	changed chan struct{} // tells Run that until is another one

	mu    sync.Mutex
	until time.Time // when they resume by themselves; zero unless they are suspended
}

// NewConsumers returns the consumers, which are not suspended. Run has to run.
func NewConsumers(members []Member, clk clock.Clock, log *slog.Logger) *Consumers {
	return &Consumers{
		members: members, clock: clk, log: log,
		turn: make(chan struct{}, 1), changed: make(chan struct{}, 1),
	}
}

// Suspend suspends all of them until d from now, and returns when their handlers have
// ended. If these take too long it is an apierror, and they are suspended all the same.
func (c *Consumers) Suspend(ctx context.Context, d time.Duration) (until time.Time, err error) {
	if err := c.take(ctx); err != nil {
		return time.Time{}, err
	}
	defer c.pass()
	until = c.clock.Now().Add(d)
	c.set(until)
	c.log.WarnContext(ctx, "consumers suspended by an operator", "until", until)
	ctx, cancel := context.WithTimeout(ctx, runningTimeout)
	defer cancel()
	errs := make([]error, len(c.members))
	var all sync.WaitGroup
	for i, m := range c.members {
		all.Go(func() { errs[i] = m.Consumer.Suspend(ctx) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return until, handlersRunning(err)
		}
	}
	return until, nil
}

// Resume lets all of them handle messages again.
func (c *Consumers) Resume(ctx context.Context) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	defer c.pass()
	c.resume(ctx, "consumers resumed by an operator")
	return nil
}

// Until is when they resume by themselves, and zero if they are not suspended.
func (c *Consumers) Until() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until
}

// Run resumes them when their time has come, until ctx ends.
func (c *Consumers) Run(ctx context.Context) {
	var end time.Time // that due waits for
	var due <-chan time.Time
	for {
		if until := c.Until(); !until.Equal(end) {
			end, due = until, nil
			if !end.IsZero() {
				due = c.clock.After(end.Sub(c.clock.Now()))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		case <-due:
			end = time.Time{}
			c.resumeIfDue(ctx)
		}
	}
}

// resumeIfDue resumes them unless they were suspended anew in the meantime.
func (c *Consumers) resumeIfDue(ctx context.Context) {
	if c.take(ctx) != nil {
		return
	}
	defer c.pass()
	if !c.Until().After(c.clock.Now()) {
		c.resume(ctx, "consumers resumed: the time of their suspension is over")
	}
}

// resume is for whoever has the turn.
func (c *Consumers) resume(ctx context.Context, say string) {
	if c.Until().IsZero() {
		return
	}
	for _, m := range c.members {
		m.Consumer.Resume()
	}
	c.set(time.Time{})
	c.log.WarnContext(ctx, say)
}

// take waits for the turn: one that suspends and one that resumes, side by side, could
// leave them suspended with nobody who would resume them.
func (c *Consumers) take(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Consumers) pass() { <-c.turn }

func (c *Consumers) set(until time.Time) {
	c.mu.Lock()
	c.until = until
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default: // Run has not yet heard of the change before, and will read this one
	}
}

func handlersRunning(cause error) error {
	e := apierror.Unavailable("consumers", cause)
	e.Reason = ReasonHandlersRunning
	e.Message = "the consumers are suspended, but handlers that began before are still running; repeat the call to wait for them"
	return e
}
