// Package sweep is what both services' sweepers have in common. A sweeper is the
// level-triggered net behind the edge-triggered messages: each row says when somebody
// must look at it again, whatever became of the messages about it.
//
//	look      in rounds: every interval, and again at once while a round was full
//	lease     a round takes its rows by moving their time to look by Lease, so that of
//	          many replicas one has them, and a crash gives them back by itself
//	back off  a row that is still not as it should be is looked at again after twice
//	          the time, up to MaxWait, and never at the same moment as its neighbours
package sweep

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"orderflow/internal/clock"
)

const (
	// Never is the time to look of a row that is as it should be.
	Never = math.MaxInt64
	// Lease is how long a round has for the rows that it took.
	Lease = 30 * time.Second
	// MaxWait is the longest time between two looks at a row that is not as it should be.
	MaxWait = time.Hour
	// Batch is how many rows a round takes at most.
	Batch = 100
)

// Round looks once and says whether it was full: there may be more to do at once.
// Its error is reported, and the next round tries again.
type Round func(ctx context.Context) (full bool, err error)

// Run makes rounds until ctx ends. Each waits for the interval, give or take a
// quarter of it, so that replicas that started together drift apart.
func Run(ctx context.Context, clk clock.Clock, interval time.Duration, round Round, report func(error)) {
	for {
		full, err := round(ctx)
		if err != nil && ctx.Err() == nil {
			report(err)
		}
		if full && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-clk.After(jitter(interval)):
		}
	}
}

// Backoff is how long to wait before the look number count+1 at a row that is not as
// it should be: first, doubled count times, at most MaxWait, and up to a quarter more
// or less.
func Backoff(first time.Duration, count int64) time.Duration {
	wait := first
	for ; count > 0 && wait < MaxWait; count-- {
		wait *= 2
	}
	return jitter(min(wait, MaxWait))
}

// jitter is d, up to a quarter more or less.
func jitter(d time.Duration) time.Duration {
	if d < 4 {
		return d
	}
	return d - d/4 + rand.N(d/2)
}
