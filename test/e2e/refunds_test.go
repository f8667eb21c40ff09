package e2e

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/crashpoint"
)

// refundDue finds a payment among all the refunds that are due; nil if it is not there.
func (s *system) refundDue(payment string) (found *orderv1.Payment) {
	s.t.Helper()
	s.readAll(2, func(ctx context.Context, size int32, token string) (ids []string, next string, err error) {
		answer, err := s.orderClient.ListRefundsDue(ctx, &orderv1.ListRefundsDueRequest{PageSize: size, PageToken: token})
		for _, p := range answer.GetPayments() {
			ids = append(ids, p.GetPaymentId())
			if p.GetPaymentId() == payment {
				found = p
			}
		}
		return ids, answer.GetNextPageToken(), err
	}, func() {})
	return found
}

func (s *system) resolve(payment, refund string) (*orderv1.Payment, error) {
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*orderv1.ResolveRefundResponse, error) {
		return s.orderClient.ResolveRefund(ctx, &orderv1.ResolveRefundRequest{PaymentId: payment, RefundId: refund})
	})
	return answer.GetPayment(), err
}

// A payment that comes when the order is closed is a refund due until somebody has
// refunded it, once.
func TestT31APaymentOfAClosedOrderIsRefunded(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		o := s.waitClosed(s.place(expiring, line(tea, 4)), timedOut)
		p := payment(o)
		for range 2 { // the same payment again has the same outcome
			answer, err := s.payWith(p)
			s.must(err)
			s.wantRefund(answer, orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)
			if answer.GetOrder().GetStatus() != closed {
				t.Errorf("the order is %s", answer.GetOrder().GetStatus())
			}
		}
		due := s.refundDue(p.GetPaymentId())
		if due.GetOrderId() != o.GetOrderId() || due.GetAmount().GetMinorUnits() != 4*price || due.GetAmount().GetCurrencyCode() != "EUR" || due.GetRefundedAt() != nil {
			t.Errorf("due is %v", due)
		}
		for range 2 {
			done, err := s.resolve(p.GetPaymentId(), "refund")
			s.must(err)
			if done.GetRefundedAt() == nil || done.GetRefundReason() != orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED {
				t.Errorf("refunded is %v", done)
			}
		}
		_, err := s.resolve(p.GetPaymentId(), "another")
		wantReason(t, err, codes.AlreadyExists, "REFUND_ALREADY_RESOLVED")
		if due := s.refundDue(p.GetPaymentId()); due != nil {
			t.Errorf("still due: %v", due)
		}
		again, err := s.payWith(p)
		s.must(err)
		s.wantRefund(again, orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)
		s.waitStock(tea, 10, 0, 0)
		s.audit()
	})
}

// The provider reports a payment many times at once, at every order-srv, and then
// payments that are wrong: one has paid, the others are refunds due.
func TestT35PaymentsThatAreReportedAgainOrWrong(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		o := s.waitStatus(s.place(minute, line(tea, 4)), reserved)
		wrong := payment(o)
		wrong.Amount = &orderv1.Money{CurrencyCode: "EUR", MinorUnits: o.GetTotal().GetMinorUnits() - 1}
		foreign := payment(o)
		foreign.Amount = &orderv1.Money{CurrencyCode: "USD", MinorUnits: o.GetTotal().GetMinorUnits()}
		for _, p := range []*orderv1.PayOrderRequest{wrong, foreign} {
			answer, err := s.payWith(p)
			s.must(err)
			s.wantRefund(answer, orderv1.RefundReason_REFUND_REASON_AMOUNT_MISMATCH)
		}

		right, clients := payment(o), []orderv1.OrderServiceClient{s.orderClient, s.otherOrder()}
		answers, errs := make([]*orderv1.PayOrderResponse, 16), make([]error, 16)
		var callbacks sync.WaitGroup
		for i := range answers {
			callbacks.Go(func() {
				answers[i], errs[i] = repeat(t.Context(), func(ctx context.Context) (*orderv1.PayOrderResponse, error) {
					return clients[i%2].PayOrder(ctx, right)
				})
			})
		}
		callbacks.Wait()
		for i, answer := range answers {
			s.must(errs[i])
			s.wantPaid(answer)
		}
		second := payment(o)
		answer, err := s.payWith(second)
		s.must(err)
		s.wantRefund(answer, orderv1.RefundReason_REFUND_REASON_ALREADY_PAID)
		for _, p := range []*orderv1.PayOrderRequest{wrong, foreign, second} {
			if s.refundDue(p.GetPaymentId()) == nil {
				t.Errorf("payment %s is not due", p.GetPaymentId())
			}
		}
		if due := s.refundDue(right.GetPaymentId()); due != nil {
			t.Errorf("what has paid is due: %v", due)
		}
		_, err = s.resolve(right.GetPaymentId(), "refund")
		wantReason(t, err, codes.FailedPrecondition, "NO_REFUND_DUE")
		_, err = s.resolve(s.customer, "refund")
		wantReason(t, err, codes.NotFound, "PAYMENT_NOT_FOUND")
		if n := s.count("SELECT COUNT(*) FROM {order}.payments WHERE order_id = ?", o.GetOrderId()); n != 4 {
			t.Errorf("%d payments are recorded, want 4", n)
		}
		s.waitStock(tea, 6, 0, 4)
		s.wantReservation(o, soldForGood, 2)
		s.audit()
	})
}

// The process dies, or hangs, when a payment is committed and nobody was told: the
// broker asks for the news, the timer finds the order paid, and whoever reports the
// payment again is told so.
func TestT37TheNewsOfAPaymentIsLost(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 10)
		o := s.waitStatus(s.place(20*time.Second, line(tea, 4)), reserved)
		file := filepath.Join(t.TempDir(), "paused")
		arm := pauses(crashpoint.OrderAfterCommit, file)
		if on.has(aProcessToKill) {
			arm = kills(crashpoint.OrderAfterCommit)
		}
		s.stop(s.order)
		s.useOrder(s.restart(s.order, arm))
		s.waitReady(s.order)

		p := payment(o)
		unheard := make(chan error, 1)
		go func() {
			ctx, cancel := s.call()
			defer cancel()
			_, err := s.orderClient.PayOrder(ctx, p)
			unheard <- err
		}()
		if on.has(aProcessToKill) {
			s.wantKilled(s.order)
			if err := <-unheard; err == nil {
				t.Error("the payment was answered by a process that is dead")
			}
			s.useOrder(s.restart(s.order))
			s.waitReady(s.order)
		} else {
			s.waitPaused(file)
		}
		s.waitStock(tea, 6, 0, 4)
		if on.has(aClockToPush) {
			s.pushTo(o.GetExpiresAt().AsTime())
		}
		s.waitTimers(o, soldForGood)
		if !on.has(aProcessToKill) {
			s.resume(file)
			<-unheard // whatever it is: the pause may have outlasted the call
		}
		answer, err := s.payWith(p)
		s.must(err)
		s.wantPaid(answer)
		s.waitStatus(o, paid)
		s.wantReservation(o, soldForGood, 2)
		s.audit()
	})
}
