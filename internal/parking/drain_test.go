package parking_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
	"orderflow/migrations"
)

const (
	first  = "0197a1b2-0000-7000-8000-000000000001"
	second = "0197a1b2-0000-7000-8000-000000000002"
)

// envelope is a body of an event for each order.
func envelope(orders ...string) []byte {
	body := `{"schemaVersion":1,"events":[`
	for i, id := range orders {
		if i > 0 {
			body += ","
		}
		body += `{"orderId":"` + id + `"}`
	}
	return []byte(body + `]}`)
}

func given(topic string, origin message.Origin, body []byte, keys ...string) message.Message {
	return message.Message{Topic: topic, Origin: origin, Tag: "created", Keys: keys, Body: body, ID: "7F01", Attempt: 4,
		Properties: map[string]string{"barrier": "b"}}
}

// Dead letters are parked under the group they died in, an event at a time, as what
// they were sent as.
func TestDeadLettersAreParkedUnderTheirGroup(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		handle := parking.DeadLetters("group", s)
		origin := message.Origin{Topic: "order-events"}
		for _, m := range []message.Message{
			given("%DLQ%group", origin, envelope(first, second), first, second),
			given("%DLQ%group", origin, []byte("nonsense"), "key"),
		} {
			if err := handle(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		var ids []string
		for _, e := range list(t, s) {
			ids = append(ids, e.Parked.OrderID)
			if e.Parked.Group != "group" || e.Parked.Reason != parking.ReasonDeadLetter || e.Parked.Message.Topic != "order-events" ||
				e.Parked.Message.Attempt != 3 || e.Parked.Message.Properties["barrier"] != "b" {
				t.Errorf("parked %+v", e)
			}
		}
		slices.Sort(ids)
		if !slices.Equal(ids, []string{first, second, "key"}) {
			t.Errorf("parked under %v", ids)
		}
	})
}

// The topic of the discarded half messages is shared by all producer groups of the
// broker: only ours are parked, and none of those that warm a producer up.
func TestHalfMessagesOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Order(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		handle := parking.HalfMessages("ours", s)
		for _, m := range []message.Message{
			given("aside", message.Origin{Topic: "order-events", ProducerGroup: "theirs"}, envelope(first), first),
			given("aside", message.Origin{}, envelope(first), first),
			given("aside", message.Origin{Topic: "order-events", ProducerGroup: "ours"}, []byte("{}")),
			given("aside", message.Origin{Topic: "order-events", ProducerGroup: "ours"}, envelope(second), second),
		} {
			if err := handle(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		entries := list(t, s)
		if len(entries) != 1 || entries[0].Parked.OrderID != second || entries[0].Parked.Group != "ours" ||
			entries[0].Parked.Reason != parking.ReasonDiscarded || entries[0].Parked.Message.Topic != "order-events" ||
			entries[0].Parked.Message.Attempt != 1 {
			t.Errorf("parked %+v", entries)
		}
	})
}

// What cannot be parked comes again.
func TestDrainDropsNothing(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	handle := parking.DeadLetters("group", parkerFunc(func(context.Context, message.Parked) error { return full }))
	if err := handle(t.Context(), given("%DLQ%group", message.Origin{}, envelope(first), first)); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

type parkerFunc func(context.Context, message.Parked) error

func (f parkerFunc) Park(ctx context.Context, p message.Parked) error { return f(ctx, p) }
