package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	orderv1 "orderflow/api/proto/order/v1"
)

// CreateOrder waits for the stock, if it is asked to: the answer says that it is
// reserved, or which line is short. A repetition need not wait.
func TestT45CreateOrderWaitsForTheStock(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea, cup := s.stocked("tea", 10), s.stocked("cup", 2)
		r := s.request(minute, line(tea, 4))
		r.WaitForStock = true
		o := s.send(r)
		if o.GetStatus() != reserved || o.GetStockState() != orderv1.StockState_STOCK_STATE_RESERVED {
			t.Errorf("answered with %v, want RESERVED", o)
		}
		r.WaitForStock = false
		if again := s.send(r); again.GetOrderId() != o.GetOrderId() || again.GetStatus() != reserved {
			t.Errorf("the same key again gives %v, want the order as it is now", again)
		}
		short := s.request(minute, line(tea, 1), line(cup, 3))
		short.WaitForStock = true
		o = s.send(short)
		if o.GetStatus() != closed || o.GetCloseReason() != outOfStock || o.GetLines()[0].GetShortage().GetAvailable() != 2 {
			t.Errorf("answered with %v, want OUT_OF_STOCK of the cups", o)
		}
		s.waitStock(tea, 6, 4, 0)
		s.waitStock(cup, 2, 0, 0)
		s.audit()
	})
}

// While inventory-srv is down, a call that waits for the stock answers in time; an order
// is cancelled, one cannot be paid, an overdue one is closed by hand, another one by the
// sweeper, and one that is exempt from the timeout outlives its window. When inventory
// is back, it takes nothing for what has ended.
func TestT38OrdersEndWhileInventoryIsDown(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		s.useOrder(s.startOrder("--sweep-interval=100ms", "--resend-after=1s", "--sweep-grace=1h"))
		s.useInventory(s.startInventory("--sweep-interval=100ms", "--sweep-grace=0s"))
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)
		s.stop(s.inventory)

		waiting := s.waitInVain(tea)
		short := s.place(tenMinutes, line(tea, 1000))
		for range 2 {
			_, err := s.orderClient.PayOrder(t.Context(), payment(short))
			wantReason(t, err, codes.FailedPrecondition, "STOCK_NOT_CONFIRMED")
		}
		overdue, exempt := s.place(expiring, line(tea, 1)), s.place(shortly, line(tea, 2))
		s.wantExempt(exempt)
		s.until(overdue.GetExpiresAt().AsTime())
		s.wantRedriven(map[string]orderv1.RedriveAction{
			waiting.GetOrderId(): orderv1.RedriveAction_REDRIVE_ACTION_CLOSED,
			short.GetOrderId():   orderv1.RedriveAction_REDRIVE_ACTION_CREATED,
			exempt.GetOrderId():  orderv1.RedriveAction_REDRIVE_ACTION_CREATED,
			overdue.GetOrderId(): orderv1.RedriveAction_REDRIVE_ACTION_EXPIRED,
			uuid.NewString():     orderv1.RedriveAction_REDRIVE_ACTION_UNKNOWN_ORDER,
		})
		s.waitClosed(overdue, timedOut)
		s.wantClosedBy(overdue, orderv1.Cause_CAUSE_OPERATOR)

		s.stop(s.order)
		s.useOrder(s.restart(s.order, "--sweep-grace=0s"))
		s.waitReady(s.order)
		swept := s.place(expiring, line(tea, 1))
		s.until(exempt.GetExpiresAt().AsTime())
		s.waitClosed(swept, timedOut)
		s.wantClosedBy(swept, orderv1.Cause_CAUSE_SWEEPER)
		if now := s.get(exempt.GetOrderId()); now.GetStatus() != placed {
			t.Errorf("the exempt order is %s, want PLACED", now.GetStatus())
		}

		s.useInventory(s.restart(s.inventory))
		s.waitReady(s.inventory)
		s.waitStatus(exempt, reserved)
		s.waitClosed(short, outOfStock)
		s.wantRefund(s.pay(short), orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)
		s.wantPaid(s.pay(exempt))
		s.waitStock(tea, 8, 0, 2)
		s.audit()
		s.orderctl(0, "audit")
	})
}

