package inventory_test

import (
	"testing"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
)

const (
	paidOutcome   = orderv1.CloseOutcome_CLOSE_OUTCOME_PAID
	closedOutcome = orderv1.CloseOutcome_CLOSE_OUTCOME_CLOSED
)

func TestCreatedHoldsEveryLine(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.receive("B", 10)
		o := w.newOrder(line("B", 3), line("A", 10)) // unsorted on purpose
		w.must(w.orderEvents(event.TagCreated, o))
		w.expectStock("A", 0, 10, 0)
		w.expectStock("B", 7, 3, 0)
		r := w.expectReservation(o, inventory.StatusReserved, 1)
		if len(r.Lines) != 2 || r.Lines[0].SKU != "A" || r.ExpiresAt != o.due.UnixMilli() {
			t.Errorf("reservation: %+v", r)
		}
		sent := w.take()
		want := &eventv1.StockEvent{OrderId: o.id, Version: 1, OccurredAtMs: w.clock.Now().UnixMilli()}
		if len(sent) != 1 || sent[0].Tag != "reserved" || sameEvent(want, sent[0].Event) != "" {
			t.Errorf("sent %v, want %v", sent, want)
		}
	})
}

// T42: SKU1 is there, SKU2 is short, SKU3 unknown: nothing is held, and the
// rejection names SKU2 and SKU3, also when it is sent again.
func TestT42ShortLineHoldsNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("SKU1", 10)
		w.receive("SKU2", 1)
		o := w.newOrder(line("SKU1", 5), line("SKU2", 2), line("SKU3", 1))
		w.must(w.orderEvents(event.TagCreated, o))
		w.receive("SKU2", 100) // the decision stands
		w.must(w.orderEvents(event.TagCreated, o))
		w.expectStock("SKU1", 10, 0, 0)
		w.expectStock("SKU2", 101, 0, 0)
		w.expectReservation(o, inventory.StatusRejected, 1)
		sent := w.take()
		if len(sent) != 2 {
			t.Fatalf("sent %v", sent)
		}
		want := &eventv1.StockEvent{OrderId: o.id, Version: 1, OccurredAtMs: w.clock.Now().UnixMilli(), Shortages: []*eventv1.Shortage{
			{Sku: "SKU2", Requested: 2, Available: 1}, {Sku: "SKU3", Requested: 1, UnknownSku: true},
		}}
		for _, got := range sent {
			if diff := sameEvent(want, got.Event); diff != "" || got.Tag != "rejected" {
				t.Errorf("%s:\n%s", got.Tag, diff)
			}
		}
	})
}

// T40: the message comes again, because the acknowledgement was lost, or because
// the stock event could not be sent after the commit. Stock is held once, and the
// state is told each time.
func TestT40RedeliveryHoldsOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.newOrder(line("A", 4))
		created := w.orderEvents(event.TagCreated, o)
		w.sent.failures = 2
		w.again(created)
		w.expectStock("A", 6, 4, 0)
		w.again(created)
		w.expectSent(o)
		w.must(created)
		w.must(created)
		w.expectStock("A", 6, 4, 0)
		w.expectReservation(o, inventory.StatusReserved, 1)
		w.expectSent(o, "reserved 1", "reserved 1")
	})
}

// T44: the order is closed before its `created` arrives: the tombstone keeps the
// late one from holding anything.
func TestT44ReleaseBeforeReserve(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.newOrder(line("A", 4))
		w.must(w.orderEvents(event.TagClosed, o))
		if r := w.expectReservation(o, inventory.StatusReleased, 1); len(r.Lines) != 0 {
			t.Errorf("a tombstone with lines: %+v", r)
		}
		w.must(w.orderEvents(event.TagCreated, o))
		w.expectStock("A", 10, 0, 0)
		w.expectReservation(o, inventory.StatusReleased, 1)
		w.expectSent(o, "released 1", "released 1")
	})
}

// T23: `created` failed until after the timeout. The order was closed meanwhile:
// asked first, it takes nothing, whether or not its timer has left a tombstone.
func TestT23CreatedAfterDueTimeOfClosedOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		withTimer, without := w.newOrder(line("A", 4)), w.newOrder(line("A", 4))
		w.clock.Advance(window)
		w.must(w.timer(withTimer))
		w.must(w.orderEvents(event.TagCreated, withTimer, without))
		w.expectStock("A", 10, 0, 0)
		w.expectReservation(withTimer, inventory.StatusReleased, 1)
		w.expectReservation(without, inventory.StatusReleased, 1)
		if w.orders.calls() != 2 {
			t.Errorf("the order service was asked %d times, want once per envelope: %v", w.orders.calls(), w.orders.asked)
		}
	})
}

func TestCreatedAfterDueTimeOfPaidOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o, short := w.newOrder(line("A", 4)), w.newOrder(line("A", 7))
		w.orders.set(o, paidOutcome)
		w.orders.set(short, paidOutcome)
		w.clock.Advance(window)
		w.must(w.orderEvents(event.TagCreated, o, short))
		w.expectStock("A", 6, 0, 4)
		w.expectReservation(o, inventory.StatusSold, 1)
		w.expectSent(o, "sold 1")
		w.expectParked(inventory.ReasonPaidButShort)
	})
}

func TestCreatedAfterDueTimeOfExtendedOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.newOrder(line("A", 4))
		created := w.orderEvents(event.TagCreated, o)
		o.due = o.due.Add(window)
		w.clock.Advance(window)
		w.must(created)
		w.expectStock("A", 6, 4, 0)
		if r := w.expectReservation(o, inventory.StatusReserved, 1); r.ExpiresAt != o.due.UnixMilli() {
			t.Errorf("expires at %d, want the extended %d", r.ExpiresAt, o.due.UnixMilli())
		}
	})
}

// A late `created` of an order that does not exist is parked; one whose order
// service is down comes again, and does not hold up its neighbour.
func TestCreatedAfterDueTimeWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		late := unknownOrder(w, line("A", 4))
		w.clock.Advance(window)
		live := w.newOrder(line("A", 1))
		both := w.orderEvents(event.TagCreated, late, live)
		w.orders.failures = 1
		w.again(both)
		w.expectParked()
		w.expectReservation(live, inventory.StatusReserved, 1)
		w.must(both)
		w.expectParked(inventory.ReasonCreatedOrderUnknown)
		w.expectStock("A", 9, 1, 0)
	})
}

// A `created` in time is nobody's question: orders are reserved while the order
// service is down.
func TestCreatedInTimeAsksNobody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.must(w.orderEvents(event.TagCreated, unknownOrder(w, line("A", 4))))
		w.expectStock("A", 6, 4, 0)
		if w.orders.calls() != 0 {
			t.Error("the order service was asked")
		}
	})
}
