package order

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
)

// Each order is answered as it stands, in the order of the request; the ones that
// are due and unpaid are closed.
func TestCloseIfUnpaid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		placed, reserved, paid := w.place(request()), w.reserved(), w.reserved()
		w.pay(payment(t, paid))
		rejected := w.place(request())
		w.stock(event.TagRejected, stockEvent(rejected.ID, 1))
		w.clock.Advance(window - time.Millisecond)
		late := w.reserved()
		unknown := uuid.NewString()
		ids := []string{reserved.ID, unknown, paid.ID, late.ID, placed.ID, rejected.ID}
		due, later := placed.ExpiresAt, late.ExpiresAt

		early := []CloseResult{
			{reserved.ID, OutcomeNotDue, NotClosed, due}, {unknown, OutcomeUnknown, NotClosed, 0}, {paid.ID, OutcomePaid, NotClosed, due},
			{late.ID, OutcomeNotDue, NotClosed, later}, {placed.ID, OutcomeNotDue, NotClosed, due}, {rejected.ID, OutcomeClosed, OutOfStock, due},
		}
		if diff := cmp.Diff(early, w.closeIfUnpaid(ids...)); diff != "" {
			t.Errorf("one millisecond early: %s", diff)
		}
		w.wantDelivered(reserved.ID, event.TagCreated)
		w.clock.Advance(time.Millisecond)
		want := early
		want[0] = CloseResult{reserved.ID, OutcomeClosed, Timeout, due}
		want[4] = CloseResult{placed.ID, OutcomeClosed, Timeout, due}
		for range 2 { // T33: a repetition gives the same answer
			if diff := cmp.Diff(want, w.closeIfUnpaid(ids...)); diff != "" {
				t.Error(diff)
			}
		}
		w.wantDelivered(reserved.ID, event.TagCreated, event.TagClosed)
		w.wantDelivered(placed.ID, event.TagCreated, event.TagClosed)
		w.wantDelivered(paid.ID, event.TagCreated, event.TagPaid)
		w.wantDelivered(late.ID, event.TagCreated)
		if e := w.broker.deliveredEvents(reserved.ID)[1].event; e.GetCloseReason() != eventv1.CloseReason_CLOSE_REASON_TIMEOUT || len(e.GetLines()) != 2 {
			t.Errorf("event %v", e)
		}
	})
}

// T24: the timer comes twice at once, on two instances: both are told closed, and
// there is one event.
func TestCloseInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for range 20 {
			o := w.reserved()
			w.clock.Advance(window)
			atOnce(3, func(int) {
				results, err := w.another().CloseIfUnpaid(t.Context(), []string{o.ID, o.ID}, ByTimer)
				if err != nil || results[0] != (CloseResult{o.ID, OutcomeClosed, Timeout, o.ExpiresAt}) || results[1] != results[0] {
					t.Errorf("%+v, %v", results, err)
				}
			})
			w.wantDelivered(o.ID, event.TagCreated, event.TagClosed)
			if after := w.get(o.ID); after.Version != o.Version+1 {
				t.Errorf("version %d, was %d", after.Version, o.Version)
			}
		}
	})
}

// T25: the order's window was extended between the look and the decision: the order
// is not closed, and the answer is the new due time.
func TestCloseIsOvertakenByAnExtension(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.reserved()
		w.clock.Advance(window)
		later := o.ExpiresAt + 1
		w.clock.onRead(func() { // closeIfUnpaid reads the clock after the order
			if err := w.db.With(t.Context()).Exec("UPDATE orders SET expires_at = ? WHERE id = ?", later, o.ID).Error; err != nil {
				t.Error(err)
			}
		})
		if got := w.closeIfUnpaid(o.ID)[0]; got != (CloseResult{o.ID, OutcomeNotDue, NotClosed, later}) {
			t.Errorf("%+v", got)
		}
		w.wantDelivered(o.ID, event.TagCreated)
	})
}

// 1 to 64 ids can be asked for; the bad ones are named.
func TestCloseIfUnpaidBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	some := func(n int) (ids []string) {
		for range n {
			ids = append(ids, uuid.NewString())
		}
		return ids
	}
	if results := w.closeIfUnpaid(some(64)...); len(results) != 64 {
		t.Errorf("%d results", len(results))
	}
	bad := some(3)
	bad[0], bad[2] = "", strings.ToUpper(bad[2])
	for want, ids := range map[string][]string{
		"[order_ids]": some(65), "[order_ids] ": nil, "[order_ids[0] order_ids[2]]": bad,
	} {
		_, err := w.service.CloseIfUnpaid(t.Context(), ids, ByTimer)
		if got := fmt.Sprint(fieldsOf(t, err)); got != strings.TrimSpace(want) {
			t.Errorf("%d ids: %s, want %s", len(ids), got, want)
		}
	}
	w.wantNothing()
}

// Without the broker no order is closed, and the caller may ask again: a close
// that nobody hears of would keep its stock. A neighbour that needs no broker is
// answered all the same.
func TestCloseWithoutBroker(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o, paid := w.reserved(), w.reserved()
		w.pay(payment(t, paid))
		w.clock.Advance(window)
		w.broker.set(func(b *fakeBroker) { b.halfFails = true })
		_, err := w.service.CloseIfUnpaid(t.Context(), []string{o.ID}, ByTimer)
		wantError(t, err, codes.Unavailable, unavailable)
		results, err := w.service.CloseIfUnpaid(t.Context(), []string{o.ID, paid.ID}, ByTimer)
		if err != nil || len(results) != 1 || results[0].OrderID != paid.ID || results[0].Outcome != OutcomePaid {
			t.Errorf("CloseIfUnpaid of both: %+v, %v", results, err)
		}
		if after := w.get(o.ID); after.Status != Reserved {
			t.Errorf("order is %s", describe(after))
		}
		w.broker.set(func(b *fakeBroker) { b.halfFails = false })
		w.closeIfUnpaid(o.ID)
		w.wantDelivered(o.ID, event.TagCreated, event.TagClosed)
	})
}
