package e2e

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

const (
	heldNow     = inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED
	refused     = inventoryv1.ReservationStatus_RESERVATION_STATUS_REJECTED
	givenBack   = inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED
	soldForGood = inventoryv1.ReservationStatus_RESERVATION_STATUS_SOLD
)

func TestStoryAnOrderIsPaid(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea, cup := s.stocked("tea", 10), s.stocked("cup", 5)

		o := s.place(minute, line(tea, 3), line(cup, 1), line(tea, 1))
		if o.GetStatus() != placed || o.GetTotal().GetMinorUnits() != 5*price || len(o.GetLines()) != 2 {
			t.Errorf("placed as %v", o)
		}
		o = s.waitStatus(o, reserved)
		if o.GetStockState() != orderv1.StockState_STOCK_STATE_RESERVED {
			t.Errorf("stock state is %s", o.GetStockState())
		}
		s.waitStock(tea, 6, 4, 0)
		s.waitStock(cup, 4, 1, 0)

		if p := s.pay(o); p.GetOutcome() != orderv1.PaymentOutcome_PAYMENT_OUTCOME_PAID || p.GetOrder().GetStatus() != paid {
			t.Errorf("payment is %v", p)
		}
		s.waitStock(tea, 6, 0, 4)
		s.waitStock(cup, 4, 0, 1)
		s.wantReservation(o, soldForGood, 2)
		s.audit()
	})
}

func TestStoryAnUnpaidOrderGivesItsStockBack(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)

		o := s.place(expiring, line(tea, 4))
		s.waitStatus(o, reserved)
		o = s.waitClosed(o, timedOut)
		if early := o.GetExpiresAt().AsTime().Sub(o.GetUpdatedAt().AsTime()); early > 0 {
			t.Errorf("closed %s before its payment window ended", early)
		}
		s.waitStock(tea, 10, 0, 0)
		s.wantReservation(o, givenBack, 2)

		if p := s.pay(o); p.GetRefundReason() != orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED {
			t.Errorf("a payment of the closed order is %v, want a refund due", p)
		}
		s.audit()
	})
}

func TestStoryOutOfStockNamesTheLine(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea, cup := s.stocked("tea", 10), s.stocked("cup", 2)

		o := s.waitClosed(s.place(minute, line(tea, 3), line(cup, 3)), outOfStock)
		for _, l := range o.GetLines() {
			switch short := l.GetShortage(); {
			case l.GetSku() == cup && (short.GetAvailable() != 2 || short.GetUnknownSku()):
				t.Errorf("the short line says %v, want 2 available", short)
			case l.GetSku() == tea && short != nil:
				t.Errorf("the other line says %v", short)
			}
		}
		s.waitStock(tea, 10, 0, 0)
		s.waitStock(cup, 2, 0, 0)
		s.wantReservation(o, refused, 1)
		s.audit()
	})
}

func TestStoryUnknownSKU(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		o := s.waitClosed(s.place(minute, line(s.sku("nothing"), 1)), outOfStock)
		if short := o.GetLines()[0].GetShortage(); !short.GetUnknownSku() {
			t.Errorf("shortage is %v, want an unknown SKU", short)
		}
		s.audit()
	})
}

func TestStoryOrdersAreTakenWhileInventoryIsDown(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 10)
		s.stop(s.inventory)

		o := s.place(tenMinutes, line(tea, 4))
		if now := s.get(o.GetOrderId()); now.GetStatus() != placed {
			t.Errorf("status is %s, want PLACED", now.GetStatus())
		}
		_, err := s.orderClient.PayOrder(t.Context(), payment(o))
		wantReason(t, err, codes.FailedPrecondition, "STOCK_NOT_CONFIRMED")

		began := time.Now()
		s.useInventory(s.restart(s.inventory))
		s.waitStatus(o, reserved)
		t.Logf("reserved %s after inventory-srv was started again", time.Since(began).Round(time.Millisecond))
		s.waitStock(tea, 6, 4, 0)
		s.audit()
	})
}
