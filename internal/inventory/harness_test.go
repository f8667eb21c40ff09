package inventory_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/clock"
	"orderflow/internal/crashpoint"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
	"orderflow/migrations"
)

const (
	window = 30 * time.Minute
	grace  = time.Minute // after its end the sweeper looks
)

// patience bounds what a test waits for; it is spent only where a test fails.
const patience = 90 * time.Second

// world is inventory with everything around it that is not inventory: an order
// service, a broker that takes stock events, a clock.
type world struct {
	t       *testing.T
	db      *database.DB
	store   *inventory.Store
	service *inventory.Service
	clock   *clock.Manual
	orders  *orderService
	sent    *outbox
	parked  *parking.Store
	names   event.Names
}

// each runs body in a new world per dialect, and the audit after it.
func each(t *testing.T, body func(t *testing.T, w *world)) {
	t.Helper()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		body(t, w)
		w.audit()
	})
}

func newWorld(t *testing.T, db *database.DB) *world {
	t.Helper()
	clk := clock.NewManual(time.UnixMilli(1_700_000_000_000).UTC())
	w := &world{
		t: t, db: db, clock: clk,
		store:  inventory.NewStore(db, clk, grace, nil),
		orders: &orderService{clock: clk, known: map[string]*order{}},
		sent:   &outbox{},
		parked: parking.NewStore(db, clk),
		names:  event.NewNames("test-"),
	}
	w.arm(nil)
	return w
}

// arm makes the service anew, with a crash point.
func (w *world) arm(point *crashpoint.Point) {
	w.service = inventory.New(inventory.Deps{
		Store: w.store, Orders: w.orders, StockEvents: w.sent, Parker: w.parked, Names: w.names,
		Clock: w.clock, Crash: point, Log: slog.New(slog.DiscardHandler),
	})
}

// order is an order as the order service knows it.
type order struct {
	id      string
	lines   []*eventv1.Line
	due     time.Time
	outcome orderv1.CloseOutcome // NOT_DUE while it is open, and PAID or CLOSED at its end
}

// orderService answers CloseIfUnpaid as order-srv does.
type orderService struct {
	mu        sync.Mutex
	clock     clock.Clock
	slow      time.Duration // how far its clock is behind
	known     map[string]*order
	asked     [][]string
	triggers  []orderv1.CloseTrigger // why, call by call
	failures  int                    // so many calls fail before anything happens
	lostReply bool                   // calls take effect and fail nevertheless
	onClose   func(o *order)
	onAsk     func()
}

var errDown = errors.New("order service is down")

func (s *orderService) CloseIfUnpaid(
	_ context.Context, in *orderv1.CloseIfUnpaidRequest, _ ...grpc.CallOption,
) (*orderv1.CloseIfUnpaidResponse, error) {
	if s.onAsk != nil {
		s.onAsk()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.triggers = append(s.asked, in.GetOrderIds()), append(s.triggers, in.GetTrigger())
	if s.failures > 0 {
		s.failures--
		return nil, errDown
	}
	out := &orderv1.CloseIfUnpaidResponse{}
	for _, id := range in.GetOrderIds() {
		out.Results = append(out.Results, s.answer(id))
	}
	if s.lostReply {
		return nil, errDown
	}
	return out, nil
}

func (s *orderService) answer(id string) *orderv1.CloseIfUnpaidResult {
	o, ok := s.known[id]
	if !ok {
		return &orderv1.CloseIfUnpaidResult{OrderId: id, Outcome: orderv1.CloseOutcome_CLOSE_OUTCOME_UNKNOWN}
	}
	now := s.clock.Now().Add(-s.slow)
	if o.outcome == orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE && !o.due.After(now) {
		o.outcome = orderv1.CloseOutcome_CLOSE_OUTCOME_CLOSED
		if s.onClose != nil {
			s.onClose(o)
		}
	}
	result := &orderv1.CloseIfUnpaidResult{OrderId: id, Outcome: o.outcome, DueAt: timestamppb.New(o.due)}
	if o.outcome == orderv1.CloseOutcome_CLOSE_OUTCOME_CLOSED {
		result.CloseReason = orderv1.CloseReason_CLOSE_REASON_TIMEOUT
	}
	return result
}

// set changes an order under the lock.
func (s *orderService) set(o *order, outcome orderv1.CloseOutcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.outcome = outcome
}

// outcomeOf is how an order stands.
func (s *orderService) outcomeOf(o *order) orderv1.CloseOutcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return o.outcome
}

