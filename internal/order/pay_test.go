package order

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"gorm.io/gorm"

	"orderflow/internal/event"
)

// A payment in time of the right amount pays, with the event.
func TestPay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.clock.Advance(window - time.Millisecond)
		p := payment(t, o)
		recorded, after := w.pay(p)
		want := p
		want.Outcome, want.RecordedAt = PaymentAccepted, o.ExpiresAt-1
		if diff := cmp.Diff(want, recorded); diff != "" {
			t.Error(diff)
		}
		if after.Status != Paid || after.Version != o.Version+1 || after.UpdatedAt != o.ExpiresAt-1 || after.ExpiresAt != o.ExpiresAt {
			t.Errorf("order %+v", after)
		}
		w.wantDelivered(o.ID, event.TagCreated, event.TagPaid)
		if e := w.broker.deliveredEvents(o.ID)[1].event; e.GetPaymentId() != p.ID || len(e.GetLines()) != 2 || e.GetOccurredAtMs() != o.ExpiresAt-1 {
			t.Errorf("event %v", e)
		}
		w.clock.Advance(time.Hour)
		if again, _ := w.pay(p); again != recorded { // the same payment: the first answer
			t.Errorf("again: %+v", again)
		}
		w.wantRows(map[string]int64{"payments": 1})
	})
}

// T38: an order whose stock is not confirmed cannot be paid; nothing is recorded,
// and the client is told to ask again.
func TestPayBeforeStockIsConfirmed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.place(request())
		p := payment(t, o)
		_, _, err := w.service.Pay(t.Context(), p)
		wantError(t, err, codes.FailedPrecondition, ReasonStockNotConfirmed)
		if statusOf(t, err).retryAfter != time.Second {
			t.Errorf("no RetryInfo in %v", err)
		}
		w.clock.Advance(window) // even past its due time nothing is decided
		_, _, err = w.service.Pay(t.Context(), p)
		wantError(t, err, codes.FailedPrecondition, ReasonStockNotConfirmed)
		w.wantRows(map[string]int64{"payments": 0})
		w.wantDelivered(o.ID, event.TagCreated)
	})
}

// A payment that cannot pay is recorded as a refund due, with the reason; the
// order stays as it is, and the same payment gets the same answer for ever.
func TestRefundDue(t *testing.T) {
	t.Parallel()
	type setup struct {
		prepare func(w *world) Order
		change  func(p *Payment)
		reason  RefundReason
		status  Status
	}
	plain := func(w *world) Order { return w.reserved() }
	closed := func(w *world) Order {
		o := w.reserved()
		w.clock.Advance(window)
		w.closeIfUnpaid(o.ID)
		return o
	}
	for name, c := range map[string]setup{
		"too little":     {plain, func(p *Payment) { p.AmountMinor-- }, AmountMismatch, Reserved},
		"too much":       {plain, func(p *Payment) { p.AmountMinor++ }, AmountMismatch, Reserved},
		"nothing":        {plain, func(p *Payment) { p.AmountMinor = 0 }, AmountMismatch, Reserved},
		"other currency": {plain, func(p *Payment) { p.Currency = "USD" }, AmountMismatch, Reserved},
		"past due, no timer yet": {func(w *world) Order {
			o := w.reserved()
			w.clock.Advance(window)
			return o
		}, func(*Payment) {}, PastDue, Reserved},
		"closed":                {closed, func(*Payment) {}, OrderClosed, Closed},
		"closed and too little": {closed, func(p *Payment) { p.AmountMinor-- }, OrderClosed, Closed},
		"paid before":           {func(w *world) Order { o := w.reserved(); w.pay(payment(w.t, o)); return o }, func(*Payment) {}, AlreadyPaid, Paid},
		"paid before, past due": {func(w *world) Order { o := w.reserved(); w.pay(payment(w.t, o)); w.clock.Advance(window); return o }, func(*Payment) {}, AlreadyPaid, Paid},
		"rejected, out of stock": {func(w *world) Order {
			o := w.place(request())
			w.stock(event.TagRejected, stockEvent(o.ID, 1))
			return o
		}, func(*Payment) {}, OrderClosed, Closed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				o := w.get(c.prepare(w).ID)
				events := w.broker.delivered(o.ID)
				p := payment(t, o)
				c.change(&p)
				for range 2 {
					recorded, after := w.pay(p)
					if recorded.Outcome != RefundDue || recorded.RefundReason != c.reason || after.Status != c.status {
						t.Errorf("%+v, order %s", recorded, describe(after))
					}
				}
				if diff := cmp.Diff(o, w.get(o.ID)); diff != "" {
					t.Errorf("the order changed: %s", diff)
				}
				w.wantDelivered(o.ID, events...)
			})
		})
	}
}

