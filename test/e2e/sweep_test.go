package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/process"
)

// What the sweepers have mended, by their metrics.
const (
	healedByOrder     = "order_sweeper_healed_total"
	healedByInventory = "inventory_sweeper_healed_total"
)

// sweeping are settings of either service by which its sweeper does within seconds what
// takes it minutes in production.
func sweeping(more ...string) []string {
	return append([]string{"--sweep-interval=100ms", "--sweep-grace=1s"}, more...)
}

// newSweeping is a new system whose sweepers are quick.
func newSweeping(t *testing.T, on stack, p plan) *system {
	t.Helper()
	s := newDeployment(t, on, p)
	s.startSweeping()
	return s
}

// startSweeping is startBoth with quick sweepers.
func (s *system) startSweeping() {
	s.t.Helper()
	s.useOrder(s.startOrder(sweeping("--resend-after=1s")...))
	s.useInventory(s.startInventory(sweeping()...))
	s.waitReady(s.order, s.inventory)
}

// waitHealed waits until the order's sweeper has mended n orders about which inventory
// seemed to lack the event, such as "created".
func (s *system) waitHealed(n int, event string) {
	s.t.Helper()
	s.waitMetric(float64(n), healedByOrder, []string{event + "_unconfirmed"}, s.order)
}

// hang keeps a service that is a process from doing anything, with its connections open,
// until it is told to go on.
func (s *system) hang(i *instance) (goOn func()) {
	s.t.Helper()
	p, ok := i.running.(*process.Process)
	if !ok {
		s.t.Fatalf("%s is no process", i.service)
	}
	goOn = func() { _ = p.Signal(syscall.SIGCONT) } // harmless if it has gone on
	s.t.Cleanup(goOn)                               // so that it can be ended
	s.must(p.Signal(syscall.SIGSTOP))
	return goOn
}

// Stock events get lost when the broker has acknowledged them: inventory has reserved,
// refused, sold and given back, and nobody knows. The sweeper asks by sending the order's
// event again, and inventory, which does nothing twice, says how it stands. (T45: so it
// is with a refusal.)
func TestT45StockEventsAreLost(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSweeping(t, on, plan{})
		tea := s.stocked("tea", 20)
		orders := make([]*orderv1.Order, 8)
		for i := range orders {
			orders[i] = s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)
		}
		bought, cancelled := orders[:4], orders[4:]

		s.stop(s.inventory)
		for _, o := range bought {
			s.wantPaid(s.pay(o))
		}
		for _, o := range cancelled {
			s.callOff(o)
		}
		var fresh, short []*orderv1.Order
		for range 4 {
			fresh = append(fresh, s.place(tenMinutes, line(tea, 1)))
			short = append(short, s.place(tenMinutes, line(s.sku("nothing"), 1)))
		}
		s.stop(s.order) // before inventory has anything to tell it
		s.useInventory(s.restart(s.inventory))
		s.waitReady(s.inventory)
		s.waitStock(tea, 12, 4, 4)
		const all = 16
		s.waitUnread(all)
		s.loseTopic(s.names.StockEvents)
		s.useOrder(s.restart(s.order))

		began := time.Now()
		for i := range 4 {
			s.waitStatus(fresh[i], reserved)
			s.waitClosed(short[i], outOfStock)
		}
		t.Logf("order-srv knows all %s after its start", time.Since(began).Round(time.Millisecond))
		s.eventually(waitTimeout, s.unsettled)
		for event, n := range map[string]int{"created": 8, "paid": 4, "closed": 4} {
			if on == onReal { // a busy RocketMQ delivers an event twice, which heals as well
				n = 1
			}
			s.waitHealed(n, event)
		}
		s.waitStock(tea, 12, 4, 4)
		s.wantReservation(fresh[0], heldNow, 1)
		s.wantReservation(short[0], refused, 1)
		s.wantReservation(bought[0], soldForGood, 2)
		s.wantReservation(cancelled[0], givenBack, 2)
		s.wantTimeline(short[0], "sent again: the order is PLACED")
		s.wantTimeline(bought[0], "healed: the sweeper had sent paid again")
		s.audit()
	})
}

