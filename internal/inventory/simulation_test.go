package inventory_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/mq/message"
	"orderflow/internal/sweep"
	"orderflow/migrations"
)

// simulation is one run: a few orders whose messages lie in a bag, and are
// delivered in any order, several times, or never, with crashes between the commit and
// the send. A sweeper looks now and then. The order service in it decides as the real
// one does, and in the end sends again what inventory has not confirmed.
type simulation struct {
	*world
	rt     *rapid.T
	stock  map[string]int64
	all    []*simulated
	bag    []message.Message
	ghosts []string        // orders that only have a timer
	lossy  map[string]bool // orders whose `created` arrives; all else may be lost
}

// simulated is an order of a run and what its order service has heard of it.
type simulated struct {
	*order
	heard   string // tag of the latest stock event
	version int64
}

// Whatever is delivered in whatever order and however often: the books balance
// after every step, and at the end every order's stock is where its fate says.
func TestSimulation(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		rapid.Check(t, func(rt *rapid.T) { newSimulation(t, rt, db).run() })
	})
}

func newSimulation(t *testing.T, rt *rapid.T, db *database.DB) *simulation {
	for _, table := range []string{"stocks", "receipts", "reservations", "reservation_lines", "reservation_timeline", "parked_messages"} {
		if err := db.With(t.Context()).Exec("DELETE FROM " + table).Error; err != nil {
			rt.Fatal(err)
		}
	}
	s := &simulation{world: newWorld(t, db), rt: rt, stock: map[string]int64{}, lossy: map[string]bool{}}
	for _, sku := range []string{"A", "B"} {
		s.stock[sku] = rapid.Int64Range(1, 6).Draw(rt, "stock of "+sku)
		s.receive(sku, s.stock[sku])
	}
	s.orders.onClose = func(o *order) { s.put(event.TagClosed, o) }
	s.sent.onSend = s.hear
	for range rapid.IntRange(1, 4).Draw(rt, "orders") {
		s.place()
	}
	return s
}

// place creates an order, or the timer of one that never came to be.
func (s *simulation) place() {
	var lines []*eventv1.Line
	for _, sku := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"A", "B", "unknown"}), 1, 2, rapid.ID).Draw(s.rt, "SKUs") {
		lines = append(lines, line(sku, rapid.Int64Range(1, 4).Draw(s.rt, "quantity")))
	}
	if rapid.IntRange(0, 7).Draw(s.rt, "ghost") == 0 {
		ghost := unknownOrder(s.world, lines...)
		s.ghosts = append(s.ghosts, ghost.id)
		s.bag = append(s.bag, s.timer(ghost))
		return
	}
	o := &simulated{order: s.newOrder(lines...)}
	s.all = append(s.all, o)
	if rapid.IntRange(0, 7).Draw(s.rt, "lost") == 0 { // now and then `created` never arrives
		s.bag = append(s.bag, s.timer(o.order))
		return
	}
	s.put(event.TagCreated, o.order)
	s.lossy[o.id] = true
	if rapid.Bool().Draw(s.rt, "timer arrives") {
		s.bag = append(s.bag, s.timer(o.order))
	}
}

// put adds an order event to the bag, if it is not lost.
func (s *simulation) put(tag event.Tag, o *order) {
	if !s.lossy[o.id] || rapid.Bool().Draw(s.rt, "event arrives") {
		s.bag = append(s.bag, s.orderEvents(tag, o))
	}
}

// hear is the order service's consumer of stock events.
func (s *simulation) hear(m message.Message) {
	items, err := event.DecodeStockEvents(event.Tag(m.Tag), m.Body)
	if err != nil {
		s.t.Error(err)
		return
	}
	for _, o := range s.all {
		if o.id != items[0].OrderID || items[0].Event.GetVersion() <= o.version {
			continue
		}
		o.heard, o.version = m.Tag, items[0].Event.GetVersion()
		if m.Tag == string(event.TagRejected) {
			s.decide(o, closedOutcome, event.TagClosed)
		}
	}
}

// decide ends an open order and puts the event of it into the bag.
func (s *simulation) decide(o *simulated, outcome orderv1.CloseOutcome, tag event.Tag) {
	if o.outcome == orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE {
		o.outcome = outcome
		s.put(tag, o.order)
	}
}

func (s *simulation) run() {
	for range rapid.IntRange(5, 30).Draw(s.rt, "steps") {
		s.step()
		s.check()
	}
	s.clock.Advance(2 * window)
	s.drain()
	s.heal()
	clear(s.lossy)
	s.resend()
	s.drain()
	s.finish()
}

// step does one thing that may happen.
func (s *simulation) step() {
	const paying, cancelling, waiting, sweeping = 0, 1, 2, 3
	switch what := rapid.IntRange(0, 9).Draw(s.rt, "step"); {
	case what == paying && len(s.all) > 0:
		o := rapid.SampledFrom(s.all).Draw(s.rt, "payer")
		if o.heard == string(event.TagReserved) && s.clock.Now().Before(o.due) {
			s.decide(o, paidOutcome, event.TagPaid)
		}
	case what == cancelling && len(s.all) > 0:
		s.decide(rapid.SampledFrom(s.all).Draw(s.rt, "canceller"), closedOutcome, event.TagClosed)
	case what == waiting:
		s.clock.Advance(window / 2)
	case what == sweeping:
		s.fail()
		_, _ = s.round() // what it could not settle comes again
		s.mend()
	case len(s.bag) > 0:
		s.deliverOne()
	}
}

