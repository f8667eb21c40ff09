package inventory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
)

// reservedOrder is an order whose stock is held; what it sent is taken away.
func (w *world) reservedOrder(sku string, quantity int64) *order {
	w.t.Helper()
	o := w.newOrder(line(sku, quantity))
	w.must(w.orderEvents(event.TagCreated, o))
	w.take()
	return o
}

// T32: inventory's own view decides nothing. Stock goes back if and only if the
// order service says that the order is closed; here a payment commits while it
// is being asked.
func TestT32ReleasesOnlyWhatIsClosed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		paid, unpaid := w.reservedOrder("A", 4), w.reservedOrder("A", 3)
		w.clock.Advance(window)
		w.orders.onAsk = func() { w.orders.set(paid, paidOutcome) }
		w.must(w.timer(paid, unpaid))
		w.expectStock("A", 6, 4, 0)
		w.expectReservation(paid, inventory.StatusReserved, 1)
		w.expectReservation(unpaid, inventory.StatusReleased, 2)
		w.expectSent(unpaid, "released 2")
		if w.orders.calls() != 1 || len(w.orders.asked[0]) != 2 {
			t.Errorf("asked %v, want both in one call", w.orders.asked)
		}
		w.must(w.orderEvents(event.TagPaid, paid))
		w.expectStock("A", 6, 0, 4)
	})
}

// T32: without an answer, or with one that this program does not know, nothing
// goes back and the timer comes again.
func TestT32WithoutAnAnswerNothingGoesBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o, strange := w.reservedOrder("A", 4), w.reservedOrder("A", 3)
		w.clock.Advance(window)
		w.orders.set(strange, orderv1.CloseOutcome(99))
		w.orders.failures = 1
		both := w.timer(o, strange)
		w.again(both)
		w.expectStock("A", 3, 7, 0)
		w.again(both) // one is released, for the other one it comes again
		w.expectStock("A", 7, 3, 0)
		w.orders.set(strange, closedOutcome)
		w.must(both)
		w.expectStock("A", 10, 0, 0)
	})
}

// T33: the order is closed, but the reply is lost, or inventory dies before it
// has given the stock back. The redelivery sees it closed and gives it back once.
func TestT33ReplyLostThenReleasedOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.reservedOrder("A", 3)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window)
		w.orders.lostReply = true
		w.again(w.timer(o))
		w.expectStock("A", 3, 7, 0)
		w.orders.lostReply = false
		w.sent.failures = 1
		w.again(w.timer(o))
		w.must(w.timer(o))
		w.must(w.orderEvents(event.TagClosed, o))
		w.expectStock("A", 7, 3, 0)
		w.expectReservation(o, inventory.StatusReleased, 2)
		w.expectSent(o, "released 2", "released 2")
	})
}

// T25: a timer that is early by a little waits for its time, by our clock.
func TestT25EarlyTimerWaits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window - 4999*time.Millisecond)
		done := make(chan error, 1)
		go func() { done <- w.deliver(w.timer(o)) }()
		eventually(t, "the handler to wait", func() bool { return w.clock.Waiting() == 1 })
		if w.orders.calls() != 0 {
			t.Error("asked before the due time")
		}
		w.clock.Advance(4999 * time.Millisecond)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		w.expectStock("A", 10, 0, 0)
	})
}

// T25: one that is early by more is redelivered, and so is one whose handler's
// time is up.
func TestT25VeryEarlyTimerComesAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window - 5*time.Second)
		w.again(w.timer(o))
		w.clock.Advance(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.service.HandlePaymentTimeouts(ctx, w.timer(o)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		w.expectStock("A", 6, 4, 0)
		if w.orders.calls() != 0 {
			t.Error("asked before the due time")
		}
	})
}

// The window was extended: the old timer is acknowledged and changes nothing.
func TestTimerOfExtendedOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		old := w.timer(o)
		o.due = o.due.Add(time.Hour)
		w.clock.Advance(window)
		w.must(old)
		w.expectStock("A", 6, 4, 0)
		w.clock.Advance(time.Hour)
		w.must(w.timer(o))
		w.expectStock("A", 10, 0, 0)
	})
}

// The order service's clock is behind ours: it is asked again, and only about
// the order that it does not see due.
func TestTimerWaitsForTheOrderServicesClock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o, paid := w.reservedOrder("A", 4), w.reservedOrder("A", 1)
		w.orders.set(paid, paidOutcome)
		w.clock.Advance(window)
		w.orders.slow = 1500 * time.Millisecond
		done := make(chan error, 1)
		go func() { done <- w.deliver(w.timer(o, paid)) }()
		for range 2 {
			eventually(t, "the handler to wait", func() bool { return w.clock.Waiting() == 1 })
			w.clock.Advance(time.Second)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		w.expectStock("A", 9, 1, 0)
		if n := w.orders.calls(); n != 3 || len(w.orders.asked[1]) != 1 {
			t.Errorf("asked %v", w.orders.asked)
		}
	})
}

// It stays behind for too long: the timer comes again.
func TestTimerDoesNotWaitForeverForTheOrderServicesClock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window)
		w.orders.slow = time.Minute
		done := make(chan error, 1)
		go func() { done <- w.deliver(w.timer(o)) }()
		for range 4 {
			eventually(t, "the handler to wait", func() bool { return w.clock.Waiting() == 1 })
			w.clock.Advance(time.Second)
		}
		if err := <-done; err == nil {
			t.Error("acknowledged")
		}
		w.expectStock("A", 6, 4, 0)
		w.clock.Advance(time.Minute)
		w.must(w.timer(o))
		w.expectStock("A", 10, 0, 0)
	})
}
