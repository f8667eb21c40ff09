package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/internal/apierror"
)

// What fails is repeated while time may mend it.
func TestInsist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCalls(newTally())
		tries := 0
		err := c.insist(t.Context(), func(context.Context) error {
			if tries++; tries < 3 {
				return status.Error(codes.Unavailable, "draining")
			}
			return nil
		})
		if err != nil || tries != 3 || c.tally.counts[repeated] != 2 {
			t.Errorf("got %v after %d calls, %d of them counted as repeated", err, tries, c.tally.counts[repeated])
		}
		final := status.Error(codes.InvalidArgument, "no")
		tries = 0
		if err := c.insist(t.Context(), func(context.Context) error { tries++; return final }); !errors.Is(err, final) || tries != 1 {
			t.Errorf("got %v after %d calls, want the error at once", err, tries)
		}
		begun := time.Now()
		if err := c.insist(t.Context(), func(context.Context) error { return errors.New("torn") }); err == nil || time.Since(begun) > insistFor {
			t.Errorf("given up after %v with %v", time.Since(begun), err)
		}
	})
}

// A system that is down gets a call or two a second, however many orders wait; when it
// mends, all of them go on at once.
func TestAnOutageIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const orders, outage = 150, 20 * time.Second
		begun := time.Now()
		c := newCalls(newTally())
		var failed atomic.Int64
		var all sync.WaitGroup
		for range orders {
			all.Go(func() {
				err := c.insist(t.Context(), func(context.Context) error {
					if time.Since(begun) < outage {
						failed.Add(1)
						return apierror.Unavailable("broker", nil)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if repeats := failed.Load() - orders; repeats < 10 || repeats > 2*int64(outage/time.Second) {
			t.Errorf("%d calls were repeated in vain within %v", repeats, outage)
		}
		if late := time.Since(begun) - outage; late > 2*time.Second {
			t.Errorf("the last order went on %v after it was over", late)
		}
	})
}

// One order that fails holds up no other, and asks no more often because they succeed.
func TestOneOrderThatFailsIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCalls(newTally())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		failed := 0
		var all sync.WaitGroup
		all.Go(func() {
			_ = c.insist(ctx, func(context.Context) error { failed++; return apierror.Unavailable("order", nil) })
		})
		for ctx.Err() == nil {
			begun := time.Now()
			if err := c.insist(t.Context(), func(context.Context) error { return nil }); err != nil || time.Since(begun) > 0 {
				t.Fatalf("another order got %v after %v", err, time.Since(begun))
			}
			time.Sleep(10 * time.Millisecond) // of the bubble
		}
		all.Wait()
		if failed < 5 || failed > 11 {
			t.Errorf("%d calls in ten seconds", failed)
		}
	})
}