// waitUnread waits until the broker has so many stock events that order-srv, which does
// not run, has not read.
func (s *system) waitUnread(n int64) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		ctx, cancel := s.call()
		defer cancel()
		lag, err := s.admin.Lag(ctx, s.names.OrderStockEvents, s.names.StockEvents)
		s.must(err)
		if lag < n {
			return fmt.Sprintf("order-srv has %d stock events to read, want %d", lag, n)
		}
		return ""
	})
}

// loseTopic has the broker lose a topic with all its messages, and waits until the
// services that run have made it again.
func (s *system) loseTopic(name string) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	s.must(s.admin.DeleteTopic(ctx, name))
	s.eventually(waitTimeout, func() string {
		ctx, cancel := s.call()
		defer cancel()
		if err := s.admin.CheckTopic(ctx, name); err != nil {
			return err.Error()
		}
		return ""
	})
}

// callOff cancels an order that can be cancelled.
func (s *system) callOff(o *orderv1.Order) {
	s.t.Helper()
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*orderv1.CancelOrderResponse, error) {
		return s.orderClient.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: o.GetOrderId(), Reason: "changed their mind"})
	})
	s.must(err)
	if now := answer.GetOrder(); now.GetStatus() != closed {
		s.t.Fatalf("order %s is %s, want CLOSED", now.GetOrderId(), now.GetStatus())
	}
}

// wantTimeline checks that what both services tell of the order has the texts.
func (s *system) wantTimeline(o *orderv1.Order, texts ...string) {
	s.t.Helper()
	timeline := s.orderctl(0, "order", "timeline", o.GetOrderId())
	for _, text := range texts {
		if !strings.Contains(timeline, text) {
			s.t.Errorf("the timeline does not say %q:\n%s", text, timeline)
		}
	}
}

// Two of each service sweep at once, under load, while the broker loses events of both
// kinds: each order ends once, and what it holds is held once.
func TestManySweepersDoNothingTwice(t *testing.T) {
	onStacks(t, needs{manyReplicas}, func(t *testing.T, on stack) {
		s := newSweeping(t, on, plan{})
		orders := []*instance{s.order, s.startOrder(sweeping("--resend-after=1s")...)}
		inventories := []*instance{s.inventory, s.startInventory(sweeping()...)}
		s.waitReady(orders[1], inventories[1])
		tea := s.stocked("tea", 1_000_000)
		load := s.startLoad(tea)
		load.waitAcknowledged(50)

		goOn := []func(){s.hang(inventories[0]), s.hang(inventories[1])}
		late := s.inParallel(20, expiring, tea)
		load.waitAcknowledged(load.acknowledged.Load() + 50)
		s.loseTopic(s.names.OrderEvents)
		for _, f := range goOn {
			f()
		}
		load.waitAcknowledged(load.acknowledged.Load() + 50)
		s.loseTopic(s.names.StockEvents)
		load.waitAcknowledged(load.acknowledged.Load() + 50)
		load.stop()
		t.Logf("%d orders acknowledged, %d calls refused", load.acknowledged.Load(), load.refused.Load())
		began := time.Now()
		for _, o := range late {
			s.waitClosed(o, timedOut)
		}
		s.eventually(waitTimeout, s.unsettled)
		t.Logf("all is as it should be %s later", time.Since(began).Round(time.Millisecond))

		s.waitMetric(50, healedByOrder, []string{"created_unconfirmed"}, orders...)
		if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE status = 1 AND version <> 1"); n > 0 {
			t.Errorf("%d reservations are not what one reservation leaves", n)
		}
		if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE status <> 1"); n != len(late) {
			t.Errorf("%d reservations have ended, want those of the %d orders that nobody paid", n, len(late))
		}
		s.audit()
	})
}
