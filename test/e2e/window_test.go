package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// extension asks for a new payment window of an order, with an id of its own.
func extension(o *orderv1.Order, window time.Duration) *orderv1.ExtendPaymentRequest {
	return &orderv1.ExtendPaymentRequest{OrderId: o.GetOrderId(), RequestId: uuid.NewString(), PaymentWindow: durationpb.New(window)}
}

// extend gives an order a new payment window.
func (s *system) extend(o *orderv1.Order, window time.Duration) *orderv1.Order {
	s.t.Helper()
	now, err := s.askToExtend(extension(o, window))
	s.must(err)
	return now
}

func (s *system) askToExtend(r *orderv1.ExtendPaymentRequest) (*orderv1.Order, error) {
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*orderv1.ExtendPaymentResponse, error) {
		return s.orderClient.ExtendPayment(ctx, r)
	})
	return answer.GetOrder(), err
}

func (s *system) exempt(o *orderv1.Order, reason string) (*orderv1.Order, error) {
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*orderv1.ExemptFromTimeoutResponse, error) {
		return s.orderClient.ExemptFromTimeout(ctx, &orderv1.ExemptFromTimeoutRequest{OrderId: o.GetOrderId(), Reason: reason})
	})
	return answer.GetOrder(), err
}

// The window of an order is extended: its first timer comes and does nothing, the
// second one closes it. The same request again extends nothing.
func TestExtendPayment(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		o := s.waitStatus(s.place(shortly, line(tea, 4)), reserved)
		far := s.waitStatus(s.place(minute, line(tea, 1)), reserved)
		r := extension(o, later)
		longer, err := s.askToExtend(r)
		s.must(err)
		if now, old := longer.GetExpiresAt().AsTime(), o.GetExpiresAt().AsTime(); !now.After(old) || longer.GetVersion() != o.GetVersion()+1 {
			t.Errorf("extended to %v, version %d; it was %v, version %d", now, longer.GetVersion(), old, o.GetVersion())
		}
		again, err := s.askToExtend(r)
		s.must(err)
		if again.GetVersion() != longer.GetVersion() || !again.GetExpiresAt().AsTime().Equal(longer.GetExpiresAt().AsTime()) {
			t.Errorf("the same request again gives %v, want %v", again, longer)
		}
		r.PaymentWindow = durationpb.New(minute)
		_, err = s.askToExtend(r)
		wantReason(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
		_, err = s.askToExtend(extension(far, expiring))
		wantReason(t, err, codes.FailedPrecondition, "NOT_LATER")

		now := s.waitClosed(o, timedOut)
		if early := longer.GetExpiresAt().AsTime().Sub(now.GetUpdatedAt().AsTime()); early > 0 {
			t.Errorf("closed %s before its new window ended", early)
		}
		s.waitStock(tea, 9, 1, 0)
		s.waitTimers(o, heldNow, givenBack)
		s.wantPaid(s.pay(far))
		_, err = s.askToExtend(extension(far, tenMinutes))
		wantReason(t, err, codes.FailedPrecondition, "ORDER_PAID")
		_, err = s.exempt(far, "too late")
		wantReason(t, err, codes.FailedPrecondition, "ORDER_PAID")
		_, err = s.askToExtend(extension(o, minute))
		wantReason(t, err, codes.FailedPrecondition, "ORDER_CLOSED")
		_, err = s.exempt(o, "too late")
		wantReason(t, err, codes.FailedPrecondition, "ORDER_CLOSED")
		s.audit()
	})
}

// waitTimers waits until the order's timers have come, and checks where each of them
// has left the reservation.
func (s *system) waitTimers(o *orderv1.Order, want ...inventoryv1.ReservationStatus) {
	s.t.Helper()
	var got []inventoryv1.ReservationStatus
	s.eventually(waitTimeout, func() string {
		got = nil
		for _, e := range s.reservationTimeline(o) {
			if e.GetTrigger() == "timeout" {
				got = append(got, e.GetStatus())
			}
		}
		if len(got) < len(want) {
			return fmt.Sprintf("%d timers have come, want %d", len(got), len(want))
		}
		return ""
	})
	if !slices.Equal(got, want) {
		s.t.Errorf("the timers have left the reservation %v, want %v", got, want)
	}
}
