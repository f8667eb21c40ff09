package parking

import (
	"context"
	"fmt"

	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// Reasons for which the broker's leftovers are parked.
const (
	ReasonDeadLetter = "DEAD_LETTER"            // the broker gave up delivering it
	ReasonDiscarded  = "HALF_MESSAGE_DISCARDED" // the broker gave up asking what became of it
)

// DeadLetters is the handler of a consumer group's dead-letter topic: they are parked
// under that group, an event at a time, as if its own consumer had done so.
func DeadLetters(group string, parker message.Parker) message.Handler {
	return func(ctx context.Context, m message.Message) error {
		m.Attempt = max(1, m.Attempt-1) // the broker counts the burial, too
		detail := fmt.Sprintf("%s: the broker gave up after %d deliveries", ReasonDeadLetter, m.Attempt)
		return parkParts(ctx, group, m, ReasonDeadLetter, detail, parker)
	}
}

// HalfMessages is the handler of the topic of the half messages that the broker gave
// up. All producer groups of the broker share it: those of the group are parked, an
// event at a time, and others are left alone. A half message that is about nothing is
// one of those with which a producer warms up.
func HalfMessages(group string, parker message.Parker) message.Handler {
	return func(ctx context.Context, m message.Message) error {
		if m.Origin.ProducerGroup != group || len(m.Keys) == 0 {
			return nil
		}
		m.Attempt = 1
		detail := ReasonDiscarded + ": the broker gave up asking whether its local transaction was committed"
		return parkParts(ctx, group, m, ReasonDiscarded, detail, parker)
	}
}

// parkParts parks a message as what it was before the broker moved it. After an error
// it comes again, and what is parked by then is counted up.
func parkParts(ctx context.Context, group string, m message.Message, reason, detail string, parker message.Parker) error {
	if m.Origin.Topic != "" {
		m.Topic = m.Origin.Topic
	}
	for _, part := range event.Split(m) {
		p := message.Parked{Group: group, OrderID: part.OrderID, Message: part.Message, Reason: reason, Detail: detail}
		if err := parker.Park(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
