package event

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"strings"

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
		if err := parker.Park(ctx, parked(group, m, i, item, permanent)); err != nil {
			again = append(again, err)
		}
	}
	return errors.Join(again...)
}

// parked is the i-th event as a message of its own, ready to be replayed. One
// that does not even say which order it is about is known by its message, its
// place in it, and a hash of itself: message ids repeat.
func parked[E proto.Message](group string, m message.Message, i int, item Item[E], why *message.PermanentError) message.Parked {
	id := item.OrderID
	if id == "" {
		hash := fnv.New32a()
		_, _ = hash.Write(item.Raw)
		id = fmt.Sprintf("%s/%d/%08x", m.ID, i, hash.Sum32())
	}
	alone := m
	alone.Keys = []string{id}
	var frame map[string]json.RawMessage
	if json.Unmarshal(m.Body, &frame) == nil && frame != nil {
		maps.DeleteFunc(frame, func(name string, _ json.RawMessage) bool { return strings.EqualFold(name, "events") })
		frame["events"] = append(append([]byte{'['}, item.Raw...), ']')
		if body, err := json.Marshal(frame); err == nil {
			alone.Body = body
		}
	}
	return message.Parked{Group: group, OrderID: id, Message: alone, Reason: why.Reason, Detail: why.Error()}
}