// T35: a payment id is one payment. With another order, amount or currency it is
// refused, and the first one stays.
func TestPaymentIDReused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o, other := w.reserved(), w.reserved()
		p := payment(t, o)
		w.pay(p)
		for name, change := range map[string]func(*Payment){
			"order":         func(p *Payment) { p.OrderID = other.ID },
			"unknown order": func(p *Payment) { p.OrderID = uuid.NewString() },
			"amount":        func(p *Payment) { p.AmountMinor++ },
			"currency":      func(p *Payment) { p.Currency = "USD" },
		} {
			reused := p
			change(&reused)
			_, _, err := w.service.Pay(t.Context(), reused)
			if wantError(t, err, codes.AlreadyExists, ReasonPaymentIDReused); t.Failed() {
				t.Log(name)
			}
		}
		if got := w.get(other.ID); got.Status != Reserved {
			t.Errorf("the other order is %s", describe(got))
		}
		unknown := payment(t, o)
		unknown.OrderID = uuid.NewString()
		_, _, err := w.service.Pay(t.Context(), unknown)
		wantError(t, err, codes.NotFound, ReasonOrderNotFound)
		w.wantRows(map[string]int64{"payments": 1})
	})
}

// T35: the same payment reported many times at once is one payment, and every
// caller gets its outcome. On two orders at once, one of them has it.
func TestSamePaymentInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o, other := w.reserved(), w.reserved()
		p := payment(t, o)
		atOnce(10, func(int) {
			recorded, after, err := w.service.Pay(t.Context(), p)
			if err != nil || recorded.Outcome != PaymentAccepted || after.Status != Paid {
				t.Errorf("%+v, %s, %v", recorded, describe(after), err)
			}
		})
		w.wantDelivered(o.ID, event.TagCreated, event.TagPaid)
		w.wantRows(map[string]int64{"payments": 1})

		third := w.reserved()
		p, q := payment(t, other), payment(t, third)
		q.ID = p.ID
		errs := make([]error, 2)
		atOnce(2, func(i int) { _, _, errs[i] = w.service.Pay(t.Context(), []Payment{p, q}[i]) })
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("%v, %v", errs[0], errs[1])
		}
		wantError(t, errors.Join(errs...), codes.AlreadyExists, ReasonPaymentIDReused)
		w.wantRows(map[string]int64{"payments": 2})
	})
}

// T36: two payments of one order at once: one pays, the other is a refund due.
func TestTwoPaymentsInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for range 50 {
			o := w.reserved()
			recorded := make([]Payment, 2)
			errs := make([]error, 2)
			atOnce(2, func(i int) { recorded[i], _, errs[i] = w.another().Pay(t.Context(), payment(t, o)) })
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			if recorded[0].Outcome == PaymentAccepted {
				recorded[0], recorded[1] = recorded[1], recorded[0]
			}
			if recorded[1].Outcome != PaymentAccepted || recorded[0].RefundReason != AlreadyPaid {
				t.Fatalf("%+v", recorded)
			}
			w.wantDelivered(o.ID, event.TagCreated, event.TagPaid)
		}
	})
}

