package e2e

import (
	"path/filepath"
	"testing"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/crashpoint"
)

// The reservation is committed, but neither told nor acknowledged: the message
// comes again.
func TestT40InventoryIsKilledAfterItsCommit(t *testing.T) {
	onStacks(t, needs{aProcessToKill}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		s.useOrder(s.startOrder())
		s.useInventory(s.startInventory(kills(crashpoint.InventoryAfterCommit)))
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)

		o := s.place(tenMinutes, line(tea, 4))
		s.wantKilled(s.inventory)
		if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE status = 1"); n != 1 {
			t.Fatalf("%d reservations are stored, want the one that was committed", n)
		}
		if now := s.get(o.GetOrderId()); now.GetStatus() != placed {
			t.Errorf("order is %s, want PLACED: nothing was told", now.GetStatus())
		}

		s.useInventory(s.restart(s.inventory))
		s.waitStatus(o, reserved)
		s.waitStock(tea, 6, 4, 0)
		s.wantReservation(o, heldNow, 1)
		s.audit()
	})
}

// The order is closed, but inventory dies before it has given the stock back.
func TestT33InventoryIsKilledAfterTheCloseAnswer(t *testing.T) {
	onStacks(t, needs{aProcessToKill}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		s.useOrder(s.startOrder())
		s.useInventory(s.startInventory(kills(crashpoint.InventoryAfterClose)))
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)

		o := s.place(expiring, line(tea, 4))
		s.waitStatus(o, reserved)
		s.wantKilled(s.inventory)
		s.waitClosed(o, timedOut)

		s.useInventory(s.restart(s.inventory))
		s.waitReady(s.inventory)
		s.waitStock(tea, 10, 0, 0)
		s.wantReservation(o, givenBack, 2)
		s.audit()
	})
}

// A payment arrives when the timer has, but before it is decided: it is past its
// due time, and must not pay for stock that is about to go back.
func TestT32APaymentBetweenTimerAndDecision(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		file := filepath.Join(t.TempDir(), "paused")
		s.useOrder(s.startOrder())
		s.useInventory(s.startInventory(pauses(crashpoint.InventoryBeforeClose, file)))
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)

		o := s.place(expiring, line(tea, 4))
		s.waitStatus(o, reserved)
		s.waitPaused(file)
		payment, why := s.pay(o), orderv1.RefundReason_REFUND_REASON_PAST_DUE
		if payment.GetOrder().GetStatus() == closed && !on.has(singleDelivery) && s.closedBy(o) == orderv1.Cause_CAUSE_LATE_EVENT {
			why = orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED // its created came again, late, and closed it
		}
		s.wantRefund(payment, why)
		s.resume(file)
		s.waitClosed(o, timedOut)
		s.waitStock(tea, 10, 0, 0)
		s.wantReservation(o, givenBack, 2)
		s.audit()
	})
}

// A payment arrives when the order is closed, but before the stock has gone back.
func TestT32APaymentBetweenDecisionAndRelease(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		file := filepath.Join(t.TempDir(), "paused")
		s.useOrder(s.startOrder())
		s.useInventory(s.startInventory(pauses(crashpoint.InventoryAfterClose, file)))
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)

		o := s.place(expiring, line(tea, 4))
		s.waitStatus(o, reserved)
		s.waitPaused(file)
		s.wantRefund(s.pay(o), orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)
		s.resume(file)
		s.waitClosed(o, timedOut)
		s.waitStock(tea, 10, 0, 0)
		s.wantReservation(o, givenBack, 2)
		s.audit()
	})
}

func (s *system) wantRefund(p *orderv1.PayOrderResponse, why orderv1.RefundReason) {
	s.t.Helper()
	if p.GetOutcome() != orderv1.PaymentOutcome_PAYMENT_OUTCOME_REFUND_DUE || p.GetRefundReason() != why {
		s.t.Errorf("payment is %s (%s), want a refund due (%s)", p.GetOutcome(), p.GetRefundReason(), why)
	}
}
