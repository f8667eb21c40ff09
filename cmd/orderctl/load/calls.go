package load

import (
	"context"
	"errors"
	"sync"
	"time"

	"orderflow/internal/apierror"
)

const (
	callTimeout = 5 * time.Second
	// insistFor is how long a call is repeated: longer than a replica takes to come back.
	insistFor = 30 * time.Second
	// longestPause is between two calls of an order, unless the service says more.
	longestPause = time.Second
)

// calls are those of one kind, of all orders. While none of them succeeds, those that
// have failed are repeated one at a time: hundreds of orders that ask as often as each
// of them may would keep a system down that is down. The first that succeeds lets all go.
type calls struct {
	tally *tally
	turn  chan struct{} // holds one token: whoever has it asks for all that wait

	mu     sync.Mutex
	mended chan struct{} // closed by the next answer
}

func newCalls(t *tally) *calls {
	c := &calls{tally: t, turn: make(chan struct{}, 1), mended: make(chan struct{})}
	c.turn <- struct{}{}
	return c
}

// insist makes a call until it is answered, or refused for a reason that time does not
// mend. All calls are idempotent.
func (c *calls) insist(ctx context.Context, call func(context.Context) error) error {
	patience, cancel := context.WithTimeout(ctx, insistFor)
	defer cancel()
	pauses, hasTurn := apierror.NewBackoff(longestPause), false
	for {
		mended := c.next()
		err := bounded(ctx, call)
		pause, again := pauses.Next(err)
		if again {
			again = sleep(patience, pause)
		} else if err == nil || ctx.Err() == nil { // also a refusal is an answer
			c.answered()
		}
		if hasTurn { // after the pause: it is one for all
			c.turn <- struct{}{}
			hasTurn = false
		}
		switch {
		case err == nil:
			return nil
		case !again:
			return errors.Join(ctx.Err(), err)
		}
		select {
		case <-mended:
		case <-c.turn:
			hasTurn = true
		case <-patience.Done():
			return errors.Join(ctx.Err(), err)
		}
		c.tally.add(repeated)
	}
}

// next is closed by the next answer.
func (c *calls) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mended
}

// answered lets go all that wait.
func (c *calls) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.mended)
	c.mended = make(chan struct{})
}

// sleep lets time pass; false says that ctx has ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func bounded(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx)
}
