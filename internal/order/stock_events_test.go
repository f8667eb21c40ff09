package order

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// stand is what a stock event can change of an order.
type stand struct {
	status  Status
	reason  CloseReason
	state   StockState
	version int64 // of the reservation
}

func standOf(o Order) stand { return stand{o.Status, o.CloseReason, o.StockState, o.StockVersion} }

// What inventory says is noted, newest first; a duplicate or an older event
// changes nothing, and nothing revives an order that is closed.
func TestStockEvents(t *testing.T) {
	t.Parallel()
	type step struct {
		tag     event.Tag
		version int64
		want    stand
	}
	for name, c := range map[string]struct {
		prepare func(w *world) Order
		steps   []step
		events  []event.Tag
	}{
		"reserved, twice, and older": {func(w *world) Order { return w.place(request()) }, []step{
			{event.TagReserved, 2, stand{Reserved, NotClosed, StockReserved, 2}},
			{event.TagReserved, 2, stand{Reserved, NotClosed, StockReserved, 2}},
			{event.TagReserved, 1, stand{Reserved, NotClosed, StockReserved, 2}},
			{event.TagRejected, 1, stand{Reserved, NotClosed, StockReserved, 2}},
			{event.TagReleased, 2, stand{Reserved, NotClosed, StockReserved, 2}},
		}, []event.Tag{event.TagCreated}},
		"rejected, twice, then reserved": {func(w *world) Order { return w.place(request()) }, []step{
			{event.TagRejected, 1, stand{Closed, OutOfStock, StockRejected, 1}},
			{event.TagRejected, 1, stand{Closed, OutOfStock, StockRejected, 1}},
			{event.TagReserved, 1, stand{Closed, OutOfStock, StockRejected, 1}},
			{event.TagReserved, 2, stand{Closed, OutOfStock, StockReserved, 2}},
		}, []event.Tag{event.TagCreated, event.TagClosed}},
		"released overtakes reserved": {func(w *world) Order { return w.place(request()) }, []step{
			{event.TagReleased, 2, stand{Closed, OutOfStock, StockReleased, 2}},
			{event.TagReserved, 1, stand{Closed, OutOfStock, StockReleased, 2}},
			{event.TagRejected, 1, stand{Closed, OutOfStock, StockReleased, 2}},
		}, []event.Tag{event.TagCreated, event.TagClosed}},
		"reserved, then refused by an inventory that was restored": {func(w *world) Order { return w.reserved() }, []step{
			{event.TagRejected, 1, stand{Closed, OutOfStock, StockRejected, 1}},
		}, []event.Tag{event.TagCreated, event.TagClosed}},
		"paid, then sold by an inventory that was restored": {func(w *world) Order {
			o := w.place(request())
			w.stock(event.TagReserved, stockEvent(o.ID, 3))
			w.pay(payment(w.t, o))
			return o
		}, []step{
			{event.TagReserved, 1, stand{Paid, NotClosed, StockReserved, 3}},
			{event.TagSold, 1, stand{Paid, NotClosed, StockSold, 3}},
			{event.TagSold, 1, stand{Paid, NotClosed, StockSold, 3}},
		}, []event.Tag{event.TagCreated, event.TagPaid}},
		"closed, then released by an inventory that was restored": {func(w *world) Order {
			o := w.place(request())
			w.stock(event.TagReserved, stockEvent(o.ID, 2))
			return w.expired(o)
		}, []step{
			{event.TagReleased, 1, stand{Closed, Timeout, StockReleased, 2}},
		}, []event.Tag{event.TagCreated, event.TagClosed}},
		"paid, then sold": {func(w *world) Order { o := w.reserved(); w.pay(payment(w.t, o)); return o }, []step{
			{event.TagReserved, 1, stand{Paid, NotClosed, StockReserved, 1}},
			{event.TagSold, 2, stand{Paid, NotClosed, StockSold, 2}},
			{event.TagReserved, 1, stand{Paid, NotClosed, StockSold, 2}},
		}, []event.Tag{event.TagCreated, event.TagPaid}},
		"closed by timeout, then released": {func(w *world) Order { return w.expired(w.reserved()) }, []step{
			{event.TagReleased, 2, stand{Closed, Timeout, StockReleased, 2}},
			{event.TagReserved, 1, stand{Closed, Timeout, StockReleased, 2}},
		}, []event.Tag{event.TagCreated, event.TagClosed}},
		"closed by timeout, then reserved": {func(w *world) Order { return w.expired(w.place(request())) }, []step{
			{event.TagReserved, 1, stand{Closed, Timeout, StockReserved, 1}},
			{event.TagReleased, 2, stand{Closed, Timeout, StockReleased, 2}},
		}, []event.Tag{event.TagCreated, event.TagClosed}},
		"closed by timeout, then rejected": {func(w *world) Order { return w.expired(w.place(request())) }, []step{
			{event.TagRejected, 1, stand{Closed, Timeout, StockRejected, 1}},
		}, []event.Tag{event.TagCreated, event.TagClosed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				o := c.prepare(w)
				for i, s := range c.steps {
					w.stock(s.tag, stockEvent(o.ID, s.version))
					if got := standOf(w.get(o.ID)); got != s.want {
						t.Errorf("step %d: %+v, want %+v", i, got, s.want)
					}
				}
				w.wantDelivered(o.ID, c.events...)
				if parked := w.parked.reasons(); parked != nil {
					t.Errorf("parked: %v", parked)
				}
			})
		})
	}
}

