package sweep_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/sweep"
)

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	t.Parallel()
	const first = time.Minute
	for count, want := range map[int64]time.Duration{
		0: first, 1: 2 * first, 3: 8 * first, 5: 32 * first, 6: sweep.MaxWait, 1000: sweep.MaxWait,
	} {
		for range 100 {
			if got := sweep.Backoff(first, count); got < want*3/4 || got > want*5/4 {
				t.Fatalf("look %d: got %s, want %s give or take a quarter", count, got, want)
			}
		}
	}
}

func TestBackoffIsNotTheSameForAll(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[sweep.Backoff(time.Minute, 0)] = true
	}
	if len(seen) < 10 {
		t.Errorf("100 rows wait only %d different times", len(seen))
	}
}

func TestRunWaitsBetweenRoundsUnlessThereIsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var at []time.Duration
		sweep.Run(ctx, clock.System{}, time.Minute, func(context.Context) (bool, error) {
			at = append(at, time.Since(began))
			if len(at) == 4 {
				cancel()
			}
			return len(at) < 3, nil // the first two are full
		}, func(err error) { t.Error(err) })
		if len(at) != 4 || at[2] != 0 || at[3] < 45*time.Second || at[3] > 75*time.Second {
			t.Errorf("rounds at %v, want three at once and one after a minute", at)
		}
	})
}

func TestRunReportsErrorsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		broken := errors.New("broken")
		rounds, reported := 0, 0
		sweep.Run(ctx, clock.System{}, time.Second, func(context.Context) (bool, error) {
			if rounds++; rounds == 3 {
				cancel()
			}
			return true, broken // full, but not at once again
		}, func(err error) {
			if errors.Is(err, broken) {
				reported++
			}
		})
		if rounds != 3 || reported != 2 { // the last one's end is the end of ctx
			t.Errorf("%d rounds, %d reports, want 3 and 2", rounds, reported)
		}
	})
}
