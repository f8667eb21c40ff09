package mq

import (
	"context"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// How the library consumes in order, as far as this file relies on it. Each queue
// that the member has got has a goroutine of its own, which calls back with one
// message at a time. Before each call it makes sure that the queue is not dropped
// and that the broker has confirmed its lock within the last 30 seconds; if not, it
// asks again and calls nobody until the answer is yes. The broker keeps a lock for
// 60 seconds, so whatever happens meanwhile, for the next 30 seconds no other
// member has the queue. In the background all locks are renewed every 20 seconds,
// also those of queues whose callback takes minutes. But the library does not notice
// if that fails, and it renews no lock of a queue that went to another member, which
// gets it after a minute whatever still runs here: a callback must not last. (The
// renewal's time is written to the wrong field, apache/rocketmq-client-go#1207, so
// that the 30 seconds always run from the explicit question.)
//
// So a message that has failed is not tried again within the callback, but by the
// next one: the result "suspend" makes the library sleep for as long as it is told,
// count one more attempt, and come again with the same message, after another look
// at the lock. That the consumer stops, is suspended or has no slot free is waited
// for only as long as the lock is certainly good for the handler's time, too.
//
// Never "retry later", which skips the message (apache/rocketmq-client-go#1229), and
// never "suspend" without a time, which comes again thousands of times a second.
const (
	// lockWait is how long a callback may wait before its handler begins.
	lockWait = 10 * time.Second
	// soon is the pause before a callback that is not another attempt.
	soon = 10 * time.Millisecond
	// The pauses between the attempts of one message.
	firstPause, longestPause = 100 * time.Millisecond, 5 * time.Second
	// deadLetter is the level that sends a message there.
	deadLetter = -1
)

// onInOrder is the library's callback of an ordered consumer. It says success for
// what is handled, parked or taken by the dead letters, and else has the message
// come again.
func (c *Consumer) onInOrder(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	for _, msg := range messages {
		wait, settled := c.settleInOrder(msg)
		if settled {
			continue
		}
		if isClosed(c.gate.closing()) {
			// The queue is unlocked and dropped before this callback is let go.
			c.gate.waitOpen()
		}
		if orderly, ok := primitive.GetOrderlyCtx(ctx); ok {
			orderly.SuspendCurrentQueueTimeMillis = int(wait.Milliseconds())
		}
		return consumer.SuspendCurrentQueueAMoment, nil
	}
	return consumer.ConsumeSuccess, nil
}

// settleInOrder makes one attempt. If the message is not settled then, wait is how
// long its queue shall rest.
func (c *Consumer) settleInOrder(msg *primitive.MessageExt) (wait time.Duration, settled bool) {
	if !c.gate.enter() {
		return soon, false
	}
	defer c.gate.leave()
	if !c.turn(msg) {
		msg.ReconsumeTimes-- // the library counts this as an attempt
		return soon, false
	}
	defer c.queues.end(*msg.Queue)
	m := incoming(msg)
	ctx, err := c.attempt(m)
	c.pause.end()
	<-c.slots
	switch {
	case err == nil:
		return 0, true
	case m.Attempt < c.sub.MaxAttempts:
		return pauseAfter(m.Attempt), false
	default:
		return soon, c.sendBack(ctx, msg, m, deadLetter, err)
	}
}

// turn waits until a handler may begin; not for long, and not if Stop comes first
// or the queue has gone to another member. The library has a goroutine for every
// queue, so it is here that they are bounded.
func (c *Consumer) turn(msg *primitive.MessageExt) bool {
	late := time.NewTimer(lockWait)
	defer late.Stop()
	select {
	case c.slots <- struct{}{}:
	case <-late.C:
		return false
	case <-c.gate.closing():
		return false
	}
	if !c.pause.begin(c.gate.closing(), late.C) {
		<-c.slots
		return false
	}
	if !c.queues.begin(*msg.Queue) {
		c.pause.end()
		<-c.slots
		return false
	}
	return true
}

// pauseAfter is the pause after an attempt, counted from 1.
func pauseAfter(attempt int) time.Duration {
	return min(firstPause<<min(attempt-1, 10), longestPause)
}

// unlock gives the lock of a queue back that has gone to another member.
func (c *Consumer) unlock(ctx context.Context, clientID string, q primitive.MessageQueue) {
	if err := c.admin.unlockQueue(ctx, c.sub.Group, clientID, q); err != nil {
		c.client.logger().Warn("cannot give a queue's lock back, it will expire", "group", c.sub.Group, "error", err)
	}
}