func (w *world) expired(o Order) Order {
	w.clock.Advance(window)
	w.closeIfUnpaid(o.ID)
	return o
}

// T45: the lines that were short are named on the order, and the event says why
// it was closed.
func TestRejectedNamesTheShortLines(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.place(request())
		e := stockEvent(o.ID, 1)
		e.Shortages = []*eventv1.Shortage{
			{Sku: "tea", Requested: 2, Available: 1}, {Sku: "cup", Requested: 1, UnknownSku: true}, {Sku: "not ordered", Requested: 9},
		}
		w.stock(event.TagRejected, e)
		after := w.get(o.ID)
		want := []Line{
			{OrderID: o.ID, SKU: "cup", Quantity: 1, UnitPriceMinor: 999, Shortage: UnknownSKU},
			{OrderID: o.ID, SKU: "tea", Quantity: 2, UnitPriceMinor: 250, Shortage: TooFew, Available: 1},
		}
		if !slices.Equal(after.Lines, want) || after.CloseReason != OutOfStock {
			t.Errorf("%s, lines %+v", describe(after), after.Lines)
		}
		events := w.broker.deliveredEvents(o.ID)
		if len(events) != 2 || events[1].event.GetCloseReason() != eventv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK {
			t.Errorf("events %v", events)
		}
	})
}

// T63, T64: of an envelope with good, broken and unknown events the good ones take
// effect, and each of the others is parked alone, to be replayed.
func TestBrokenStockEventsAreParkedAlone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		first, last := w.place(request()), w.place(request())
		unknown, broken := uuid.NewString(), uuid.NewString()
		w.stock(event.TagReserved, stockEvent(first.ID, 1), stockEvent(unknown, 1), stockEvent(broken, 0), stockEvent("no uuid", 1), stockEvent(last.ID, 1))
		for _, id := range []string{first.ID, last.ID} {
			if o := w.get(id); o.Status != Reserved {
				t.Errorf("order is %s", describe(o))
			}
		}
		want := []string{unknown + " " + ReasonUnknownOrder, broken + " " + event.ReasonBadEvent, "no uuid " + event.ReasonBadEvent}
		if got := w.parked.reasons(); !slices.Equal(got, want) {
			t.Errorf("parked %v, want %v", got, want)
		}
		for _, p := range w.parked.parked {
			if p.Group != "order-srv-stock-events" || p.Message.Tag != "reserved" {
				t.Errorf("parked as %+v", p)
			}
		}
		alone := w.parked.parked[0].Message // replayed when the order is there, it would be handled
		items, err := event.DecodeStockEvents(event.TagReserved, alone.Body)
		if err != nil || len(items) != 1 || items[0].Err != nil || items[0].OrderID != unknown {
			t.Errorf("the parked body is %s: %v", alone.Body, err)
		}
		for _, tag := range []event.Tag{event.TagRejected, event.TagReleased, event.TagSold} {
			w.stock(tag, stockEvent(unknown, 1))
		}
		if n := len(w.parked.parked); n != 6 {
			t.Errorf("%d parked, want 6", n)
		}
	})
}

