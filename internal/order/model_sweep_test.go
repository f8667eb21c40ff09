package order

import (
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/internal/event"
	"orderflow/internal/sweep"
)

// The model's actions that came with the sweeper: see model_test.go.

func (m *machine) cancel(t *rapid.T) {
	o := m.any(t)
	_, err := m.w.service.Cancel(m.t.Context(), o.id, "changed my mind")
	switch open := o.status == Placed || o.status == Reserved; {
	case o.status == Closed && o.reason == Cancelled:
		if err != nil {
			t.Fatalf("cancel again: %v", err)
		}
	case !open:
		want := map[Status]string{Paid: ReasonOrderPaid, Closed: ReasonOrderClosed}[o.status]
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("cancel a %s order: %v", o.status, err)
		}
	case !m.sends():
		wantUnavailable(t, err)
	case err != nil:
		t.Fatalf("cancel: %v", err)
	default:
		o.status, o.reason, o.tags = Closed, Cancelled, append(o.tags, event.TagClosed)
	}
}

func (m *machine) extend(t *rapid.T) {
	o := m.any(t)
	length := rapid.SampledFrom([]time.Duration{time.Minute, window}).Draw(t, "length")
	_, err := m.w.service.Extend(m.t.Context(), o.id, uuid.NewString(), length)
	due := m.now() + length.Milliseconds()
	refused := ""
	switch {
	case o.status == Paid:
		refused = ReasonOrderPaid
	case o.status == Closed:
		refused = ReasonOrderClosed
	case m.now() >= o.due:
		refused = ReasonWindowEnded
	case o.due == NoTimeout:
		refused = ReasonTimeoutExempt
	case due <= o.due:
		refused = ReasonNotLater
	case m.w.broker.timerFails:
		refused = unavailable
	}
	switch {
	case refused == "" && err != nil, refused != "" && (err == nil || !strings.Contains(err.Error(), refused)):
		t.Fatalf("extend: %v, want %q", err, refused)
	case refused == "":
		o.due = due
	}
}

func (m *machine) exempt(t *rapid.T) {
	o := m.any(t)
	if rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
		return
	}
	_, err := m.w.service.Exempt(m.t.Context(), o.id, "pays at the counter")
	if open := (o.status == Placed || o.status == Reserved) && m.now() < o.due; open != (err == nil) {
		t.Fatalf("exempt a %s order: %v", o.status, err)
	} else if open {
		o.due = NoTimeout
	}
}

// sweep makes a round of the sweeper: it may close what is overdue by more than its
// grace, and nothing else.
func (m *machine) sweep(t *rapid.T) {
	_, err := m.w.service.sweepOnce(m.t.Context())
	if (err != nil) && m.sends() {
		t.Fatalf("sweep: %v", err)
	}
	for _, o := range m.orders {
		got := m.w.get(o.id)
		overdue := (o.status == Placed || o.status == Reserved) && o.due != NoTimeout &&
			m.now() >= o.due+schedule().CloseGrace.Milliseconds()
		if overdue && got.Status == Closed && got.CloseReason == Timeout {
			o.status, o.reason, o.tags = Closed, Timeout, append(o.tags, event.TagClosed)
		}
		o.resent = true
	}
}

// end lets time pass with a broker that works: every order ends, unless it is exempt,
// and inventory's word settles every one for good.
func (m *machine) end(t *rapid.T) {
	m.w.broker.set(func(b *fakeBroker) { b.loseEnd, b.halfFails, b.timerFails = false, false, false })
	m.w.clock.Advance(window + schedule().CloseGrace + sweep.Lease)
	for full := true; full; {
		var err error
		if full, err = m.w.service.sweepOnce(m.t.Context()); err != nil && !errors.Is(err, errStale) {
			t.Fatal(err)
		}
	}
	for _, o := range m.orders {
		got := m.w.get(o.id)
		open := got.Status == Placed || got.Status == Reserved
		if open && o.due != NoTimeout || o.due == NoTimeout && got.Status != o.status {
			t.Fatalf("in the end an order that was %s, with due time %d, is %s", o.status, o.due, describe(got))
		}
		answer := map[Status]event.Tag{Placed: event.TagReserved, Reserved: event.TagReserved, Paid: event.TagSold, Closed: event.TagReleased}
		m.w.stock(answer[got.Status], stockEvent(o.id, 1)) // as if inventory had forgotten all versions
		if got = m.w.get(o.id); !got.settled() {
			t.Fatalf("in the end inventory's word does not settle %+v", got)
		}
	}
}
