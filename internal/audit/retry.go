package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How often a call that fails for a reason that time mends is made, and the pauses
// in between: enough for a service to be restarted.
const (
	maxTries   = 8
	firstTries = 3
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
)

// retry makes a call until it succeeds, fails for a reason that time does not mend,
// or has failed too often: earlier if nothing was answered at all, for then the
// address is wrong, most likely.
func (r *run) retry(ctx context.Context, what string, call func() error) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := call()
		if err == nil {
			r.answered = true
			return nil
		}
		if ctx.Err() != nil || !timeMends(err) || try == maxTries || try == firstTries && !r.answered {
			return fmt.Errorf("%s: %w", what, err)
		}
		r.report.Summary.Retries++
		if err := r.wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// timeMends tells whether a call may succeed when it is made again.
func timeMends(err error) bool {
	return !errors.Is(err, errOrder) && !slices.Contains([]codes.Code{
		codes.InvalidArgument, codes.Unimplemented, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated,
		codes.FailedPrecondition, codes.OutOfRange,
	}, status.Code(err))
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
