package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "orderflow/api/proto/order/v1"
)

// cancel cancels an order.
func (s *system) cancel(o *orderv1.Order, reason string) (*orderv1.Order, error) {
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*orderv1.CancelOrderResponse, error) {
		return s.orderClient.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: o.GetOrderId(), Reason: reason})
	})
	return answer.GetOrder(), err
}

// What an order holds goes back when it is cancelled. One that has ended otherwise
// stays as it is.
func TestCancelOrder(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		o := s.waitStatus(s.place(minute, line(tea, 4)), reserved)
		sold := s.waitStatus(s.place(minute, line(tea, 3)), reserved)
		late := s.waitStatus(s.place(expiring, line(tea, 1)), reserved)
		s.wantPaid(s.pay(sold))

		for _, reason := range []string{"found it cheaper", "", "another one"} { // the first one counts
			now, err := s.cancel(o, reason)
			s.must(err)
			if now.GetStatus() != closed || now.GetCloseReason() != cancelled || now.GetCancelReason() != "found it cheaper" {
				t.Errorf("cancelled as %v", now)
			}
		}
		s.waitStock(tea, 6, 1, 3)
		s.wantReservation(o, givenBack, 2)
		s.wantRefund(s.pay(o), orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)

		_, err := s.cancel(sold, "")
		wantReason(t, err, codes.FailedPrecondition, "ORDER_PAID")
		s.waitClosed(late, timedOut)
		_, err = s.cancel(late, "")
		wantReason(t, err, codes.FailedPrecondition, "ORDER_CLOSED")
		s.waitStock(tea, 7, 0, 3)
		s.audit()
	})
}

// An order is paid, cancelled and due at the same moment, at two order-srv where a
// stack has them: each has one end, everybody is told of the same one, and the stock
// goes where it belongs.
func TestT36PayCancelAndTimeoutAtOnce(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		if on.has(aClockToPush) {
			s = newSystem(t, on) // a push would disturb others
		}
		orders := 120
		if on == onReal { // all of them must be reserved before they are due
			orders = 30
		}
		tea := s.stocked("tea", int64(orders))
		all := s.placeDueTogether(orders, tea)
		if on.has(aClockToPush) {
			s.pushTo(all[0].GetExpiresAt().AsTime().Add(-time.Second))
		}
		other := s.otherOrder()
		payments, cancels := make([]*orderv1.PayOrderResponse, orders), make([]error, orders)
		errs := make(chan error, orders)
		var callers sync.WaitGroup
		for i, o := range all {
			// 500 ms before to 95 ms after it is due: a call takes a while under this load.
			moment := o.GetExpiresAt().AsTime().Add(time.Duration(i)*5*time.Millisecond - 500*time.Millisecond)
			callers.Go(func() {
				s.until(moment)
				request := payment(o)
				p, err := repeat(t.Context(), func(ctx context.Context) (*orderv1.PayOrderResponse, error) {
					return s.orderClient.PayOrder(ctx, request)
				})
				payments[i] = p
				if err != nil {
					errs <- fmt.Errorf("payment %d: %w", i, err)
				}
			})
			callers.Go(func() {
				s.until(moment.Add(time.Duration(i%4) * 40 * time.Millisecond)) // so that payments win, too
				_, cancels[i] = repeat(t.Context(), func(ctx context.Context) (*orderv1.CancelOrderResponse, error) {
					return other.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: o.GetOrderId(), Reason: "at the last moment"})
				})
			})
		}
		callers.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
		ends := map[string]int{}
		for i, o := range all {
			ends[s.wantOneEnd(o, payments[i], cancels[i])]++
		}
		t.Logf("ends: %v", ends)
		sold := int64(ends["paid"])
		s.waitStock(tea, int64(orders)-sold, 0, sold)
		s.audit()
	})
}

// placeDueTogether places orders of one unit whose windows end within a second or so,
// and waits until all are reserved.
func (s *system) placeDueTogether(n int, sku string) []*orderv1.Order {
	s.t.Helper()
	all, errs := make([]*orderv1.Order, n), make([]error, n)
	var buyers sync.WaitGroup
	for i := range all {
		buyers.Go(func() { all[i], errs[i] = s.insist(s.request(20*time.Second, line(sku, 1))) })
	}
	buyers.Wait()
	for i, o := range all {
		s.must(errs[i])
		s.waitStatus(o, reserved)
	}
	return all
}

// wantOneEnd waits for the end of an order that was paid and cancelled when it was
// due, and checks that both callers were told of it.
func (s *system) wantOneEnd(o *orderv1.Order, p *orderv1.PayOrderResponse, cancel error) string {
	s.t.Helper()
	var now *orderv1.Order
	s.eventually(waitTimeout, func() string {
		if now = s.get(o.GetOrderId()); now.GetStatus() == paid || now.GetStatus() == closed {
			return ""
		}
		return fmt.Sprintf("order %s is %s", o.GetOrderId(), now.GetStatus())
	})
	wasPaid, wasCancelled := p.GetOutcome() == orderv1.PaymentOutcome_PAYMENT_OUTCOME_PAID, cancel == nil
	reason := map[bool]string{true: "ORDER_PAID", false: "ORDER_CLOSED"}[now.GetStatus() == paid]
	if !wasCancelled {
		wantReason(s.t, cancel, codes.FailedPrecondition, reason)
	}
	if wasPaid != (now.GetStatus() == paid) || wasCancelled != (now.GetCloseReason() == cancelled) {
		s.t.Errorf("order %s is %s (%s); the payment was told %s, the cancellation %v",
			o.GetOrderId(), now.GetStatus(), now.GetCloseReason(), p.GetOutcome(), status.Code(cancel))
	}
	switch {
	case wasPaid:
		return "paid"
	case wasCancelled:
		return "cancelled"
	default:
		return "timed out"
	}
}
