package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// newUnchecked is a system whose broker asks about half messages only when the test
// has it do so.
func newUnchecked(t *testing.T, on stack, orderSettings ...string) *system {
	t.Helper()
	s := newDeployment(t, on, plan{brokerOptions: []devbroker.Option{
		devbroker.WithTransactionTimeout(24 * time.Hour), devbroker.WithCheckInterval(24 * time.Hour),
	}})
	s.useOrder(s.startOrder(orderSettings...))
	s.useInventory(s.startInventory())
	return s
}

// The commit of a half message gets lost: nothing is done until the broker asks,
// and all is then.
func TestALostCommitIsSettledByTheCheckBack(t *testing.T) {
	onStacks(t, needs{aFailingBroker}, func(t *testing.T, on stack) {
		s := newUnchecked(t, on)
		tea := s.stocked("tea", 10)

		lost := s.loseCommit()
		o := s.place(tenMinutes, line(tea, 4))
		s.waitHalf(lost, o)
		s.checkBack()
		o = s.waitStatus(o, reserved)
		s.waitStock(tea, 6, 4, 0)
		s.wantReservation(o, heldNow, 1)

		lost = s.loseCommit()
		s.wantPaid(s.pay(o))
		s.waitHalf(lost, o)
		s.waitStock(tea, 6, 4, 0) // nothing was sold
		s.checkBack()
		s.waitStock(tea, 6, 0, 4)
		s.wantReservation(o, soldForGood, 2)
		s.audit()
	})
}

// The commit of `created` gets lost, and the timer comes before the check-back: the
// order is closed, and the late `created` reserves nothing.
func TestTheTimerOvertakesCreated(t *testing.T) {
	onStacks(t, needs{aFailingBroker, aClockToPush}, func(t *testing.T, on stack) {
		s := newUnchecked(t, on)
		tea := s.stocked("tea", 10)
		lost := s.loseCommit()
		o := s.place(tenMinutes, line(tea, 4))
		s.waitHalf(lost, o)

		s.pushTo(o.GetExpiresAt().AsTime())
		s.waitClosed(o, timedOut)
		s.eventually(waitTimeout, func() string { return s.unsettled() })
		s.wantReservation(o, givenBack, 1)

		s.checkBack()
		s.waitMetric(2, "mq_messages_handled_total", []string{s.names.InventoryOrderEvents, "ok"}, s.inventory)
		s.wantReservation(o, givenBack, 1)
		s.waitStock(tea, 10, 0, 0)
		s.audit()
	})
}

// The broker has the timer, but its answer gets lost: the order is refused within
// the time that a transaction may take, and its timer means nothing.
func TestALostAnswerToTheTimerRefusesTheOrder(t *testing.T) {
	onStacks(t, needs{aFailingBroker, aClockToPush}, func(t *testing.T, on stack) {
		s := newUnchecked(t, on)
		tea := s.stocked("tea", 10)
		request := s.request(tenMinutes, line(tea, 4))
		lost := s.loseAnswer(s.names.OrderTimeouts)
		s.wantUnavailableInTime("CreateOrder", func(ctx context.Context) error { _, err := s.create(ctx, request); return err })
		s.wantFired(lost, 1)
		s.wantNothingPlaced()

		o := s.waitStatus(s.send(request), reserved)
		s.eventually(waitTimeout, func() string { // that of the library's repetition comes when nobody waits for it any more
			if n := len(s.embedded.Broker().Inspect().Timers); n < 3 {
				return fmt.Sprintf("the broker has %d timers, want those of both attempts and one that was sent twice", n)
			}
			return ""
		})
		s.pushTo(s.now().Add(tenMinutes))
		s.waitClosed(o, timedOut)
		s.waitStock(tea, 10, 0, 0)
		s.waitLag(s.names.InventoryOrderTimeouts, s.names.OrderTimeouts)
		s.wantReservation(o, givenBack, 2)
		s.audit()
	})
}

// The same, but the transaction waits for the library's repetition: the order has
// two timers, and is closed once.
func TestALostAnswerToTheTimerSendsItTwice(t *testing.T) {
	onStacks(t, needs{aFailingBroker, aClockToPush}, func(t *testing.T, on stack) {
		s := newUnchecked(t, on, "--local-transaction-timeout=20s")
		tea := s.stocked("tea", 10)
		lost := s.loseAnswer(s.names.OrderTimeouts)
		o := s.waitStatus(s.place(tenMinutes, line(tea, 4)), reserved)
		s.wantFired(lost, 1)
		for _, timer := range s.embedded.Broker().Inspect().Timers {
			if timer.Keys != o.GetOrderId() {
				t.Errorf("a timer is of %s, want both to be of order %s", timer.Keys, o.GetOrderId())
			}
		}

		s.pushTo(s.now().Add(tenMinutes))
		s.waitClosed(o, timedOut)
		s.waitMetric(2, "mq_messages_handled_total", []string{s.names.InventoryOrderTimeouts, "ok"}, s.inventory)
		s.waitStock(tea, 10, 0, 0)
		s.wantReservation(o, givenBack, 2)
		s.audit()
	})
}