// calls is how often it was asked.
func (s *orderService) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// outbox is the broker's side of the stock events.
type outbox struct {
	mu       sync.Mutex
	messages []message.Message
	failures int // so many sends fail
	onSend   func(m message.Message)
}

var errBroker = errors.New("broker is down")

func (o *outbox) Send(_ context.Context, m message.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failures > 0 {
		o.failures--
		return errBroker
	}
	o.messages = append(o.messages, m)
	if o.onSend != nil {
		o.onSend(m)
	}
	return nil
}

// stockEvent is a stock event that was sent, with its tag.
type stockEvent struct {
	Tag   string
	Event *eventv1.StockEvent
}

// take returns what was sent since the last call.
func (w *world) take() []stockEvent {
	w.t.Helper()
	w.sent.mu.Lock()
	defer w.sent.mu.Unlock()
	var all []stockEvent
	for _, m := range w.sent.messages {
		items, err := event.DecodeStockEvents(event.Tag(m.Tag), m.Body)
		if err != nil || len(items) != 1 || items[0].Err != nil {
			w.t.Fatalf("stock event %s cannot be read: %v", m.Body, err)
		}
		if m.Topic != w.names.StockEvents || len(m.Keys) != 1 || m.Keys[0] != items[0].OrderID {
			w.t.Errorf("stock event went to %s with the keys %v", m.Topic, m.Keys)
		}
		all = append(all, stockEvent{m.Tag, items[0].Event})
	}
	w.sent.messages = nil
	return all
}

