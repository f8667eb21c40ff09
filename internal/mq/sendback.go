package mq

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/cenkalti/backoff/v5"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// ReasonCannotSendBack is why a message is parked that the broker will not take
// back, for example because it has lost it.
const ReasonCannotSendBack = "CANNOT_SEND_BACK"

// maxRefusals is how often in a row the broker may refuse to take a message back
// before it is parked: about 20 seconds, in which a broker that has just started
// may still get what it lacks, such as the group.
const maxRefusals = 10

// sendBack asks the broker to deliver the message again later, and goes on
// asking until the broker has said yes: until then the message is held here, and
// its queue's offset with it. One that the broker refuses for good would be held
// for ever, so it is parked. The level is that of the SendBackRequest, ctx that of the
// attempt that has failed.
func (c *Consumer) sendBack(ctx context.Context, msg *primitive.MessageExt, m message.Message, level int, cause error) bool {
	request := SendBackRequest{
		Group: c.sub.Group, Topic: msg.Topic, BrokerName: msg.Queue.BrokerName,
		CommitLogOffset: msg.CommitLogOffset, MessageID: msg.MsgId, DelayLevel: level, MaxAttempts: c.sub.MaxAttempts,
	}
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: 200 * time.Millisecond, RandomizationFactor: 0.3, Multiplier: 1.6, MaxInterval: 5 * time.Second,
	}
	pauses.Reset()
	refusals := 0
	for {
		err := limited(ctx, func(ctx context.Context) error { return c.back(ctx, request) })
		if err == nil {
			return true
		}
		refusals++
		if !refused(err) {
			refusals = 0
		}
		if refusals >= maxRefusals {
			why := message.Permanent(ReasonCannotSendBack, "%w; it is sent back because: %w", err, cause)
			parking := limited(ctx, func(ctx context.Context) error { return c.park(ctx, m, why) })
			if parking == nil {
				c.log(ctx, slog.LevelDebug, "message is parked, the broker does not take it back", m, err)
				return true
			}
			err = errors.Join(err, parking)
		}
		c.log(ctx, slog.LevelWarn, "cannot send message back, holding it", m, err)
		select {
		case <-c.gate.closing():
			return false
		case <-time.After(pauses.NextBackOff()):
		}
	}
}

// limited calls f with the time that one try has.
func limited(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return f(ctx)
}

// refused tells whether a broker has definitely said no, and not for being busy
// or not there.
func refused(err error) bool {
	return remoting.ResponseCode(err) != remoting.ResponseSuccess && !errors.Is(err, message.ErrUnavailable)
}
