package mq

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"orderflow/internal/mq/message"
)

// SendAsync sends m as Send does, but without waiting for the broker: done is
// called with what Send would have returned, once, on another goroutine, and not
// later than ctx ends. If SendAsync itself returns an error, nothing was sent and
// done is never called; the error wraps ErrNotSent.
//
// It waits for its turn if too many sends are under way. m's body must not change
// until done is called. done may send, but must not wait for Stop, which waits for
// it. It must be quick: callbacks hold up no sends, and nothing but their own end
// bounds how many of them run at once. The client library has an asynchronous send of its own, which ends the
// process when an answer is late (apache/rocketmq-client-go#1102).
func (p *Producer) SendAsync(ctx context.Context, m message.Message, done func(error)) error {
	ctx, end := p.observe(ctx, &m)
	library, msg, err := p.prepare(m)
	if err == nil && done == nil {
		err = fmt.Errorf("%w: an asynchronous send needs somebody to tell the outcome", message.ErrNotSent)
	}
	if err != nil {
		end(err)
		return err
	}
	var decided atomic.Bool
	told := make(chan struct{})
	finish := func(err error) {
		if decided.Swap(true) {
			<-told // Stop waits for done, whoever calls it
			return
		}
		defer close(told)
		end(err)
		p.tell(ctx, m, done, err)
	}
	var noLonger func() bool
	var sent error
	err = p.sends.startThen(ctx, func() {
		noLonger = context.AfterFunc(ctx, func() { finish(noAnswer(ctx)) })
		sent = guarded(func() error { return check(library.SendSync(ctx, msg)) })
	}, func() {
		noLonger()
		finish(sent)
	})
	if err != nil {
		end(err)
	}
	return err
}

// tell calls done, whose panic must not end the process.
func (p *Producer) tell(ctx context.Context, m message.Message, done func(error), err error) {
	defer func() {
		if r := recover(); r != nil {
			p.client.logger().ErrorContext(ctx, "callback of an asynchronous send panicked",
				"group", p.group, "topic", m.Topic, m.LogAttr(), "panic", r, "stack", string(debug.Stack()))
		}
	}()
	done(err)
}
