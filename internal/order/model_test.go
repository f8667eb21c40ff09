package order

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// modelOrder is what the model knows of an order.
type modelOrder struct {
	id       string
	request  Request
	total    int64
	due      int64
	status   Status
	reason   CloseReason
	stock    int64 // version of the reservation
	state    StockState
	resent   bool        // the sweeper may have sent its events again
	tags     []event.Tag // its events
	payments []*modelPayment
}

type modelPayment struct {
	payment Payment
	outcome PaymentOutcome
	reason  RefundReason
}

// machine drives the service and the model side by side. Whether the broker learns
// of a commit, is asked, or loses the half message is part of the sequence.
type machine struct {
	t      testing.TB // of the whole test, for the world
	w      *world
	orders []*modelOrder
}

// A random life of many orders: places, payments, closes, stock events, lost
// commits, check-backs and the clock. After every step the rows are those of the
// model, which moves on legal paths only.
func TestModel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(rt *rapid.T) {
			m := &machine{t: t, w: w}
			w.broker.set(func(b *fakeBroker) { b.halves, b.loseEnd, b.halfFails, b.timerFails = nil, false, false, false })
			rt.Repeat(map[string]func(*rapid.T){
				"place": m.place, "repeat": m.repeat, "pay": m.pay, "pay again": m.payAgain, "close": m.close, "stock": m.stock,
				"cancel": m.cancel, "extend": m.extend, "exempt": m.exempt, "sweep": m.sweep,
				"advance": m.advance, "broker": m.broker, "check back": m.checkBack, "": m.check,
			})
			m.finish(rt)
			m.end(rt)
		})
	})
}

func (m *machine) now() int64 { return m.w.clock.Now().UnixMilli() }

// sends tells whether the broker takes half messages at the moment.
func (m *machine) sends() bool { return !m.w.broker.halfFails }

func (m *machine) any(t *rapid.T) *modelOrder {
	if len(m.orders) == 0 {
		t.Skip("no orders")
	}
	return m.orders[rapid.IntRange(0, len(m.orders)-1).Draw(t, "order")]
}