// waitInVain places an order, waits for its stock until the call's time is over, and
// then cancels it.
func (s *system) waitInVain(sku string) *orderv1.Order {
	s.t.Helper()
	const patience = 3 * time.Second
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r := s.request(tenMinutes, line(sku, 4))
	r.WaitForStock = true
	began := time.Now()
	o, err := s.create(ctx, r)
	s.must(err)
	if took := time.Since(began); o.GetStatus() != placed || took < patience/2 {
		s.t.Errorf("answered %s after %s, want PLACED, and not before the time is nearly over", o.GetStatus(), took)
	}
	gone, err := s.cancel(o, "takes too long")
	s.must(err)
	if gone.GetCloseReason() != cancelled {
		s.t.Errorf("cancelled as %v", gone)
	}
	return o
}

// wantExempt exempts an order that has a window.
func (s *system) wantExempt(o *orderv1.Order) {
	s.t.Helper()
	for range 2 { // the second time it is exempt already
		now, err := s.exempt(o, "pays by bank transfer")
		s.must(err)
		if !now.GetTimeoutExempt() || now.GetExpiresAt() != nil || now.GetVersion() != o.GetVersion()+1 {
			s.t.Errorf("exempt is %v", now)
		}
	}
	_, err := s.askToExtend(extension(o, tenMinutes))
	wantReason(s.t, err, codes.FailedPrecondition, "TIMEOUT_EXEMPT")
}

// wantRedriven drives orders on and checks what was done about each.
func (s *system) wantRedriven(want map[string]orderv1.RedriveAction) {
	s.t.Helper()
	r := &orderv1.RedriveOrdersRequest{}
	for id := range want {
		r.OrderIds = append(r.OrderIds, id)
	}
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*orderv1.RedriveOrdersResponse, error) {
		return orderv1.NewAuditServiceClient(s.dial(s.order.GRPC())).RedriveOrders(ctx, r)
	})
	s.must(err)
	for i, id := range r.GetOrderIds() {
		if got := answer.GetResults()[i]; got.GetOrderId() != id || got.GetAction() != want[id] {
			s.t.Errorf("order %s was redriven as %v, want %s", id, got, want[id])
		}
	}
}

// wantClosedBy checks who closed an order.
func (s *system) wantClosedBy(o *orderv1.Order, want orderv1.Cause) {
	s.t.Helper()
	all := s.timeline(o)
	i := slices.IndexFunc(all, func(e *orderv1.TimelineEntry) bool { return e.GetStatus() == closed })
	if i < 0 || all[i].GetCause() != want {
		s.t.Errorf("order %s was closed by %v, want %s", o.GetOrderId(), all[max(0, i)], want)
	}
}

// An order is exempt from the timeout when inventory already holds its stock: neither
// its timer nor a sweeper gives it back. It waits until it is paid, or cancelled.
func TestExemptFromTimeout(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		s.useOrder(s.startOrder("--sweep-interval=50ms", "--sweep-grace=0s"))
		s.useInventory(s.startInventory("--sweep-interval=50ms", "--sweep-grace=0s"))
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)
		offline := s.waitStatus(s.place(shortly, line(tea, 1)), reserved)
		never := s.waitStatus(s.place(shortly, line(tea, 2)), reserved)
		s.wantExempt(offline)
		s.wantExempt(never)
		control := s.waitStatus(s.place(shortly, line(tea, 4)), reserved)
		s.waitClosed(control, timedOut)
		s.waitTimers(offline, heldNow)
		s.waitTimers(never, heldNow)
		s.waitStock(tea, 7, 3, 0)

		s.wantPaid(s.pay(offline))
		_, err := s.cancel(never, "has not paid")
		s.must(err)
		s.waitStock(tea, 9, 0, 1)
		s.audit()
	})
}
