package e2e

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"orderflow/internal/assembly"
	"orderflow/internal/crashpoint"
	"orderflow/internal/database"
	"orderflow/internal/mq/devbroker"

	orderv1 "orderflow/api/proto/order/v1"
)

// The local transaction is so slow that the timer comes before it, and means nothing to
// anybody. An order that was committed then would have no timer: so it is refused, and
// the repetition of the call places it anew.
func TestT21TheTimerComesBeforeTheCommit(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		// Where the broker can be told to, it does not ask: the check-back would end it sooner.
		s := newDeployment(t, on, plan{brokerOptions: []devbroker.Option{
			devbroker.WithTransactionTimeout(24 * time.Hour), devbroker.WithCheckInterval(24 * time.Hour),
		}})
		file := filepath.Join(t.TempDir(), "paused")
		s.useOrder(s.startOrder(pauses(crashpoint.OrderBeforeTransaction, file)))
		s.useInventory(s.startInventory())
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)

		request := s.request(expiring, line(tea, 4))
		answer := s.sendUntilPaused(request, file)
		s.waitMetric(1, "mq_messages_handled_total", []string{s.names.InventoryOrderTimeouts, "ok"}, s.inventory)
		s.resume(file)
		s.wantUnavailable((<-answer).err)
		s.wantNothingPlaced()

		s.stop(s.order)
		s.useOrder(s.restart(s.order))
		s.waitReady(s.order)
		o := s.waitClosed(s.send(request), timedOut)
		s.waitStock(tea, 10, 0, 0)
		s.wantReservation(o, givenBack, 2)
		s.audit()
	})
}

// The timer comes long before its time, by a broker with other delays, say. It waits, and
// takes no order away from those who pay in time.
func TestT25TheTimerComesEarly(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		const window = 10 * time.Second // more than a handler waits
		pays := s.waitStatus(s.place(window, line(tea, 1)), reserved)
		leaves := s.waitStatus(s.place(window, line(tea, 2)), reserved)
		var inventories []*instance
		var before float64
		again := []string{s.names.InventoryOrderTimeouts, "retry"}
		for _, i := range s.instances {
			if i.service == assembly.InventoryService {
				inventories = append(inventories, i)
				before += s.metric(i, "mq_messages_handled_total", again...)
			}
		}
		for range 2 {
			s.inject(s.timer(pays))
			s.inject(s.timer(leaves))
		}
		s.waitMetric(before+4, "mq_messages_handled_total", again, inventories...)
		s.wantPaid(s.pay(pays))
		o := s.waitClosed(leaves, timedOut)
		if early := o.GetExpiresAt().AsTime().Sub(o.GetUpdatedAt().AsTime()); early > 0 {
			t.Errorf("closed %s before its payment window ended", early)
		}
		s.waitStock(tea, 9, 0, 1)
		s.wantReservation(leaves, givenBack, 2)
		s.wantReservation(pays, soldForGood, 2)
		s.audit()
	})
}

// Inventory's database is down when orders are placed, and still when the window of some
// has ended: order-srv closes those. When it is back, `created` comes late, holds nothing
// for them, and the order that waits gets the stock.
func TestT23CreatedComesAfterTheEndOfTheWindow(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s, down := newWithOutages(t, on)
		tea := s.stocked("tea", 4)
		up := down()
		dead := []*orderv1.Order{s.place(expiring, line(tea, 4)), s.place(expiring, line(tea, 3))}
		live := s.place(tenMinutes, line(tea, 4))
		s.waitMetric(3, "mq_messages_handled_total", []string{s.names.InventoryOrderEvents, "retry"}, s.inventory)
		for _, o := range dead {
			s.waitClosed(o, timedOut)
			s.wantTimeline(o, "sweeper")
		}
		s.wantRefund(s.pay(dead[0]), orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)

		up()
		s.waitStatus(live, reserved)
		s.waitStock(tea, 0, 4, 0)
		s.eventually(waitTimeout, s.unsettled)
		for _, o := range dead {
			s.waitHeardOf(o) // for a closed order, nothing at inventory is well, too
			s.wantReservation(o, givenBack, 1)
		}
		s.waitLag(s.names.InventoryOrderEvents, s.names.OrderEvents)
		s.waitStock(tea, 0, 4, 0)
		s.audit()
	})
}

