package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/internal/apierror"
)

// How often a call that fails for a reason that time mends is made, and the longest
// pause in between: enough for a service to be restarted.
const (
	maxTries   = 8
	firstTries = 3
	maxPause   = 5 * time.Second
)

// retry makes a call until it succeeds, fails for a reason that time does not mend,
// or has failed too often: earlier if nothing was answered at all, for then the
// address is wrong, most likely.
func (r *run) retry(ctx context.Context, what string, call func() error) error {
	pauses := apierror.NewBackoff(maxPause)
	for try := 1; ; try++ {
		err := call()
		if err == nil {
			r.answered = true
			return nil
		}
		pause, again := pauses.Next(err)
		if ctx.Err() != nil || !again || errors.Is(err, errOrder) || try == maxTries || try == firstTries && !r.answered {
			return fmt.Errorf("%s: %w", what, err)
		}
		r.report.Summary.Retries++
		if err := r.wait(ctx, pause); err != nil {
			return err
		}
	}
}

// wait lets time pass, unless ctx ends before.
func (r *run) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.clock.After(d):
		return nil
	}
}