// T63: a body that is no envelope is a permanent error, with its reason: the
// consumer parks the message.
func TestBrokenStockMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	for _, c := range []struct{ tag, body, reason string }{
		{"reserved", "", event.ReasonBadBody},
		{"reserved", `{"schemaVersion":1`, event.ReasonBadBody},
		{"reserved", `{"schemaVersion":2,"events":[{}]}`, event.ReasonUnknownVersion},
		{"reserved", `{"schemaVersion":1,"events":[]}`, event.ReasonEnvelopeSize},
		{"created", `{"schemaVersion":1,"events":[{}]}`, event.ReasonUnknownTag},
		{"", `{"schemaVersion":1,"events":[{}]}`, event.ReasonUnknownTag},
	} {
		err := w.service.HandleStockEvents(t.Context(), message.Message{Tag: c.tag, Body: []byte(c.body)})
		var permanent *message.PermanentError
		if !errors.As(err, &permanent) || permanent.Reason != c.reason {
			t.Errorf("%q %s: %v, want %s", c.tag, c.body, err, c.reason)
		}
	}
}

// A stock event that cannot be handled now comes again, and nothing is parked;
// its neighbours are done.
func TestStockEventsComeAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		rejected := w.place(request())
		w.broker.set(func(b *fakeBroker) { b.halfFails = true })
		err := w.handle(event.TagRejected, stockEvent(rejected.ID, 1))
		var permanent *message.PermanentError
		if !errors.Is(err, message.ErrUnavailable) || errors.As(err, &permanent) {
			t.Errorf("error %v", err)
		}
		w.broker.set(func(b *fakeBroker) { b.halfFails = false })
		w.failCommit(commitFault{}) // rolled back, and nobody can tell
		if err := w.handle(event.TagRejected, stockEvent(rejected.ID, 1)); err == nil || errors.As(err, &permanent) {
			t.Errorf("error %v", err)
		}
		w.heal()
		if o := w.get(rejected.ID); o.Status != Placed {
			t.Errorf("order is %s", describe(o))
		}
		w.stock(event.TagRejected, stockEvent(rejected.ID, 1))
		w.broker.checkBackAll(w.listener())
		w.wantDelivered(rejected.ID, event.TagCreated, event.TagClosed)

		reserved, failing := w.place(request()), w.place(request())
		w.faults.set(failStatements(isUpdateOf(failing.ID)))
		if err := w.handle(event.TagReserved, stockEvent(failing.ID, 1), stockEvent(reserved.ID, 1)); !errors.Is(err, errInjected) {
			t.Errorf("error %v", err)
		}
		w.faults.set(nil)
		if w.get(reserved.ID).Status != Reserved || w.get(failing.ID).Status != Placed {
			t.Error("a failing event stopped its neighbour")
		}
		w.stock(event.TagReserved, stockEvent(failing.ID, 1), stockEvent(reserved.ID, 1))
		if w.get(failing.ID).Status != Reserved {
			t.Error("the event that came again had no effect")
		}
		w.parked.err = errInjected // what cannot be parked comes again too
		if err := w.handle(event.TagReserved, stockEvent(uuid.NewString(), 1)); !errors.Is(err, errInjected) || errors.As(err, &permanent) {
			t.Errorf("error %v", err)
		}
	})
}