// deliverOne takes a message out of the bag; it stays there if it was not
// acknowledged, and sometimes although it was.
func (s *simulation) deliverOne() {
	i := rapid.IntRange(0, len(s.bag)-1).Draw(s.rt, "message")
	s.fail()
	m := s.bag[i]
	err := s.deliver(m)
	s.mend()
	if err == nil && rapid.Bool().Draw(s.rt, "acknowledged") {
		s.bag = slices.Delete(s.bag, i, i+1)
	}
}

// fail breaks what may break during the next step, and mend ends that.
func (s *simulation) fail() {
	s.sent.failures = rapid.IntRange(0, 1).Draw(s.rt, "crash after commit")
	s.orders.failures = rapid.SampledFrom([]int{0, 0, 1}).Draw(s.rt, "order service down")
	s.orders.lostReply = rapid.IntRange(0, 3).Draw(s.rt, "reply lost") == 0
}

func (s *simulation) mend() { s.sent.failures, s.orders.failures, s.orders.lostReply = 0, 0, false }

// heal lets the sweeper do what was lost: no reservation of an order that has ended
// holds anything then, whatever order-srv has been told.
func (s *simulation) heal() {
	s.clock.Advance(2 * sweep.MaxWait)
	if full, err := s.round(); err != nil || full {
		s.rt.Fatalf("sweep: %v, %v", full, err)
	}
	s.check()
	for _, o := range s.all {
		if r, err := s.store.Reservation(s.t.Context(), o.id); err == nil && r.Status == inventory.StatusReserved {
			s.rt.Fatalf("the order is %s, and still holds stock", o.outcome)
		}
	}
}

// resend is the order service's sweeper: it sends the event of each order again whose
// end inventory has not confirmed.
func (s *simulation) resend() {
	for _, o := range s.all {
		switch {
		case o.outcome == paidOutcome && o.heard != string(event.TagSold):
			s.put(event.TagPaid, o.order)
		case o.outcome == closedOutcome && o.heard != string(event.TagReleased) && o.heard != string(event.TagRejected):
			s.put(event.TagClosed, o.order)
		}
	}
}

// drain delivers every message until it is acknowledged, what new ones come up
// included.
func (s *simulation) drain() {
	for n := 0; len(s.bag) > 0; n++ {
		if n > 1000 {
			s.rt.Fatalf("%d messages are never acknowledged", len(s.bag))
		}
		i := rapid.IntRange(0, len(s.bag)-1).Draw(s.rt, "message")
		if err := s.deliver(s.bag[i]); err != nil {
			s.rt.Fatalf("%s: %v", s.bag[i].Tag, err)
		}
		s.bag = slices.Delete(s.bag, i, i+1)
		s.check()
	}
}

func (s *simulation) check() {
	violations, err := s.store.Audit(s.t.Context())
	if err != nil || len(violations) > 0 {
		s.rt.Fatalf("audit: %v %v", violations, err)
	}
}

// finish compares inventory with the fates of the orders.
func (s *simulation) finish() {
	sold := map[string]int64{}
	for _, o := range s.all {
		r, err := s.store.Reservation(s.t.Context(), o.id)
		if err != nil {
			s.rt.Fatal(err)
		}
		want := []inventory.Status{inventory.StatusReleased, inventory.StatusRejected}
		if o.outcome == paidOutcome {
			want = []inventory.Status{inventory.StatusSold}
			for _, l := range o.lines {
				sold[l.GetSku()] += l.GetQuantity()
			}
		}
		if !slices.Contains(want, r.Status) {
			s.rt.Fatalf("order ended as %s, its reservation as %s", o.outcome, r.Status)
		}
		tags := []string{"", "reserved", "rejected", "released", "sold"}
		if o.heard != tags[r.Status] || o.version != r.Version {
			s.rt.Fatalf("order-srv was told %s %d last, the reservation is %s %d", o.heard, o.version, r.Status, r.Version)
		}
	}
	for _, id := range s.ghosts {
		if _, err := s.store.Reservation(s.t.Context(), id); err == nil {
			s.rt.Fatal("an order that never was has a reservation")
		}
	}
	for sku, units := range s.stock {
		stocks, err := s.store.Stocks(s.t.Context(), []string{sku})
		if err != nil {
			s.rt.Fatal(err)
		}
		if got := fmt.Sprint(stocks[0].Available, stocks[0].Reserved, stocks[0].Sold); got != fmt.Sprint(units-sold[sku], 0, sold[sku]) {
			s.rt.Fatalf("%s ended with %s of %d, sold %d", sku, got, units, sold[sku])
		}
	}
	if n, err := s.parked.Count(s.t.Context()); err != nil || n != 0 {
		s.rt.Fatalf("%d are parked, %v", n, err)
	}
}
