package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/assembly"
)

// The timer comes nine times, at every inventory-srv at once.
func TestT24TheTimerComesManyTimes(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		group := s.names.InventoryOrderTimeouts
		before := map[*instance]float64{}
		for _, i := range s.replicas(assembly.InventoryService) {
			before[i] = s.metric(i, "mq_messages_handled_total", group)
		}

		o := s.place(expiring, line(tea, 4))
		s.waitStatus(o, reserved)
		for range 8 { // two for each queue; they wait together until the order is due
			s.inject(s.timer(o))
		}
		s.waitClosed(o, timedOut)
		s.waitStock(tea, 10, 0, 0)
		s.waitLag(group, s.names.OrderTimeouts)
		for i, n := range before {
			if s.metric(i, "mq_messages_handled_total", group) < n+2 {
				t.Errorf("inventory-srv at %s had no part of the timers: the test proves nothing", i.GRPC())
			}
		}
		s.wantReservation(o, givenBack, 2)
		s.waitStock(tea, 10, 0, 0)
		s.audit()
	})
}

// Payments arrive around the end of the payment window, when the timer does. Each
// order is either paid and sold, or closed and given back.
func TestT30PaymentsRaceWithTheTimer(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		var s *system
		if on.has(aClockToPush) {
			s = newSystem(t, on) // a push would disturb others
		} else {
			s = sharedSystem(t, on)
		}
		const orders = 16
		tea := s.stocked("tea", orders)
		all := make([]*orderv1.Order, orders)
		for i := range all {
			all[i] = s.place(20*time.Second, line(tea, 1))
		}
		for _, o := range all {
			s.waitStatus(o, reserved)
		}
		if on.has(aClockToPush) {
			s.pushTo(all[0].GetExpiresAt().AsTime().Add(-time.Second))
		}
		outcomes := make([]*orderv1.PayOrderResponse, orders)
		errs := make([]error, orders)
		var payers sync.WaitGroup
		for i, o := range all {
			payers.Go(func() {
				early := time.Duration(orders/2-i) * 15 * time.Millisecond // 120 ms before to 105 ms after
				s.until(o.GetExpiresAt().AsTime().Add(-early))
				ctx, cancel := s.call()
				defer cancel()
				outcomes[i], errs[i] = s.orderClient.PayOrder(ctx, payment(o))
			})
		}
		payers.Wait()
		sold := int64(0)
		for i, o := range all {
			s.must(errs[i])
			if outcomes[i].GetOutcome() == orderv1.PaymentOutcome_PAYMENT_OUTCOME_PAID {
				s.waitStatus(o, paid)
				sold++
			} else {
				s.waitClosed(o, timedOut)
			}
		}
		t.Logf("%d of %d payments were in time", sold, orders)
		s.waitStock(tea, orders-sold, 0, sold)
		s.audit()
	})
}

// waitLag waits until the group has acknowledged every message of the topic.
func (s *system) waitLag(group, topic string) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		ctx, cancel := s.call()
		defer cancel()
		lag, err := s.admin.Lag(ctx, group, topic)
		s.must(err)
		if lag > 0 {
			return fmt.Sprintf("%s has %d messages of %s to handle", group, lag, topic)
		}
		return ""
	})
}
