package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	eventv1 "orderflow/api/proto/event/v1"
	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// reasonUnknownOrder is why order-srv parks what is said of an order that it does
// not know.
const reasonUnknownOrder = "STOCK_EVENT_OF_UNKNOWN_ORDER"

// A `closed` overtakes its `created`: the tombstone keeps the late one from
// reserving.
func TestT44ClosedComesBeforeCreated(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 10)
		id := s.ghost()
		s.expectParked(id, reasonUnknownOrder) // there is only the message
		e := orderEvent(id, time.Now().Add(tenMinutes), &eventv1.Line{Sku: tea, Quantity: 4})
		ghost := &orderv1.Order{OrderId: id}

		s.inject(s.orderEvents(event.TagClosed, e))
		s.waitParked(id, reasonUnknownOrder)
		s.wantReservation(ghost, givenBack, 1)

		s.inject(s.orderEvents(event.TagCreated, e))
		s.eventually(waitTimeout, func() string { // order-srv is told of the tombstone again
			if n := s.count("SELECT times FROM {order}.parked_messages WHERE order_id = ?", id); n < 2 {
				return fmt.Sprintf("the state was told %d times, want 2", n)
			}
			return ""
		})
		s.wantReservation(ghost, givenBack, 1)
		s.waitStock(tea, 10, 0, 0)
		if text := s.orderctl(1, "audit"); !strings.Contains(text, id) {
			t.Errorf("orderctl audit does not tell what is parked:\n%s", text)
		}
		s.audit()
	})
}

// Messages that nobody can read are put aside with their reasons, and the queues
// move on.
func TestT63BrokenMessagesAreParked(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 100)
		topics := []struct {
			topic, group, database, tag string
			instance                    *instance
			envelope                    string // more fields of a sound envelope
		}{
			{s.names.OrderEvents, s.names.InventoryOrderEvents, "{inventory}", "created", s.inventory, ""},
			{s.names.OrderTimeouts, s.names.InventoryOrderTimeouts, "{inventory}", "timeout", s.inventory, `,"dueAtMs":"1000"`},
			{s.names.StockEvents, s.names.OrderStockEvents, "{order}", "reserved", s.order, ""},
		}
		kinds := []struct {
			name, tag, body, reason string
			whole                   bool // the message is parked as a whole
		}{
			{"not JSON", "", "tea, please", event.ReasonBadBody, true},
			{"version", "", `{"schemaVersion":99,"events":[{}]%s}`, event.ReasonUnknownVersion, true},
			{"no version", "", `{"events":[{}]%s}`, event.ReasonUnknownVersion, true},
			{"no events", "", `{"schemaVersion":1,"events":[]%s}`, event.ReasonEnvelopeSize, true},
			{"tag", "exploded", `{"schemaVersion":1,"events":[{}]%s}`, event.ReasonUnknownTag, true},
			{"no id", "", `{"schemaVersion":1,"events":[{"version":"1"}]%s}`, event.ReasonBadEvent, false},
		}
		parked := 0
		for _, topic := range topics {
			for _, kind := range kinds {
				tag := topic.tag
				if kind.tag != "" {
					tag = kind.tag
				}
				key := uuid.NewString()
				body := strings.Replace(kind.body, "%s", topic.envelope, 1)
				s.expectParked(key, kind.reason)
				s.inject(message.Message{Topic: topic.topic, Tag: tag, Keys: []string{key}, Body: []byte(body)})
				parked++
				query := "SELECT COUNT(*) FROM " + topic.database + ".parked_messages WHERE consumer = ? AND topic = ? AND tag = ? AND reason = ? AND order_id = ?"
				s.eventually(waitTimeout, func() string {
					if s.count(query, topic.group, topic.topic, tag, kind.reason, key) != 1 {
						return fmt.Sprintf("%s, %s: not parked for %s: %v", topic.topic, kind.name, kind.reason, s.parked())
					}
					return ""
				})
				if kind.whole {
					s.waitMetric(1, "mq_messages_parked_total", []string{topic.group, kind.reason}, topic.instance)
				}
			}
		}
		if n := len(s.parked()); n != parked {
			t.Errorf("%d messages are parked, want %d", n, parked)
		}

		for i := range 8 { // two for every queue
			o := s.waitStatus(s.place(minute, line(tea, 1)), reserved)
			if i%2 == 0 {
				s.pay(o)
			}
		}
		s.waitClosed(s.place(expiring, line(tea, 1)), timedOut)
		s.waitStock(tea, 92, 4, 4)
		s.audit()
	})
}

// One envelope holds eight events of all sorts: each is done as if it had come
// alone.
func TestT64AnEnvelopeOfMixedEvents(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 10)
		real := s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)

		later := time.Now().Add(tenMinutes)
		want := func(sku string, quantity int64) *eventv1.Line { return &eventv1.Line{Sku: sku, Quantity: quantity} }
		sound, short, unknown, none, late := s.ghost(), s.ghost(), s.ghost(), s.ghost(), s.ghost()
		for _, id := range []string{sound, short, unknown} {
			s.expectParked(id, reasonUnknownOrder)
		}
		const badID = "order-7"
		s.expectParked(badID, event.ReasonBadEvent)
		s.expectParked(none, event.ReasonBadEvent)
		s.expectParked(late, "ORDER_UNKNOWN")
		s.inject(s.orderEvents(event.TagCreated,
			orderEvent(badID, later, want(tea, 1)),
			eventOf(real),
			orderEvent(sound, later, want(tea, 2)),
			orderEvent(none, later, want(tea, 0)),
			orderEvent(short, later, want(tea, 1000)),
			orderEvent(late, time.Now().Add(-time.Second), want(tea, 1)),
			orderEvent(sound, later, want(tea, 2)),
			orderEvent(unknown, later, want(tea, 1), want(s.sku("nothing"), 1)),
		))

		for _, p := range []parkedMessage{
			{badID, event.ReasonBadEvent}, {none, event.ReasonBadEvent}, {late, "ORDER_UNKNOWN"},
			{sound, reasonUnknownOrder}, {short, reasonUnknownOrder}, {unknown, reasonUnknownOrder},
		} {
			s.waitParked(p.orderID, p.reason)
		}
		for id, status := range map[string]inventoryv1.ReservationStatus{
			real.GetOrderId(): heldNow, sound: heldNow, short: refused, unknown: refused,
		} {
			s.wantReservation(&orderv1.Order{OrderId: id}, status, 1)
		}
		s.waitStock(tea, 7, 3, 0)
		s.waitMetric(2, "mq_messages_handled_total", []string{s.names.InventoryOrderEvents, "ok"}, s.inventory)
		if n := s.metric(s.inventory, "mq_messages_handled_total", s.names.InventoryOrderEvents, "retry"); n != 0 {
			t.Errorf("%v deliveries came back: what is parked must not take the others with it", n)
		}
		s.audit()
	})
}