// expectSent checks that exactly these were sent since the last look: "tag
// version" each.
func (w *world) expectSent(o *order, want ...string) {
	w.t.Helper()
	var got []string
	for _, e := range w.take() {
		if e.Event.GetOrderId() != o.id {
			w.t.Errorf("sent for order %s", e.Event.GetOrderId())
		}
		got = append(got, e.Tag+" "+string('0'+rune(e.Event.GetVersion())))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// newOrder makes an order that the order service knows.
func (w *world) newOrder(lines ...*eventv1.Line) *order {
	o := unknownOrder(w, lines...)
	w.orders.mu.Lock()
	defer w.orders.mu.Unlock()
	w.orders.known[o.id] = o
	return o
}

// unknownOrder makes an order that the order service does not know.
func unknownOrder(w *world, lines ...*eventv1.Line) *order {
	return &order{
		id: uuid.Must(uuid.NewV7()).String(), lines: lines, due: w.clock.Now().Add(window),
		outcome: orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE,
	}
}

func line(sku string, quantity int64) *eventv1.Line {
	return &eventv1.Line{Sku: sku, Quantity: quantity}
}

// orderEvents is the message that tells tag of the orders.
func (w *world) orderEvents(tag event.Tag, orders ...*order) message.Message {
	w.t.Helper()
	var events []*eventv1.OrderEvent
	var keys []string
	for _, o := range orders {
		events = append(events, &eventv1.OrderEvent{
			OrderId: o.id, CustomerId: "c", Lines: o.lines, ExpiresAtMs: o.due.UnixMilli(), PaymentWindowMs: window.Milliseconds(),
		})
		keys = append(keys, o.id)
	}
	body, err := event.EncodeOrderEvents(events...)
	if err != nil {
		w.t.Fatal(err)
	}
	return message.Message{Topic: w.names.OrderEvents, Tag: string(tag), Keys: keys, Body: body, ID: "M1"}
}

// timer is the timer of the orders, due when the first one is.
func (w *world) timer(orders ...*order) message.Message {
	w.t.Helper()
	var events []*eventv1.PaymentTimeout
	for _, o := range orders {
		events = append(events, &eventv1.PaymentTimeout{OrderId: o.id})
	}
	body, err := event.EncodePaymentTimeouts(orders[0].due.UnixMilli(), events...)
	if err != nil {
		w.t.Fatal(err)
	}
	return message.Message{Topic: w.names.OrderTimeouts, Tag: string(event.TagTimeout), Body: body, ID: "M2"}
}

// deliver hands a message to the handler of its topic, and gives it as long as a
// consumer would.
func (w *world) deliver(m message.Message) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if m.Topic == w.names.OrderTimeouts {
		return w.service.HandlePaymentTimeouts(ctx, m)
	}
	return w.service.HandleOrderEvents(ctx, m)
}

// must delivers a message that has to be acknowledged.
func (w *world) must(m message.Message) {
	w.t.Helper()
	if err := w.deliver(m); err != nil {
		w.t.Fatalf("%s: %v", m.Tag, err)
	}
}

// again delivers a message that has to be redelivered.
func (w *world) again(m message.Message) {
	w.t.Helper()
	var permanent *message.PermanentError
	if err := w.deliver(m); err == nil || errors.As(err, &permanent) {
		w.t.Fatalf("%s: got %v, want an error that asks for redelivery", m.Tag, err)
	}
}

// receive puts units of a SKU on the shelf.
func (w *world) receive(sku string, quantity int64) {
	w.t.Helper()
	r, err := inventory.NewReceipt(uuid.NewString(), sku, quantity)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.store.AddStock(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
}

// expectStock checks the three parts of a SKU's stock.
func (w *world) expectStock(sku string, available, reserved, sold int64) {
	w.t.Helper()
	stocks, err := w.store.Stocks(w.t.Context(), []string{sku})
	if err != nil {
		w.t.Fatal(err)
	}
	got := [3]int64{stocks[0].Available, stocks[0].Reserved, stocks[0].Sold}
	if want := [3]int64{available, reserved, sold}; got != want {
		w.t.Errorf("%s: available, reserved, sold = %v, want %v", sku, got, want)
	}
}

// expectReservation checks status and version, and returns the reservation.
func (w *world) expectReservation(o *order, status inventory.Status, version int64) inventory.Reservation {
	w.t.Helper()
	r, err := w.store.Reservation(w.t.Context(), o.id)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Status != status || r.Version != version {
		w.t.Errorf("reservation is %s, version %d; want %s, version %d", r.Status, r.Version, status, version)
	}
	return r
}

// expectParked checks the reasons of everything that is parked.
func (w *world) expectParked(reasons ...string) []parking.Entry {
	w.t.Helper()
	entries, err := w.parked.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Parked.Reason)
	}
	if diff := cmp.Diff(reasons, got); diff != "" {
		w.t.Fatalf("parked (-want +got):\n%s", diff)
	}
	return entries
}

func (w *world) audit() {
	w.t.Helper()
	violations, err := w.store.Audit(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range violations {
		w.t.Errorf("audit: %s", v)
	}
}

// parallel runs fn n times at once and fails on any error.
func parallel(t *testing.T, n int, fn func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			if err := fn(i); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	close(start)
	group.Wait()
}

// eventually waits for a condition, without sleeping.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !condition() {
		if ctx.Err() != nil {
			t.Fatalf("waited in vain for %s", what)
		}
		runtime.Gosched()
	}
}

// sameEvent compares stock events.
func sameEvent(want, got *eventv1.StockEvent) string {
	return cmp.Diff(want, got, protocmp.Transform())
}