// newWithOutages is a new system with quick sweepers, and what takes inventory's database
// away, by its connections or by a lock that somebody else holds, until up is called.
func newWithOutages(t *testing.T, on stack) (s *system, down func() (up func())) {
	t.Helper()
	if on.has(aDatabaseToCut) {
		db := newProxy(t, mysqlAddress(t))
		s = newSweeping(t, on, plan{inventoryURL: db.behind})
		return s, func() func() {
			db.set(cutOff)
			return func() { db.set(passing) }
		}
	}
	s = newSweeping(t, on, plan{})
	return s, func() func() {
		db, err := database.Open(s.databases.url(assembly.InventoryService))
		s.must(err)
		conn, err := db.Pool().Conn(t.Context())
		s.must(err)
		_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
		s.must(err)
		return sync.OnceFunc(func() {
			_, err := conn.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK")
			s.must(err)
			s.must(conn.Close())
			s.must(db.Close())
		})
	}
}

// inParallel places so many orders at once and returns them all.
func (s *system) inParallel(n int, window time.Duration, sku string) []*orderv1.Order {
	s.t.Helper()
	all, errs := make([]*orderv1.Order, n), make([]error, n)
	var buyers sync.WaitGroup
	for i := range all {
		buyers.Go(func() { all[i], errs[i] = s.insist(s.request(window, line(sku, 1))) })
	}
	buyers.Wait()
	for _, err := range errs {
		s.must(err)
	}
	return all
}

// Inventory is away for longer than the windows of many orders. Those end all the same;
// and when it is back, the burst of what they have left behind takes nothing from the
// orders that wait.
func TestT26InventoryIsDownAcrossManyWindows(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSweeping(t, on, plan{})
		const units, many = 8, 60
		tea := s.stocked("tea", units)
		s.stop(s.inventory)
		dead := s.inParallel(many, expiring, tea)
		live := s.inParallel(units, tenMinutes, tea)
		for _, o := range dead {
			s.waitClosed(o, timedOut)
		}
		s.waitMetric(many, healedByOrder, []string{"overdue"}, s.order)
		s.wantRefund(s.pay(dead[0]), orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)

		s.useInventory(s.restart(s.inventory))
		for _, o := range live {
			s.waitStatus(o, reserved)
		}
		s.waitStock(tea, 0, units, 0)
		s.eventually(waitTimeout, s.unsettled)
		s.waitLag(s.names.InventoryOrderTimeouts, s.names.OrderTimeouts)
		if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE version <> 1"); n != 0 {
			t.Errorf("%d reservations have changed, want all to be as they were made", n)
		}
		s.waitStock(tea, 0, units, 0)
		s.audit()
	})
}

// The broker is away for longer than the windows of many orders. Without it no order can
// be closed, but none is paid any more either: the money goes back. When it is back, all
// overdue timers come at once, and the sweepers are at it, too.
func TestT26TheBrokerIsDownAcrossManyWindows(t *testing.T) {
	onStacks(t, needs{aBrokerToKill, aQuickRestart}, func(t *testing.T, on stack) {
		broker := newBroker(t, on)
		s := newSweeping(t, on, plan{broker: broker})
		const many = 40
		tea := s.stocked("tea", 100)
		live := s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)
		dead := s.inParallel(many, 10*time.Second, tea)
		for _, o := range dead {
			s.waitStatus(o, reserved)
		}
		s.killBroker(broker)
		s.until(dead[many-1].GetExpiresAt().AsTime().Add(time.Second))
		s.wantRefund(s.pay(dead[0]), orderv1.RefundReason_REFUND_REASON_PAST_DUE)
		if now := s.get(dead[0].GetOrderId()); now.GetStatus() != reserved {
			t.Errorf("order is %s without a broker, want RESERVED", now.GetStatus())
		}
		s.startBroker(broker)

		for _, o := range dead {
			s.waitClosed(o, timedOut)
		}
		s.wantPaid(s.pay(live))
		s.waitStock(tea, 99, 0, 1)
		if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE version <> 2"); n != 0 {
			t.Errorf("%d reservations have not changed just once", n)
		}
		s.audit()
	})
}
