package inventory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"orderflow/internal/crashpoint"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/mq/message"
)

// Each crash point lies where its name says: what stands before it has happened
// when it is reached, and what stands after it has not.
func TestCrashPointsLieBetweenTheSteps(t *testing.T) {
	t.Parallel()
	for point, c := range map[crashpoint.Name]struct {
		message       func(w *world, o *order) message.Message
		asked, closed bool
		status        inventory.Status
		version       int64
	}{
		crashpoint.InventoryBeforeClose: {(*world).timerOf, false, false, inventory.StatusReserved, 1},
		crashpoint.InventoryAfterClose:  {(*world).timerOf, true, true, inventory.StatusReserved, 1},
		crashpoint.InventoryAfterCommit: {(*world).closedOf, false, false, inventory.StatusReleased, 2},
	} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				w.receive("A", 10)
				o := w.reservedOrder("A", 4)
				w.clock.Advance(window)
				reached := filepath.Join(t.TempDir(), "reached")
				armed, err := crashpoint.Parse(fmt.Sprintf("%s=pause:%s", point, reached))
				if err != nil {
					t.Fatal(err)
				}
				w.arm(armed)
				done := make(chan error, 1)
				go func() { done <- w.deliver(c.message(w, o)) }()
				eventually(t, "the crash point", func() bool { _, err := os.Stat(reached); return err == nil })
				w.expectReservation(o, c.status, c.version)
				w.expectSent(o)
				if asked, closed := w.orders.calls() > 0, w.orders.outcomeOf(o) == closedOutcome; asked != c.asked || closed != c.closed {
					t.Errorf("asked %v, closed %v; want %v, %v", asked, closed, c.asked, c.closed)
				}
				if err := os.Remove(reached); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				w.expectStock("A", 10, 0, 0)
				w.expectSent(o, "released 2")
			})
		})
	}
}

func (w *world) timerOf(o *order) message.Message  { return w.timer(o) }
func (w *world) closedOf(o *order) message.Message { return w.orderEvents(event.TagClosed, o) }
