package inventory_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
)

// edit changes the events of a message as a broken sender would.
func edit(t *testing.T, m message.Message, change func(events []map[string]any)) message.Message {
	t.Helper()
	var frame struct {
		SchemaVersion int              `json:"schemaVersion"`
		Events        []map[string]any `json:"events"`
	}
	if err := json.Unmarshal(m.Body, &frame); err != nil {
		t.Fatal(err)
	}
	change(frame.Events)
	body, err := json.Marshal(frame)
	if err != nil {
		t.Fatal(err)
	}
	m.Body = body
	return m
}

// T64: an envelope of eight, three of them broken or contradictory: those are
// parked alone, each one ready to be replayed, and the other five are done.
func TestT64MixedEnvelope(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 100)
		var orders []*order
		for range 8 {
			orders = append(orders, w.newOrder(line("A", 1)))
		}
		w.must(w.orderEvents(event.TagClosed, orders[5])) // so that `paid` contradicts
		m := edit(t, w.orderEvents(event.TagPaid, orders...), func(events []map[string]any) {
			events[1]["lines"] = []any{}
			events[3]["lines"] = "not lines"
		})
		w.must(m)
		w.must(m)
		w.expectStock("A", 95, 0, 5)
		entries := w.expectParkedTimes(2, map[string]string{
			orders[1].id: event.ReasonBadEvent, orders[3].id: event.ReasonBadEvent,
			orders[5].id: inventory.ReasonPaidAfterReleased,
		})
		for _, e := range entries {
			if strings.Count(string(e.Parked.Message.Body), "orderId") != 1 ||
				!strings.Contains(string(e.Parked.Message.Body), e.Parked.OrderID) {
				t.Errorf("parked body: %s", e.Parked.Message.Body)
			}
			if !slices.Equal(e.Parked.Message.Keys, []string{e.Parked.OrderID}) || e.Parked.Group != w.names.InventoryOrderEvents {
				t.Errorf("parked %+v", e.Parked)
			}
		}
	})
}

// expectParkedTimes checks who is parked why, and how often.
func (w *world) expectParkedTimes(times int64, reasons map[string]string) []parking.Entry {
	w.t.Helper()
	entries, err := w.parked.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if len(entries) != len(reasons) {
		w.t.Errorf("%d are parked, want %d", len(entries), len(reasons))
	}
	for _, e := range entries {
		if e.Parked.Reason != reasons[e.Parked.OrderID] || e.Times != times {
			w.t.Errorf("%s is parked %d times as %s, want %d as %s",
				e.Parked.OrderID, e.Times, e.Parked.Reason, times, reasons[e.Parked.OrderID])
		}
	}
	return entries
}

// One event of an envelope fails for the moment: the others are done, the message
// comes again, and everybody has been counted once at the end.
func TestEnvelopeWithARetryableFailure(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 100)
		orders := []*order{w.newOrder(line("A", 1)), w.newOrder(line("A", 2)), w.newOrder(line("A", 4))}
		m := w.orderEvents(event.TagCreated, orders...)
		w.sent.failures = 1
		w.again(m)
		w.expectStock("A", 93, 7, 0)
		w.must(m)
		w.expectStock("A", 93, 7, 0)
		if sent := w.take(); len(sent) != 5 {
			t.Errorf("%d stock events, want 2 and then 3", len(sent))
		}
	})
}

// An event that cannot even be parked is not acknowledged.
func TestEventThatCannotBeParkedComesAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.newOrder(line("A", 1))
		m := edit(t, w.orderEvents(event.TagCreated, o), func(events []map[string]any) { delete(events[0], "lines") })
		if err := w.db.With(t.Context()).Exec("ALTER TABLE parked_messages RENAME TO elsewhere").Error; err != nil {
			t.Fatal(err)
		}
		w.again(m)
		if err := w.db.With(t.Context()).Exec("ALTER TABLE elsewhere RENAME TO parked_messages").Error; err != nil {
			t.Fatal(err)
		}
		w.must(m)
		w.expectParked(event.ReasonBadEvent)
	})
}

// T46: quantities out of bounds and a SKU that stands twice never reach the
// stock; they are parked.
func TestT46BadLinesAreParked(t *testing.T) {
	t.Parallel()
	type lines = []map[string]any
	for name, bad := range map[string]lines{
		"zero":     {{"sku": "A", "quantity": "0"}},
		"negative": {{"sku": "A", "quantity": "-5"}},
		"huge":     {{"sku": "A", "quantity": "9223372036854775807"}},
		"overflow": {{"sku": "A", "quantity": "9223372036854775808"}},
		"twice":    {{"sku": "A", "quantity": "1"}, {"sku": "A", "quantity": "1"}},
		"no SKU":   {{"sku": "", "quantity": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				w.receive("A", 10)
				o := w.newOrder(line("A", 1))
				w.must(edit(t, w.orderEvents(event.TagCreated, o), func(events []map[string]any) { events[0]["lines"] = bad }))
				w.expectStock("A", 10, 0, 0)
				w.expectParked(event.ReasonBadEvent)
				w.expectSent(o)
			})
		})
	}
}

// T63: a body that nobody can read is a permanent error of the whole message.
func TestT63UnreadableBodies(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		good := w.orderEvents(event.TagCreated, w.newOrder(line("A", 1)))
		for _, c := range []struct{ topic, tag, body, reason string }{
			{w.names.OrderEvents, "created", "{", event.ReasonBadBody},
			{w.names.OrderEvents, "created", "", event.ReasonBadBody},
			{w.names.OrderEvents, "created", `{"schemaVersion":2,"events":[{}]}`, event.ReasonUnknownVersion},
			{w.names.OrderEvents, "created", `{"schemaVersion":1}`, event.ReasonEnvelopeSize},
			{w.names.OrderEvents, "refunded", string(good.Body), event.ReasonUnknownTag},
			{w.names.OrderTimeouts, "timeout", `{"schemaVersion":1,"events":[{}]}`, event.ReasonBadBody},
			{w.names.OrderTimeouts, "created", `{"schemaVersion":1,"dueAtMs":"1","events":[{}]}`, event.ReasonUnknownTag},
		} {
			err := w.deliver(message.Message{Topic: c.topic, Tag: c.tag, Body: []byte(c.body)})
			var permanent *message.PermanentError
			if !errors.As(err, &permanent) || permanent.Reason != c.reason {
				t.Errorf("%s %s: got %v, want %s", c.tag, c.body, err, c.reason)
			}
		}
	})
}

// A timer with a broken event: that one is parked, and not asked about.
func TestTimerWithABrokenEvent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		m := w.timer(o, &order{id: "no uuid", due: o.due}, o)
		w.clock.Advance(window)
		w.must(m)
		w.expectStock("A", 10, 0, 0)
		w.expectParked(event.ReasonBadEvent)
		if asked := w.orders.asked; len(asked) != 1 || !slices.Equal(asked[0], []string{o.id}) {
			t.Errorf("asked %v", asked)
		}
	})
}