// Rejection and timeout meet: one of them closes the order, once.
func TestRejectionRacesTimeout(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for range 50 {
			o := w.place(request())
			w.clock.Advance(window)
			atOnce(3, func(i int) {
				if i == 0 {
					w.closeIfUnpaid(o.ID)
					return
				}
				if err := w.handle(event.TagRejected, stockEvent(o.ID, 1)); err != nil {
					t.Error(err)
				}
			})
			if after := w.get(o.ID); after.Status != Closed || after.StockState != StockRejected {
				t.Errorf("%s, stock %d", describe(after), after.StockState)
			}
			w.wantDelivered(o.ID, event.TagCreated, event.TagClosed)
		}
	})
}

// The status table, walked on real rows: a row changes exactly where the table
// says so, and to what it says.
func TestStatusTable(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		statuses := []Status{Placed, Reserved, Paid, Closed}
		legal := map[string]bool{
			"PLACED reserve": true, "RESERVED pay": true, "PLACED expire": true, "RESERVED expire": true, "PLACED reject": true,
			"RESERVED reject": true, "PLACED cancel": true, "RESERVED cancel": true,
		}
		for _, from := range statuses {
			for _, tr := range Transitions() {
				name := from.String() + " " + tr.Name
				o := w.place(request())
				if err := w.db.With(t.Context()).Exec("UPDATE orders SET status = ? WHERE id = ?", from, o.ID).Error; err != nil {
					t.Fatal(err)
				}
				err := w.store.inTx(t.Context(), func(tx *Tx) error { return tx.move(o.ID, tr, Entry{Cause: ByClient}, nil) })
				after := w.get(o.ID)
				if tr.CanLeave(from) != legal[name] {
					t.Errorf("%s: CanLeave %t", name, tr.CanLeave(from))
				}
				switch {
				case legal[name] && (err != nil || after.Status != tr.To || after.CloseReason != tr.Reason || after.Version != 2):
					t.Errorf("%s: %v, %+v", name, err, after)
				case !legal[name] && (!errors.Is(err, errStale) || after.Status != from || after.Version != 1):
					t.Errorf("%s: %v, %+v", name, err, after)
				}
			}
		}
		err := w.store.inTx(t.Context(), func(tx *Tx) error { return tx.move(uuid.NewString(), transitionReserve(), Entry{Cause: ByClient}, nil) })
		if !errors.Is(err, errStale) {
			t.Errorf("an order that does not exist: %v", err)
		}
	})
}

// Every status and reason has its name, and what is not one says so.
func TestNames(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Placed.String(): "PLACED", Reserved.String(): "RESERVED", Paid.String(): "PAID", Closed.String(): "CLOSED", Status(9).String(): "UNKNOWN",
		Timeout.String(): "TIMEOUT", Cancelled.String(): "CANCELLED", OutOfStock.String(): "OUT_OF_STOCK", NotClosed.String(): "",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if CloseReason(9).String() != "UNKNOWN" {
		t.Error("reason 9 has a name")
	}
}

// A backup was restored that knows nothing of the order's payment: somebody is told, and
// the payment can be recorded again.
func TestSoldStockOfAnOpenOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o := w.place(request())
		if _, err := w.service.Exempt(t.Context(), o.ID, "pays at the counter"); err != nil {
			t.Fatal(err)
		}
		w.stock(event.TagSold, stockEvent(o.ID, 2))
		w.stock(event.TagSold, stockEvent(o.ID, 2)) // once more, as the sweeper asks for
		want := []string{o.ID + " " + ReasonOpenButSold, o.ID + " " + ReasonOpenButSold}
		if got := w.parked.reasons(); !slices.Equal(got, want) {
			t.Errorf("parked %v, want %v", got, want)
		}
		p, paid := w.pay(payment(t, o))
		if p.Outcome != PaymentAccepted || paid.Status != Paid || !paid.settled() {
			t.Errorf("the payment is %+v, the order %+v", p, paid)
		}
		w.stock(event.TagSold, stockEvent(o.ID, 2)) // or a replay
		if got := w.parked.reasons(); len(got) != len(want) {
			t.Errorf("parked %v after the payment", got)
		}
	})
}
