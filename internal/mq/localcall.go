package mq

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/mq/message"
)

// localCall hands the caller's context and argument to ExecuteLocalTransaction
// and its result back. Whoever comes first, the listener with begin or the
// caller's deadline with abandon, decides whether the local transaction runs at
// all. After begin only complete ends the call, after abandon nothing begins.
type localCall struct {
	ctx     context.Context
	message message.Message
	arg     any
	settle  trace.Span // of the end of the half message; of the listener's goroutine alone

	mu    sync.Mutex
	begun bool
	ended bool
	done  chan struct{}
	state message.TransactionState // valid when done is closed
	err   error
}

// begin claims the call for the listener; false means that the caller has given
// up, or is about to.
func (c *localCall) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.ctx.Err() != nil {
		return false
	}
	c.begun = true
	return true
}

// complete ends a call that has begun with the listener's result.
func (c *localCall) complete(state message.TransactionState, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(state, err)
}

// abandon ends a call as rolled back, unless the listener has begun it.
func (c *localCall) abandon(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		c.end(message.StateRollback, err)
	}
}

// end sets the result once; mu is held.
func (c *localCall) end(state message.TransactionState, err error) {
	if c.ended {
		return
	}
	c.ended, c.state, c.err = true, state, err
	close(c.done)
}
