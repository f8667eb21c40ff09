package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/clock"
	"orderflow/internal/crashpoint"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/notify"
	"orderflow/internal/parking"
	"orderflow/migrations"
)

const (
	sendTimeout = 30 * time.Second
	// patience bounds what a test waits for; it is spent only where a test fails.
	patience = 90 * time.Second
)

var start = time.UnixMilli(1_700_000_000_000).UTC()

// post is a sender that keeps what it sends. The zero value takes everything.
type post struct {
	mu    sync.Mutex
	sent  []notify.Notification
	fails func(id string, try int) error // the try is 1 at first
	tries map[string]int
	hold  func(ctx context.Context, id string) // runs before it is taken
}

func (p *post) Send(ctx context.Context, n notify.Notification) error {
	if p.hold != nil {
		p.hold(ctx, n.EventID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tries == nil {
		p.tries = map[string]int{}
	}
	p.tries[n.EventID]++
	if p.fails != nil {
		if err := p.fails(n.EventID, p.tries[n.EventID]); err != nil {
			return err
		}
	}
	p.sent = append(p.sent, n)
	return nil
}

// bodies are what was sent under an id.
func (p *post) bodies(id string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var bodies []string
	for _, n := range p.sent {
		if n.EventID == id {
			bodies = append(bodies, string(n.Body))
		}
	}
	return bodies
}

// world is the notifier with everything around it.
type world struct {
	t       *testing.T
	db      *database.DB
	clock   *clock.Manual
	store   *notify.Store
	post    *post
	parked  *parking.Store
	service *notify.Service
}

// each runs body in a new world per dialect.
func each(t *testing.T, body func(t *testing.T, w *world)) {
	t.Helper()
	databasetest.Each(t, migrations.Notify(), func(t *testing.T, db *database.DB) { body(t, newWorld(t, db)) })
}

func newWorld(t *testing.T, db *database.DB) *world {
	t.Helper()
	clk := clock.NewManual(start)
	w := &world{
		t: t, db: db, clock: clk, post: &post{}, store: notify.NewStore(db, clk), parked: parking.NewStore(db, clk),
	}
	w.service = w.instance(w.post, nil)
	return w
}

// instance is another notifier on the same database.
func (w *world) instance(sender notify.Sender, point *crashpoint.Point) *notify.Service {
	return notify.New(notify.Deps{
		Store: notify.NewStore(w.db, w.clock), Sender: sender, Parker: w.parked, Group: notify.Group("test-"),
		SendTimeout: sendTimeout, Crash: point, Log: slog.New(slog.DiscardHandler),
	})
}

// newEvent is an event of a new order, as order-srv sends it.
func newEvent() *eventv1.OrderEvent {
	return &eventv1.OrderEvent{
		OrderId: uuid.NewString(), CustomerId: "ann", ExpiresAtMs: start.Add(30 * time.Minute).UnixMilli(),
		PaymentWindowMs: 1_800_000, OccurredAtMs: start.UnixMilli(),
		Lines: []*eventv1.Line{{Sku: "apple", Quantity: 2}, {Sku: "pear", Quantity: 1}},
	}
}

func closedEvent(reason eventv1.CloseReason) *eventv1.OrderEvent {
	e := newEvent()
	e.CloseReason = reason
	return e
}

// of makes the message of events.
func of(t *testing.T, tag event.Tag, events ...*eventv1.OrderEvent) message.Message {
	t.Helper()
	body, err := event.EncodeOrderEvents(events...)
	if err != nil {
		t.Fatal(err)
	}
	m := message.Message{Topic: "test-order-events", Tag: string(tag), Body: body, ID: "7F01", Attempt: 1}
	for _, e := range events {
		m.Keys = append(m.Keys, e.GetOrderId())
	}
	return m
}

// deliver hands events to the notifier as one message.
func (w *world) deliver(tag event.Tag, events ...*eventv1.OrderEvent) error {
	w.t.Helper()
	return w.service.Handle(w.t.Context(), of(w.t, tag, events...))
}

func (w *world) mustDeliver(tag event.Tag, events ...*eventv1.OrderEvent) {
	w.t.Helper()
	if err := w.deliver(tag, events...); err != nil {
		w.t.Fatal(err)
	}
}

// wantSent asserts how often the event was sent, and that it was the same each time.
func (w *world) wantSent(e *eventv1.OrderEvent, tag event.Tag, times int) {
	w.t.Helper()
	bodies := w.post.bodies(notify.EventID(e.GetOrderId(), tag))
	if len(bodies) != times {
		w.t.Errorf("%s of %s was sent %d times, want %d", tag, e.GetOrderId(), len(bodies), times)
	}
	for _, body := range bodies {
		if body != bodies[0] {
			w.t.Errorf("sent under one id:\n%s\n%s", bodies[0], body)
		}
	}
}

// wantParked asserts what is parked: order id and reason of each.
func (w *world) wantParked(want map[string]string) {
	w.t.Helper()
	entries, err := w.parked.List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		if reason, ok := want[entry.Parked.OrderID]; !ok || reason != entry.Parked.Reason || entry.Parked.Group != "test-notify-order-events" {
			w.t.Errorf("parked %+v, want %q", entry.Parked, reason)
		}
	}
	if len(entries) != len(want) {
		w.t.Errorf("%d are parked, want %d", len(entries), len(want))
	}
}

// rows counts the rows of events.
func (w *world) rows() int64 {
	w.t.Helper()
	var n int64
	if err := w.db.With(w.t.Context()).Table("notifications").Count(&n).Error; err != nil {
		w.t.Fatal(err)
	}
	return n
}

// payload reads a body.
func payload(t *testing.T, body string) notify.Payload {
	t.Helper()
	var p notify.Payload
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return p
}

// receive waits for a value.
func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

var errInjected = errors.New("injected: connection refused")
