package mq

import (
	"context"
	"fmt"
	"math"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
)

// What a batch may weigh at most with the broker's defaults. The library looks at
// neither: properties that are too long would overflow their length field, and the
// broker would read the rest as something else.
const (
	maxBatchSize      = 4 << 20       // of all messages, as they are on the wire
	maxPropertiesSize = math.MaxInt16 // of one message
	batchEntrySize    = 22            // of one message without body and properties
)

// BatchError says what of a batch cannot be sent. It wraps ErrNotSent.
type BatchError struct {
	Index int // the message, counted from 0; -1 for the batch as a whole
	Err   error
}

// Error names the message and what is wrong with it.
func (e *BatchError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("batch: %v", e.Err)
	}
	return fmt.Sprintf("batch: message %d: %v", e.Index, e.Err)
}

// Unwrap returns the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// SendBatch sends the messages together and returns when the broker has stored
// them, all in one queue and in their order, or none of them. They must be of one
// topic and of 4 MiB at most in all: else the error is a *BatchError. Other errors
// are those of Send and are about all messages. Each has an ID of its own; none
// can be delayed.
func (p *Producer) SendBatch(ctx context.Context, messages []message.Message) (err error) {
	if len(messages) == 0 {
		return &BatchError{Index: -1, Err: fmt.Errorf("%w: it is empty", message.ErrNotSent)}
	}
	first := messages[0] // its span is that of the batch
	ctx, endSpan := startSend(ctx, p.client.tracer(), &first)
	defer func() {
		endSpan(err)
		p.client.Metrics.countSent(first.Topic, len(messages), err)
	}()
	library, err := p.started()
	if err != nil {
		return err
	}
	batch, err := outgoingBatch(ctx, messages)
	if err != nil {
		return err
	}
	return p.sends.run(ctx, func() error { return check(library.SendSync(ctx, batch...)) })
}

// outgoingBatch makes the library's messages.
func outgoingBatch(ctx context.Context, messages []message.Message) ([]*primitive.Message, error) {
	batch := make([]*primitive.Message, len(messages))
	size := 0
	for i, m := range messages {
		inject(ctx, &m)
		msg, err := outgoing(m)
		if err != nil {
			return nil, &BatchError{Index: i, Err: err}
		}
		if m.Topic != messages[0].Topic {
			return nil, &BatchError{Index: i, Err: fmt.Errorf("%w: its topic is %q, that of the batch %q",
				message.ErrNotSent, m.Topic, messages[0].Topic)}
		}
		// The library gives an id to single messages only.
		msg.WithProperty(primitive.PropertyUniqueClientMessageIdKeyIndex, primitive.CreateUniqID())
		properties := len(msg.MarshallProperties())
		if properties > maxPropertiesSize {
			return nil, &BatchError{Index: i, Err: fmt.Errorf("%w: %d bytes of properties, more than %d",
				message.ErrNotSent, properties, maxPropertiesSize)}
		}
		size += batchEntrySize + len(m.Body) + properties
		batch[i] = msg
	}
	if size > maxBatchSize {
		return nil, &BatchError{Index: -1, Err: fmt.Errorf("%w: %d bytes, more than %d", message.ErrNotSent, size, maxBatchSize)}
	}
	return batch, nil
}
