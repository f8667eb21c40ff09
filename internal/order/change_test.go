package order

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/sweep"
)

// cancel cancels an order.
func (w *world) cancel(id string) Order {
	w.t.Helper()
	o, err := w.service.Cancel(w.t.Context(), id, "changed my mind")
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func TestCancel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, o := range []Order{w.place(request()), w.reserved()} {
			first := w.cancel(o.ID)
			if first.Status != Closed || first.CloseReason != Cancelled || first.CancelReason != "changed my mind" || first.Version != o.Version+1 {
				t.Errorf("%+v", first)
			}
			again, err := w.service.Cancel(t.Context(), o.ID, "another reason")
			if err != nil || again.Version != first.Version || again.CancelReason != "changed my mind" {
				t.Errorf("again: %+v, %v", again, err)
			}
			w.wantDelivered(o.ID, event.TagCreated, event.TagClosed)
			events := w.broker.deliveredEvents(o.ID)
			if reason := events[1].event.GetCloseReason(); reason != eventv1.CloseReason_CLOSE_REASON_CANCELLED {
				t.Errorf("the event says %s", reason)
			}
			if e := w.last(o.ID, KindChanged); e.Cause != ByClient || e.Detail != "changed my mind" || e.Status != Closed {
				t.Errorf("timeline says %+v", e)
			}
		}
		paid := w.reserved()
		w.pay(payment(t, paid))
		_, err := w.service.Cancel(t.Context(), paid.ID, "")
		wantError(t, err, codes.FailedPrecondition, ReasonOrderPaid)
		_, err = w.service.Cancel(t.Context(), w.expired(w.reserved()).ID, "")
		wantError(t, err, codes.FailedPrecondition, ReasonOrderClosed)
		_, err = w.service.Cancel(t.Context(), uuid.NewString(), "")
		wantError(t, err, codes.NotFound, ReasonOrderNotFound)
	})
}

// T36: payment, cancellation and timeout at the same moment have one winner.
func TestOneWinnerOfPayCancelAndClose(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for range 25 {
			o := w.reserved()
			p := payment(t, o)
			var refund atomic.Bool
			atOnce(4, func(i int) {
				switch i {
				case 0:
					recorded, _, err := w.another().Pay(t.Context(), p)
					if err != nil {
						t.Error(err)
					}
					refund.Store(recorded.Outcome == RefundDue)
				case 1, 2:
					_, err := w.another().Cancel(t.Context(), o.ID, "")
					if err != nil && !strings.Contains(err.Error(), ReasonOrderPaid) && !strings.Contains(err.Error(), ReasonOrderClosed) {
						t.Error(err)
					}
				case 3:
					w.clock.Advance(window)
					if _, err := w.another().CloseIfUnpaid(t.Context(), []string{o.ID}, ByTimer); err != nil {
						t.Error(err)
					}
				}
			})
			now := w.get(o.ID)
			if now.Status != Paid && now.Status != Closed || (now.Status == Paid) == refund.Load() || now.Version != o.Version+1 {
				t.Errorf("%s, refund %t, version %d after %d", describe(now), refund.Load(), now.Version, o.Version)
			}
			w.wantDelivered(o.ID, event.TagCreated, now.Status.tag())
		}
	})
}

func TestExtend(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, prepare := range []func() Order{func() Order { return w.place(request()) }, w.reserved} {
			o := prepare()
			w.clock.Advance(window - time.Minute)
			timers := len(w.broker.timers)
			extended, err := w.service.Extend(t.Context(), o.ID, "r1", window)
			due := w.clock.Now().Add(window).UnixMilli()
			if err != nil || extended.ExpiresAt != due || extended.Status != o.Status || extended.Version != o.Version+1 {
				t.Fatalf("%+v, %v", extended, err)
			}
			again, err := w.service.Extend(t.Context(), o.ID, "r1", window)
			if err != nil || again.Version != extended.Version || again.ExpiresAt != due {
				t.Errorf("again: %+v, %v", again, err)
			}
			if len(w.broker.timers) != timers+1 {
				t.Fatalf("%d new timers, want 1", len(w.broker.timers)-timers)
			}
			items, timerDue, err := event.DecodePaymentTimeouts(event.TagTimeout, w.broker.timers[timers].message.Body)
			if err != nil || timerDue != due || items[0].OrderID != o.ID || w.broker.timers[timers].delay != window {
				t.Errorf("the new timer is %+v", w.broker.timers[timers])
			}
			_, err = w.service.Extend(t.Context(), o.ID, "r1", time.Minute)
			wantError(t, err, codes.AlreadyExists, ReasonRequestIDReused)
			_, err = w.service.Extend(t.Context(), o.ID, "r2", time.Minute)
			wantError(t, err, codes.FailedPrecondition, ReasonNotLater)
			w.clock.Advance(time.Minute) // the old timer comes
			if result := w.closeIfUnpaid(o.ID)[0]; result.Outcome != OutcomeNotDue || result.DueAt != due {
				t.Errorf("the old timer gets %+v", result)
			}
			w.clock.Advance(window)
			if result := w.closeIfUnpaid(o.ID)[0]; result.Outcome != OutcomeClosed {
				t.Errorf("the new timer gets %+v", result)
			}
			_, err = w.service.Extend(t.Context(), o.ID, "r3", window)
			wantError(t, err, codes.FailedPrecondition, ReasonOrderClosed)
			if again, err = w.service.Extend(t.Context(), o.ID, "r1", window); err != nil || again.Status != Closed {
				t.Errorf("a repetition after the end: %+v, %v", again, err)
			}
			w.wantDelivered(o.ID, event.TagCreated, event.TagClosed) // an extension has no event
		}
	})
}

