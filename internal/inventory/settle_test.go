package inventory_test

import (
	"testing"
	"time"

	"orderflow/internal/event"
	"orderflow/internal/inventory"
)

func TestPaidSellsWhatIsHeld(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.newOrder(line("A", 4))
		w.must(w.orderEvents(event.TagCreated, o))
		w.clock.Advance(time.Second)
		paid := w.orderEvents(event.TagPaid, o)
		w.sent.failures = 1
		w.again(paid)
		w.must(paid)
		w.must(w.orderEvents(event.TagCreated, o))
		w.expectStock("A", 6, 0, 4)
		r := w.expectReservation(o, inventory.StatusSold, 2)
		if r.UpdatedAt != w.clock.Now().UnixMilli() || r.CreatedAt == r.UpdatedAt {
			t.Errorf("times: %+v", r)
		}
		w.expectSent(o, "reserved 1", "sold 2", "sold 2")
	})
}

func TestClosedGivesBackWhatIsHeld(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.receive("B", 10)
		other := w.newOrder(line("A", 3)) // would lose what is returned twice
		o := w.newOrder(line("A", 4), line("B", 10))
		w.must(w.orderEvents(event.TagCreated, other))
		w.must(w.orderEvents(event.TagCreated, o))
		w.take()
		closed := w.orderEvents(event.TagClosed, o)
		w.sent.failures = 1
		w.again(closed)
		w.must(closed)
		w.must(closed)
		w.expectStock("A", 7, 3, 0)
		w.expectStock("B", 10, 0, 0)
		if r := w.expectReservation(o, inventory.StatusReleased, 2); len(r.Lines) != 2 {
			t.Errorf("lines of the released reservation: %v", r.Lines)
		}
		w.expectSent(o, "released 2", "released 2")
	})
}

// T34: `paid` overtakes `created`: held and sold in one step, and `created` later
// changes nothing.
func TestT34PaidBeforeCreated(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.newOrder(line("A", 4))
		w.must(w.orderEvents(event.TagPaid, o))
		w.must(w.orderEvents(event.TagCreated, o))
		w.expectStock("A", 6, 0, 4)
		w.expectReservation(o, inventory.StatusSold, 1)
		w.expectSent(o, "sold 1", "sold 1")
	})
}

// `paid` without a reservation and without stock leaves nothing behind but the
// parked event: once goods have arrived, its replay sells.
func TestPaidButShortIsParkedAndCanBeReplayed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 3)
		o := w.newOrder(line("A", 4))
		w.must(w.orderEvents(event.TagPaid, o))
		w.expectStock("A", 3, 0, 0)
		w.expectSent(o)
		if _, err := w.store.Reservation(t.Context(), o.id); err == nil {
			t.Error("a reservation was left behind")
		}
		parked := w.expectParked(inventory.ReasonPaidButShort)
		w.receive("A", 1)
		w.must(parked[0].Parked.Message)
		w.expectStock("A", 0, 0, 4)
		w.expectSent(o, "sold 1")
	})
}

// Every contradiction of the table is parked with its reason, and changes
// nothing.
func TestContradictionsAreParked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before []event.Tag
		then   event.Tag
		reason string
		status inventory.Status
	}{
		"closed after sold":   {[]event.Tag{event.TagCreated, event.TagPaid}, event.TagClosed, inventory.ReasonClosedAfterSold, inventory.StatusSold},
		"paid after rejected": {[]event.Tag{event.TagCreated}, event.TagPaid, inventory.ReasonPaidAfterRejected, inventory.StatusRejected},
		"paid after released": {[]event.Tag{event.TagCreated, event.TagClosed}, event.TagPaid, inventory.ReasonPaidAfterReleased, inventory.StatusReleased},
		"timer without order, reserved": {
			[]event.Tag{event.TagCreated}, event.TagTimeout, inventory.ReasonReservedNoOrder, inventory.StatusReserved,
		},
		"timer without order, sold": {
			[]event.Tag{event.TagPaid}, event.TagTimeout, inventory.ReasonSoldNoOrder, inventory.StatusSold,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				if c.status != inventory.StatusRejected {
					w.receive("A", 10)
				}
				o := unknownOrder(w, line("A", 4))
				for _, tag := range c.before {
					w.must(w.orderEvents(tag, o))
				}
				before, err := w.store.Reservation(t.Context(), o.id)
				if err != nil {
					t.Fatal(err)
				}
				w.take()
				m := w.orderEvents(event.TagPaid, o)
				if c.then == event.TagTimeout {
					w.clock.Advance(window)
					m = w.timer(o)
				} else {
					m.Tag = string(c.then)
				}
				w.must(m)
				w.expectParked(c.reason)
				w.expectSent(o)
				w.expectReservation(o, c.status, before.Version)
			})
		})
	}
}

// A timer whose order never came to be is a no-op, also where the reservation is
// a tombstone or a rejection.
func TestTimerOfUnknownOrderIsIgnored(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		none, rejected, tombstone := unknownOrder(w), unknownOrder(w, line("A", 1)), unknownOrder(w, line("A", 1))
		w.must(w.orderEvents(event.TagCreated, rejected))
		w.must(w.orderEvents(event.TagClosed, tombstone))
		w.take()
		w.clock.Advance(window)
		w.must(w.timer(none, rejected, tombstone))
		w.expectSent(none)
		w.expectParked()
		if _, err := w.store.Reservation(t.Context(), none.id); err == nil {
			t.Error("a timer made a reservation")
		}
		w.expectReservation(rejected, inventory.StatusRejected, 1)
		w.expectReservation(tombstone, inventory.StatusReleased, 1)
	})
}
