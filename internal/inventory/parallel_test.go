package inventory_test

import (
	"slices"
	"testing"

	"orderflow/internal/event"
	"orderflow/internal/inventory"
)

// T24: the timer is delivered to many handlers at once, with the `closed` event
// in between: stock goes back once. The other order's stock would go if it did
// not.
func TestT24TimeoutTwiceInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 100)
		w.reservedOrder("A", 60)
		o := w.reservedOrder("A", 4)
		w.clock.Advance(window)
		timer, closed := w.timer(o), w.orderEvents(event.TagClosed, o)
		parallel(t, 20, func(i int) error {
			if i%2 == 0 {
				return w.deliver(timer)
			}
			return w.deliver(closed)
		})
		w.expectStock("A", 40, 60, 0)
		w.expectReservation(o, inventory.StatusReleased, 2)
		w.expectSent(o, slices.Repeat([]string{"released 2"}, 20)...)
	})
}

// T41: the same `created` runs on many instances at once during a rebalance: one
// holds, all others find it held and say so.
func TestT41CreatedManyTimesInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 100)
		const rounds = 8
		for range rounds {
			o := w.newOrder(line("A", 4))
			created := w.orderEvents(event.TagCreated, o)
			parallel(t, 10, func(int) error { return w.deliver(created) })
			w.expectSent(o, slices.Repeat([]string{"reserved 1"}, 10)...)
		}
		w.expectStock("A", 100-4*rounds, 4*rounds, 0)
	})
}

// `created` and `closed` of one order meet: whichever is first, nothing stays
// held and nobody fails.
func TestCreatedAndClosedInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 100)
		for range 10 {
			o := w.newOrder(line("A", 4))
			created, closed := w.orderEvents(event.TagCreated, o), w.orderEvents(event.TagClosed, o)
			parallel(t, 6, func(i int) error {
				if i%2 == 0 {
					return w.deliver(created)
				}
				return w.deliver(closed)
			})
		}
		w.expectStock("A", 100, 0, 0)
	})
}

// T43: 500 orders of (A, B) and (B, A) at once: no deadlock reaches a handler.
func TestT43OppositeLinesInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const orders = 500
		w.receive("A", orders)
		w.receive("B", orders)
		parallel(t, orders, func(i int) error {
			lines := []*order{w.newOrder(line("A", 1), line("B", 1)), w.newOrder(line("B", 1), line("A", 1))}
			return w.deliver(w.orderEvents(event.TagCreated, lines[i%2]))
		})
		w.expectStock("A", 0, orders, 0)
		w.expectStock("B", 0, orders, 0)
	})
}

// T47: 500 buyers for 100 units: exactly 100 get one, the others are told why
// not.
func TestT47ManyBuyersForFewUnits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const buyers, units = 500, 100
		w.receive("A", units)
		parallel(t, buyers, func(int) error {
			return w.deliver(w.orderEvents(event.TagCreated, w.newOrder(line("A", 1))))
		})
		w.expectStock("A", 0, units, 0)
		count := map[string]int{}
		for _, e := range w.take() {
			count[e.Tag]++
		}
		if count["reserved"] != units || count["rejected"] != buyers-units {
			t.Errorf("told: %v", count)
		}
		w.expectParked()
	})
}