// T30, T31, T32, T36: payment and timeout meet at the due moment. There is one
// winner, the events tell the same story as the row, and no payment is lost.
func TestPayRacesTimeout(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		won := map[string]int{}
		for round := range 200 {
			o := w.reserved()
			due := time.UnixMilli(o.ExpiresAt)
			w.clock.Advance(due.Sub(w.clock.Now()) - time.Millisecond)
			var recorded Payment
			var results []CloseResult
			var payErr, closeErr error
			atOnce(3, func(i int) {
				switch i {
				case 0:
					recorded, _, payErr = w.service.Pay(t.Context(), payment(t, o))
				case 1:
					results, closeErr = w.another().CloseIfUnpaid(t.Context(), []string{o.ID}, ByTimer)
				case 2:
					if round%2 == 0 {
						w.clock.Advance(time.Millisecond)
					}
				}
			})
			if payErr != nil || closeErr != nil {
				t.Fatalf("pay %v, close %v", payErr, closeErr)
			}
			after := w.get(o.ID)
			paid := recorded.Outcome == PaymentAccepted
			story := []event.Tag{event.TagCreated}
			switch {
			case after.Status == Paid && paid && results[0].Outcome != OutcomeClosed:
				story = append(story, event.TagPaid)
			case after.Status == Closed && after.CloseReason == Timeout && !paid && results[0].Outcome == OutcomeClosed:
				story = append(story, event.TagClosed)
			case after.Status == Reserved && !paid && recorded.RefundReason == PastDue && results[0].Outcome == OutcomeNotDue:
			default:
				t.Fatalf("round %d: order %s, payment %+v, close %+v", round, describe(after), recorded, results)
			}
			w.wantDelivered(o.ID, story...)
			won[describe(after)]++
		}
		w.wantRows(map[string]int64{"payments": 200})
		t.Logf("winners: %v", won)
	})
}

// T30 and its mirror: between the look at the order and the decision under its
// lock somebody else decides. The decision is made anew, and says why.
func TestPayIsOvertaken(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.clock.onRead(func() { w.clock.Advance(window); w.closeIfUnpaid(o.ID) }) // tryPay reads the clock after the order
		recorded, after := w.pay(payment(t, o))
		if recorded.RefundReason != OrderClosed || after.Status != Closed {
			t.Errorf("%+v, order %s", recorded, describe(after))
		}
		w.wantDelivered(o.ID, event.TagCreated, event.TagClosed)

		// The payment looks like one of the wrong amount and turns out to be one for
		// a closed order: the answer is what was recorded.
		o = w.reserved()
		p := payment(t, o)
		p.AmountMinor++
		w.clock.onRead(func() { w.clock.Advance(window); w.closeIfUnpaid(o.ID) })
		first, _ := w.pay(p)
		again, _ := w.pay(p)
		if first != again || first.RefundReason != OrderClosed {
			t.Errorf("answered %+v, recorded %+v", first, again)
		}
	})
}

// A payment that comes too late meets an extension of the window, and pays: what is
// recorded is decided under the lock, together with the order.
func TestPayIsOvertakenByAnExtension(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.clock.Advance(window)
		w.clock.onRead(func() { // tryPay reads the clock after the order
			if err := w.db.With(t.Context()).Exec("UPDATE orders SET expires_at = expires_at + 1 WHERE id = ?", o.ID).Error; err != nil {
				t.Error(err)
			}
		})
		recorded, after := w.pay(payment(t, o))
		if recorded.Outcome != PaymentAccepted || after.Status != Paid {
			t.Errorf("%+v, order %s", recorded, describe(after))
		}
		w.wantDelivered(o.ID, event.TagCreated, event.TagPaid)
		w.wantRows(map[string]int64{"payments": 1})
	})
}

// An order that changes under every attempt ends the call, not the process.
func TestContention(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	o := w.reserved()
	w.faults.set(func(db *gorm.DB) error {
		if db.Statement.Table == "payments" && len(db.Statement.BuildClauses) > 0 && db.Statement.BuildClauses[0] == "INSERT" {
			return errStale
		}
		return nil
	})
	_, _, err := w.service.Pay(t.Context(), payment(t, o))
	wantError(t, err, codes.Unavailable, ReasonContention)
	w.faults.set(nil)
	w.wantRows(map[string]int64{"payments": 0})
	for _, h := range w.broker.pending() {
		t.Errorf("half message %v is left to check-back", h.message.Keys)
	}
}
