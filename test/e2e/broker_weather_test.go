package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// weather is what happens to messages on their way.
type weather struct {
	name   string
	copies int // of each order event, at least
	broker []devbroker.Option
	faults []devbroker.Fault
}

func weathers() []weather {
	twice, late := devbroker.Duplicate(), devbroker.Delay(300*time.Millisecond)
	drop, reorder := devbroker.Drop(), devbroker.Reorder()
	return []weather{
		{"messages are stored twice", 2, nil, []devbroker.Fault{{Code: remoting.RequestSendMessage, Action: twice}}},
		{"check-backs come twice", 1, nil, []devbroker.Fault{
			{Code: remoting.RequestEndTransaction, Times: 10, Action: drop},
			{Code: remoting.RequestCheckTransaction, Action: twice},
		}},
		{
			"check-backs overtake commits", 2,
			[]devbroker.Option{devbroker.WithRepeatedCommits(), devbroker.WithCheckInterval(24 * time.Hour)},
			[]devbroker.Fault{{Code: remoting.RequestEndTransaction, Action: devbroker.Delay(1500 * time.Millisecond)}},
		},
		{"commits get lost", 1, nil, []devbroker.Fault{{Code: remoting.RequestEndTransaction, Times: 40, Action: drop}}},
		{"messages are out of order", 1, nil, []devbroker.Fault{{Code: remoting.RequestSendMessage, Action: reorder}}},
		{"commits are out of order", 1, nil, []devbroker.Fault{{Code: remoting.RequestEndTransaction, Action: reorder}}},
		{"messages come late", 1, nil, []devbroker.Fault{{Code: remoting.RequestPullMessage, Action: late}}},
		{"offsets are forgotten", 1, nil, []devbroker.Fault{{Code: remoting.RequestUpdateOffset, Action: drop}}},
		{"connections are cut", 1, nil, []devbroker.Fault{
			{Code: remoting.RequestSendMessage, Skip: 20, Times: 3, Action: devbroker.CutAfter()},
		}},
	}
}

// Whatever happens to messages between the services, each order ends as it should.
func TestWeather(t *testing.T) {
	onStacks(t, needs{aFailingBroker, aClockToPush}, func(t *testing.T, on stack) {
		for _, w := range weathers() {
			t.Run(w.name, func(t *testing.T) {
				t.Parallel()
				s := newDeployment(t, on, plan{brokerOptions: w.broker})
				s.startBoth()
				var faults []*devbroker.Injected
				for _, f := range w.faults {
					faults = append(faults, s.fail(f))
				}
				s.traffic(w.copies)
				for _, f := range faults {
					s.wantFired(f, max(1, f.Times))
				}
			})
		}
	})
}

// traffic places orders, at once: a third is paid, a third is left to expire, and a
// third wants what there is not. It restarts inventory-srv in between. In the end
// the broker must have seen each event in that many copies.
func (s *system) traffic(copies int) {
	s.t.Helper()
	const third = 8
	const orders = 3 * third
	tea := s.stocked("tea", orders)
	all := make([]*orderv1.Order, orders)
	errs := make([]error, orders)
	var buyers sync.WaitGroup
	for i := range all {
		sku := tea
		if i%3 == 2 {
			sku = s.sku("nothing")
		}
		buyers.Go(func() { all[i], errs[i] = s.insist(s.request(tenMinutes, line(sku, 1))) })
	}
	buyers.Wait()
	for i, o := range all {
		s.must(errs[i])
		if i%3 == 2 {
			s.waitClosed(o, outOfStock)
		} else {
			s.waitStatus(o, reserved)
		}
	}
	s.stop(s.inventory)
	s.useInventory(s.restart(s.inventory))
	for i, o := range all {
		if i%3 == 0 {
			s.wantPaid(s.pay(o))
		}
	}
	s.waitStock(tea, third, third, third)
	s.push(tenMinutes)
	s.pushUntilEnded()
	s.waitStock(tea, 2*third, 0, third)
	for i, o := range all {
		s.wantReservation(o, [...]inventoryv1.ReservationStatus{soldForGood, givenBack, refused}[i%3], [...]int64{2, 2, 1}[i%3])
	}
	s.eventually(waitTimeout, func() string { // each order was created, and paid or closed
		if n := s.sent(s.names.OrderEvents); n < 2*orders*copies {
			return fmt.Sprintf("%d order events were sent, want at least %d: the test proves nothing", n, 2*orders*copies)
		}
		return ""
	})
	s.audit()
	if n := s.count("SELECT COUNT(*) FROM {order}.orders"); n != orders {
		s.t.Errorf("%d orders are stored, want %d", n, orders)
	}
}

// sent is how many messages of a topic the broker has delivered to its queues.
func (s *system) sent(topic string) (n int) {
	for _, t := range s.embedded.Broker().Inspect().Topics {
		if t.Name == topic {
			for _, queue := range t.Queues {
				n += int(queue.Max)
			}
		}
	}
	return n
}