// A window that has ended is not revived, even if nobody has closed the order yet.
func TestExtendRevivesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.clock.Advance(window)
		_, err := w.service.Extend(t.Context(), o.ID, "r1", window)
		wantError(t, err, codes.FailedPrecondition, ReasonWindowEnded)
		_, err = w.service.Exempt(t.Context(), o.ID, "offline")
		wantError(t, err, codes.FailedPrecondition, ReasonWindowEnded)

		// The window ends between the look and the statement.
		o = w.reserved()
		w.broker.set(func(b *fakeBroker) { b.timerGate = make(chan struct{}) })
		result := make(chan error, 1)
		go func() {
			_, err := w.service.Extend(t.Context(), o.ID, "r1", window)
			result <- err
		}()
		w.clock.Advance(window)
		w.broker.set(func(b *fakeBroker) { close(b.timerGate); b.timerGate = nil })
		err = <-result
		if now := w.get(o.ID); err == nil || now.ExpiresAt != o.ExpiresAt {
			t.Errorf("revived: %v, %+v", err, now)
		}
	})
}

// Without an acknowledged timer nothing changes; the call can be repeated.
func TestExtendNeedsItsTimer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.clock.Advance(time.Minute)
		w.broker.set(func(b *fakeBroker) { b.timerFails = true })
		_, err := w.service.Extend(t.Context(), o.ID, "r1", window)
		wantError(t, err, codes.Unavailable, unavailable)
		if now := w.get(o.ID); now.ExpiresAt != o.ExpiresAt || now.Version != o.Version {
			t.Errorf("changed: %+v", now)
		}
		w.wantRows(map[string]int64{"payment_extensions": 0})
		w.broker.set(func(b *fakeBroker) { b.timerFails = false })
		if now, err := w.service.Extend(t.Context(), o.ID, "r1", window); err != nil || now.ExpiresAt != w.clock.Now().Add(window).UnixMilli() {
			t.Errorf("%+v, %v", now, err)
		}
	})
}

// The same extension at the same moment counts once.
func TestExtendAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.clock.Advance(time.Minute)
		atOnce(8, func(int) {
			if _, err := w.another().Extend(t.Context(), o.ID, "r1", window); err != nil {
				t.Error(err)
			}
		})
		if now := w.get(o.ID); now.Version != o.Version+1 || now.ExpiresAt != w.clock.Now().Add(window).UnixMilli() {
			t.Errorf("%+v", now)
		}
		w.wantRows(map[string]int64{"payment_extensions": 1})
	})
}

func TestExempt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		first, err := w.service.Exempt(t.Context(), o.ID, "pays at the counter")
		if err != nil || first.ExpiresAt != NoTimeout || first.SweepAt != sweep.Never {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := w.service.Exempt(t.Context(), o.ID, "another reason")
		if err != nil || again.Version != first.Version {
			t.Errorf("again: %+v, %v", again, err)
		}
		if e := w.last(o.ID, KindChanged); e.ExpiresAt != NoTimeout || !strings.Contains(e.Detail, "pays at the counter") {
			t.Errorf("timeline says %+v", e)
		}
		_, err = w.service.Extend(t.Context(), o.ID, "r1", window)
		wantError(t, err, codes.FailedPrecondition, ReasonTimeoutExempt)
		w.clock.Advance(10_000 * time.Hour)
		if result := w.closeIfUnpaid(o.ID)[0]; result.Outcome != OutcomeNotDue || result.DueAt != NoTimeout {
			t.Errorf("its timer gets %+v", result)
		}
		if recorded, _ := w.pay(payment(t, o)); recorded.Outcome != PaymentAccepted {
			t.Errorf("paid a year later: %+v", recorded)
		}
		_, err = w.service.Exempt(t.Context(), o.ID, "too late")
		wantError(t, err, codes.FailedPrecondition, ReasonOrderPaid)
	})
}