// The broker has the half message, but its answer gets lost: the library sends it
// again. The first one has no process that waits for it, only the barrier.
func TestALostAnswerToTheHalfMessageSendsItTwice(t *testing.T) {
	onStacks(t, needs{aFailingBroker}, func(t *testing.T, on stack) {
		s := newUnchecked(t, on)
		tea := s.stocked("tea", 10)
		lost := s.loseAnswer(s.names.OrderEvents)
		o := s.waitStatus(s.place(tenMinutes, line(tea, 4)), reserved)
		s.waitHalf(lost, o)

		s.checkBack() // commits it, too
		s.waitMetric(2, "mq_messages_handled_total", []string{s.names.InventoryOrderEvents, "ok"}, s.inventory)
		s.waitStock(tea, 6, 4, 0)
		s.wantReservation(o, heldNow, 1)
		s.audit()
	})
}

// The broker takes no messages. No order is taken, none is paid and none is closed,
// and nothing is done by half. When it takes messages again, all goes on.
func TestTheBrokerRefusesWrites(t *testing.T) {
	onStacks(t, needs{aFailingBroker, aClockToPush}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 10)
		bought := s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)
		left := s.waitStatus(s.place(minute, line(tea, 2)), reserved)
		s.audit()
		before := s.effects()

		broker := s.embedded.Broker()
		broker.RefuseWrites(true)
		request, pay := s.request(tenMinutes, line(tea, 4)), payment(bought)
		s.wantUnavailableInTime("CreateOrder", func(ctx context.Context) error { _, err := s.create(ctx, request); return err })
		s.wantUnavailableInTime("PayOrder", func(ctx context.Context) error { _, err := s.orderClient.PayOrder(ctx, pay); return err })
		s.pushTo(left.GetExpiresAt().AsTime()) // what waits for its time is delivered
		s.waitMetric(1, "mq_messages_handled_total", []string{s.names.InventoryOrderTimeouts, "retry"}, s.inventory)
		for _, table := range []string{"order orders", "order barriers", "order payments", "inventory reservations"} {
			if now := s.effects()[table]; now != before[table] {
				t.Errorf("%s: %d rows, want %d as before", table, now, before[table])
			}
		}
		if n := len(broker.Inspect().Halves); n != 0 {
			t.Errorf("the broker has %d half messages", n)
		}

		broker.RefuseWrites(false)
		s.waitStatus(s.send(request), reserved)
		s.wantPaid(s.pay(bought))
		s.waitClosed(left, timedOut)
		s.waitStock(tea, 5, 4, 1)
		s.audit()
	})
}

// fail has requests to the broker go wrong.
func (s *system) fail(f devbroker.Fault) *devbroker.Injected {
	fault := s.embedded.Broker().Inject(f)
	s.t.Cleanup(fault.Cancel)
	return fault
}

// loseCommit has the next end of a half message get lost.
func (s *system) loseCommit() *devbroker.Injected {
	return s.fail(devbroker.Fault{Code: remoting.RequestEndTransaction, Times: 1, Action: devbroker.Drop()})
}

// loseAnswer has the answer to the next message of a topic get lost.
func (s *system) loseAnswer(topic string) *devbroker.Injected {
	return s.fail(devbroker.Fault{Code: remoting.RequestSendMessage, Topic: topic, Times: 1, Action: devbroker.LoseReply()})
}

func (s *system) wantFired(f *devbroker.Injected, n int) {
	s.t.Helper()
	if got := f.Fired(); got < n {
		s.t.Fatalf("the fault came %d times, want %d: the test proves nothing", got, n)
	}
}

// waitHalf waits until the fault has come, and the broker has an undecided half
// message about the order, and no other one.
func (s *system) waitHalf(f *devbroker.Injected, o *orderv1.Order) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		halves := s.embedded.Broker().Inspect().Halves
		if f.Fired() == 0 || len(halves) != 1 || !strings.Contains(halves[0].Keys, o.GetOrderId()) {
			return fmt.Sprintf("half messages are %v, want one of order %s", halves, o.GetOrderId())
		}
		return ""
	})
}

// checkBack has the broker ask about all half messages, which decides them.
func (s *system) checkBack() {
	s.t.Helper()
	s.embedded.Broker().CheckNow()
	s.eventually(waitTimeout, func() string {
		if halves := s.embedded.Broker().Inspect().Halves; len(halves) > 0 {
			return fmt.Sprintf("not decided: %v", halves)
		}
		return ""
	})
}

// wantNothingPlaced checks that there is no order in either database.
func (s *system) wantNothingPlaced() {
	s.t.Helper()
	if n := s.count("SELECT COUNT(*) FROM {order}.orders"); n != 0 {
		s.t.Errorf("%d orders are stored, want none", n)
	}
	if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations"); n != 0 {
		s.t.Errorf("%d reservations are stored, want none", n)
	}
}