func (m *machine) place(t *rapid.T) {
	r := Request{
		IdempotencyKey: uuid.NewString(), CustomerID: "c", Currency: "EUR", // the database is that of every sequence
		Window: rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "window"),
		Lines:  []RequestLine{{"tea", rapid.Int64Range(1, 9).Draw(t, "quantity"), 250}},
	}
	d, err := NewDraft(r)
	if err != nil {
		t.Fatal(err)
	}
	o, err := m.w.service.Place(m.t.Context(), d)
	if !m.sends() || m.w.broker.timerFails {
		wantUnavailable(t, err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	length := window
	if r.Window != 0 {
		length = r.Window
	}
	m.orders = append(m.orders, &modelOrder{
		id: o.ID, request: r, total: r.Lines[0].Quantity * 250, due: m.now() + length.Milliseconds(), status: Placed,
		tags: []event.Tag{event.TagCreated},
	})
}

// repeat places an order again.
func (m *machine) repeat(t *rapid.T) {
	o := m.any(t)
	d, err := NewDraft(o.request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.w.service.Place(m.t.Context(), d)
	if err != nil || again.ID != o.id || again.Status != o.status {
		t.Fatalf("repeated: %s %s, %v; want %s %s", again.ID, describe(again), err, o.id, o.status)
	}
}

func (m *machine) pay(t *rapid.T) {
	o := m.any(t)
	p, err := NewPayment(uuid.NewString(), o.id, o.total+rapid.SampledFrom([]int64{0, 0, 0, 1}).Draw(t, "too much"), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	want := &modelPayment{payment: p, outcome: RefundDue}
	switch {
	case o.status == Placed:
		_, _, err := m.w.service.Pay(m.t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), ReasonStockNotConfirmed) {
			t.Fatalf("pay a placed order: %v", err)
		}
		return
	case o.status == Paid:
		want.reason = AlreadyPaid
	case o.status == Closed:
		want.reason = OrderClosed
	case m.now() >= o.due:
		want.reason = PastDue
	case p.AmountMinor != o.total:
		want.reason = AmountMismatch
	default:
		want.outcome = PaymentAccepted
	}
	recorded, _, err := m.w.service.Pay(m.t.Context(), p)
	if want.outcome == PaymentAccepted && !m.sends() {
		wantUnavailable(t, err)
		return
	}
	if err != nil || recorded.Outcome != want.outcome || recorded.RefundReason != want.reason {
		t.Fatalf("pay: %+v, %v, want %+v", recorded, err, want)
	}
	o.payments = append(o.payments, want)
	if want.outcome == PaymentAccepted {
		o.status, o.tags = Paid, append(o.tags, event.TagPaid)
	}
}

// payAgain reports a payment that was recorded: its first outcome stays.
func (m *machine) payAgain(t *rapid.T) {
	o := m.any(t)
	for _, p := range o.payments {
		recorded, _, err := m.w.service.Pay(m.t.Context(), p.payment)
		if err != nil || recorded.Outcome != p.outcome || recorded.RefundReason != p.reason {
			t.Fatalf("pay again: %+v, %v, want %+v", recorded, err, p)
		}
	}
}

func (m *machine) close(t *rapid.T) {
	o := m.any(t)
	results, err := m.w.service.CloseIfUnpaid(m.t.Context(), []string{o.id}, ByTimer)
	overdue := (o.status == Placed || o.status == Reserved) && m.now() >= o.due
	if overdue && !m.sends() {
		wantUnavailable(t, err)
		return
	}
	if overdue {
		o.status, o.reason, o.tags = Closed, Timeout, append(o.tags, event.TagClosed)
	}
	want := CloseResult{OrderID: o.id, Outcome: OutcomeNotDue, Reason: o.reason, DueAt: o.due}
	switch o.status {
	case Closed:
		want.Outcome = OutcomeClosed
	case Paid:
		want.Outcome = OutcomePaid
	}
	if err != nil || results[0] != want {
		t.Fatalf("close: %+v, %v, want %+v", results, err, want)
	}
}

func (m *machine) stock(t *rapid.T) {
	o := m.any(t)
	tag := rapid.SampledFrom([]event.Tag{event.TagReserved, event.TagReserved, event.TagRejected, event.TagReleased, event.TagSold}).Draw(t, "tag")
	version := max(1, o.stock+rapid.Int64Range(-1, 1).Draw(t, "version"))
	state := map[event.Tag]StockState{event.TagReserved: StockReserved, event.TagRejected: StockRejected,
		event.TagReleased: StockReleased, event.TagSold: StockSold}[tag]
	awaited := Order{Status: o.status, StockState: state}.settled() && !Order{Status: o.status, StockState: o.state}.settled()
	news := version > o.stock || awaited
	err := m.w.handle(tag, stockEvent(o.id, version))
	open := o.status == Placed || o.status == Reserved
	rejects := open && (tag == event.TagRejected && version >= o.stock || tag == event.TagReleased && version > o.stock)
	if rejects && !m.sends() {
		if !errors.Is(err, message.ErrUnavailable) {
			t.Fatalf("%s: %v", tag, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", tag, err)
	}
	if !news && !rejects {
		return
	}
	o.stock, o.state = max(o.stock, version), state
	switch {
	case rejects:
		o.status, o.reason, o.tags = Closed, OutOfStock, append(o.tags, event.TagClosed)
	case (tag == event.TagReserved || tag == event.TagSold) && o.status == Placed:
		o.status = Reserved
	}
}

func (m *machine) advance(t *rapid.T) {
	m.w.clock.Advance(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Minute - time.Millisecond, time.Minute, window}).Draw(t, "by"))
}

// broker switches faults of the broker on and off.
func (m *machine) broker(t *rapid.T) {
	loses, refuses, late := rapid.Bool().Draw(t, "loses ends"), rapid.Bool().Draw(t, "refuses"), rapid.Bool().Draw(t, "no timers")
	m.w.broker.set(func(b *fakeBroker) { b.loseEnd, b.halfFails, b.timerFails = loses, refuses, late })
}

// checkBack asks about all half messages, ended or not, at another instance.
func (m *machine) checkBack(t *rapid.T) {
	for _, h := range slices.Clone(m.w.broker.halves) {
		before := m.w.broker.stateOf(h)
		state := m.w.broker.checkBack(h, m.w.listener())
		if state == message.StateUnknown || before != message.StateUnknown && before != state {
			t.Fatalf("half message %s %v was ended as %s, check-back %s", h.message.Tag, h.message.Keys, before, state)
		}
	}
}

// check compares every order with the model.
func (m *machine) check(t *rapid.T) {
	for _, o := range m.orders {
		got, err := m.w.service.Get(m.t.Context(), o.id)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != o.status || got.CloseReason != o.reason || got.StockVersion != o.stock || got.StockState != o.state || got.ExpiresAt != o.due || got.TotalMinor != o.total {
			t.Fatalf("order %+v, want %+v", got, o)
		}
	}
}

// finish asks about every half message, and compares events and payments.
func (m *machine) finish(t *rapid.T) {
	m.checkBack(t)
	for _, o := range m.orders {
		got := m.w.broker.delivered(o.id)
		if o.resent {
			got = slices.Compact(got) // the sweeper sends what is true; never what is not any more
		}
		if !slices.Equal(got, o.tags) {
			t.Fatalf("events of a %s order: %v, want %v", o.status, got, o.tags)
		}
		var rows []Payment
		if err := m.w.db.With(m.t.Context()).Where("order_id = ?", o.id).Find(&rows).Error; err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for _, p := range rows {
			if p.Outcome == PaymentAccepted {
				accepted++
			}
		}
		if len(rows) != len(o.payments) || (o.status == Paid) != (accepted == 1) || accepted > 1 {
			t.Fatalf("%s order has %d payments, %d accepted; the model has %d", o.status, len(rows), accepted, len(o.payments))
		}
	}
}

func wantUnavailable(t *rapid.T, err error) {
	if err == nil || !strings.Contains(err.Error(), unavailable) {
		t.Fatalf("error %v, want %s", err, unavailable)
	}
}
