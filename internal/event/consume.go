package event

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"orderflow/internal/mq/message"
)

// Permanent turns a DecodeError of a whole body into the error that makes the
// consumer park the message, and leaves every other error as it is.
func Permanent(err error) error {
	var broken *DecodeError
	if errors.As(err, &broken) {
		return broken.permanent()
	}
	return err
}

// permanent is the error without the reason in its text: that is said already.
func (e *DecodeError) permanent() *message.PermanentError {
	return &message.PermanentError{Reason: e.Reason, Err: errors.New(e.Detail)}
}

// Each handles the events of a received envelope one by one, as if each had come
// alone. One that is broken, or for which handle returns a *message.PermanentError,
// is parked alone under its order id. All others are handled even if an earlier
// one failed; the error then says that the message must come again, and whoever
// was done already absorbs the repetition by its idempotency.
func Each[E proto.Message](
	ctx context.Context, group string, m message.Message, items []Item[E], parker message.Parker,
	handle func(ctx context.Context, e E) error,
) error {
	var again []error
	for i, item := range items {
		var permanent *message.PermanentError
		if item.Err != nil {
			permanent = item.Err.permanent()
		} else if err := handle(ctx, item.Event); err != nil && !errors.As(err, &permanent) {
			again = append(again, err)
			continue
		}
		if permanent == nil {
			continue
		}
		if err := parker.Park(ctx, parked(group, m, i, len(items), item, permanent)); err != nil {
			again = append(again, err)
		}
	}
	return errors.Join(again...)
}

// parked is the i-th event as a message of its own, ready to be replayed.
func parked[E proto.Message](group string, m message.Message, i, n int, item Item[E], why *message.PermanentError) message.Parked {
	id := subject(m, i, n, item.OrderID, item.Raw)
	return message.Parked{Group: group, OrderID: id, Message: alone(m, id, item.Raw), Reason: why.Reason, Detail: why.Error()}
}