func TestRedrive(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		placed, paid, closed, overdue := w.place(request()), w.reserved(), w.reserved(), w.place(request())
		w.pay(payment(t, paid))
		w.cancel(closed.ID)
		for _, id := range []string{placed.ID, paid.ID, closed.ID} {
			if _, err := w.service.Exempt(t.Context(), id, "x"); err != nil && id == placed.ID {
				t.Fatal(err)
			}
		}
		w.clock.Advance(window)
		unknown := uuid.NewString()
		results, err := w.service.Redrive(t.Context(), []string{placed.ID, paid.ID, unknown, closed.ID, overdue.ID})
		want := []RedriveResult{
			{placed.ID, RedriveCreated}, {paid.ID, RedrivePaid}, {unknown, RedriveUnknown}, {closed.ID, RedriveClosed}, {overdue.ID, RedriveExpired},
		}
		if err != nil || !slices.Equal(results, want) {
			t.Errorf("%v, %v, want %v", results, err, want)
		}
		w.wantDelivered(placed.ID, event.TagCreated, event.TagCreated)
		w.wantDelivered(paid.ID, event.TagCreated, event.TagPaid, event.TagPaid)
		w.wantDelivered(closed.ID, event.TagCreated, event.TagClosed, event.TagClosed)
		w.wantDelivered(overdue.ID, event.TagCreated, event.TagClosed)
		if e := w.last(overdue.ID, KindChanged); e.Cause != ByOperator {
			t.Errorf("timeline says %+v", e)
		}

		w.broker.set(func(b *fakeBroker) { b.halfFails = true })
		_, err = w.service.Redrive(t.Context(), []string{placed.ID})
		wantError(t, err, codes.Unavailable, unavailable)
		results, err = w.service.Redrive(t.Context(), []string{placed.ID, unknown})
		if err != nil || results[0].Action != RedriveNothing || results[1].Action != RedriveUnknown {
			t.Errorf("%v, %v", results, err)
		}
	})
}

// Bad requests name their fields, and nothing comes of them.
func TestBadChanges(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		api := NewGRPC(w.service)
		id := uuid.NewString()
		long, control := strings.Repeat("ö", MaxReason+1), "a\nb"
		for name, c := range map[string]struct {
			call func() error
			want []string
		}{
			"cancel: no id": {func() error {
				_, err := api.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: "7"})
				return err
			}, []string{"order_id"}},
			"cancel: long reason": {func() error {
				_, err := api.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{OrderId: id, Reason: long})
				return err
			}, []string{"reason"}},
			"cancel: both": {func() error {
				_, err := api.CancelOrder(t.Context(), &orderv1.CancelOrderRequest{Reason: control})
				return err
			}, []string{"order_id", "reason"}},
			"extend: nothing": {func() error {
				_, err := api.ExtendPayment(t.Context(), &orderv1.ExtendPaymentRequest{})
				return err
			}, []string{"order_id", "request_id", "payment_window"}},
			"extend: negative": {func() error {
				_, err := api.ExtendPayment(t.Context(), &orderv1.ExtendPaymentRequest{
					OrderId: id, RequestId: "r", PaymentWindow: durationpb.New(-time.Minute)})
				return err
			}, []string{"payment_window"}},
			"extend: request id": {func() error {
				_, err := api.ExtendPayment(t.Context(), &orderv1.ExtendPaymentRequest{
					OrderId: id, RequestId: "a b", PaymentWindow: durationpb.New(time.Minute)})
				return err
			}, []string{"request_id"}},
			"exempt: no reason": {func() error {
				_, err := api.ExemptFromTimeout(t.Context(), &orderv1.ExemptFromTimeoutRequest{OrderId: id})
				return err
			}, []string{"reason"}},
			"exempt: control": {func() error {
				_, err := api.ExemptFromTimeout(t.Context(), &orderv1.ExemptFromTimeoutRequest{OrderId: "x", Reason: control})
				return err
			}, []string{"order_id", "reason"}},
			"redrive: none": {func() error { _, err := w.service.Redrive(t.Context(), nil); return err }, []string{"order_ids"}},
			"redrive: no id": {func() error { _, err := w.service.Redrive(t.Context(), []string{id, "7"}); return err },
				[]string{"order_ids[1]"}},
			"redrive: too many": {func() error { _, err := w.service.Redrive(t.Context(), make([]string, MaxClose+1)); return err },
				[]string{"order_ids"}},
		} {
			if got := fieldsOf(t, c.call()); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
		w.wantNothing()
		w.wantRows(map[string]int64{"payment_extensions": 0, "order_timeline": 0})

		// A window that the broker cannot deliver, of an order that is there.
		o := w.reserved()
		sent := w.broker.sent()
		_, err := api.ExtendPayment(t.Context(), &orderv1.ExtendPaymentRequest{
			OrderId: o.ID, RequestId: "r", PaymentWindow: durationpb.New(31 * time.Minute)})
		if got := fieldsOf(t, err); !slices.Equal(got, []string{"payment_window"}) || w.broker.sent() != sent {
			t.Errorf("%v, %d messages", got, w.broker.sent()-sent)
		}
	})
}
