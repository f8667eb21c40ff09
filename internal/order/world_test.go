package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/migrations"
)

// start is where the manual clock of a test stands at first.
var start = time.UnixMilli(1_800_000_000_000).UTC()

const window = 30 * time.Minute

// schedule is the sweeper's.
func schedule() Schedule { return Schedule{ResendAfter: time.Minute, CloseGrace: 2 * time.Minute} }

// world is an order service over a real database and a fake broker.
type world struct {
	t       testing.TB
	db      *database.DB
	store   *Store
	clock   *hookClock
	broker  *fakeBroker
	service *Service
	parked  *fakeParker
	faults  *faults
}

// each runs body on every dialect.
func each(t *testing.T, body func(t *testing.T, w *world)) {
	t.Helper()
	databasetest.Each(t, migrations.Order(), func(t *testing.T, db *database.DB) { body(t, newWorld(t, db)) })
}

func newWorld(t testing.TB, db *database.DB) *world {
	w := &world{t: t, db: db, clock: &hookClock{Manual: clock.NewManual(start)}, parked: &fakeParker{}, faults: injectFaults(t, db)}
	w.store = NewStore(db, w.clock, schedule(), nil)
	w.broker = &fakeBroker{t: t, listener: w.listener()}
	w.service = w.another()
	return w
}

// listener makes one more listener over the same database: another process, or
// the same one after a restart.
func (w *world) listener() *Listener {
	return NewListener(NewStore(w.db, w.clock, schedule(), nil), w.clock, nil, slog.New(slog.DiscardHandler))
}

// another makes one more service over the same database and broker.
func (w *world) another() *Service {
	return New(Deps{
		Store: NewStore(w.db, w.clock, schedule(), nil), Transactions: w.broker, Timers: w.broker, Parker: w.parked,
		Names: event.NewNames(""), Clock: w.clock, Log: slog.New(slog.DiscardHandler),
		Config: Config{PaymentWindow: window, LocalTransactionTimeout: 20 * time.Second},
	})
}

// hookClock is a manual clock that can run something when it is read.
type hookClock struct {
	*clock.Manual
	mu   sync.Mutex
	hook func()
}

func (c *hookClock) Now() time.Time {
	c.mu.Lock()
	hook := c.hook
	c.hook = nil
	c.mu.Unlock()
	if hook != nil {
		hook()
	}
	return c.Manual.Now()
}

// onRead runs f once, the next time that the clock is read.
func (c *hookClock) onRead(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hook = f
}

// fakeParker keeps what is parked.
type fakeParker struct {
	mu     sync.Mutex
	parked []message.Parked
	err    error
}

func (p *fakeParker) Park(_ context.Context, m message.Parked) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.parked = append(p.parked, m)
	}
	return p.err
}

func (p *fakeParker) reasons() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var reasons []string
	for _, m := range p.parked {
		reasons = append(reasons, m.OrderID+" "+m.Reason)
	}
	return reasons
}

// faults makes statements fail: every one for which the function says so.
type faults struct {
	mu   sync.Mutex
	fail func(db *gorm.DB) error
}

func injectFaults(t testing.TB, db *database.DB) *faults {
	f := &faults{}
	check := func(db *gorm.DB) {
		f.mu.Lock()
		fail := f.fail
		f.mu.Unlock()
		if fail == nil {
			return
		}
		if err := fail(db); err != nil {
			_ = db.AddError(err)
		}
	}
	callbacks := db.With(t.Context()).Callback()
	err := errors.Join(
		callbacks.Create().Before("gorm:create").Register("fault", check),
		callbacks.Query().Before("gorm:query").Register("fault", check),
		callbacks.Update().Before("gorm:update").Register("fault", check),
		callbacks.Delete().Before("gorm:delete").Register("fault", check),
	)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *faults) set(fail func(db *gorm.DB) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// request is a request that holds, with a key of its own.
func request() Request {
	return Request{
		IdempotencyKey: uuid.NewString(), CustomerID: "customer-1", Currency: "EUR",
		Lines: []RequestLine{{SKU: "tea", Quantity: 2, UnitPriceMinor: 250}, {SKU: "cup", Quantity: 1, UnitPriceMinor: 999}},
	}
}

func draft(t testing.TB, r Request) Draft {
	t.Helper()
	d, err := NewDraft(r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// place places an order.
func (w *world) place(r Request) Order {
	w.t.Helper()
	o, err := w.service.Place(w.t.Context(), draft(w.t, r))
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// reserved places an order and lets inventory confirm it.
func (w *world) reserved() Order {
	w.t.Helper()
	o := w.place(request())
	w.stock(event.TagReserved, &eventv1.StockEvent{OrderId: o.ID, Version: 1})
	return w.get(o.ID)
}

// stock hands a stock event to the consumer.
func (w *world) stock(tag event.Tag, events ...*eventv1.StockEvent) {
	w.t.Helper()
	if err := w.handle(tag, events...); err != nil {
		w.t.Fatalf("%s: %v", tag, err)
	}
}

func (w *world) handle(tag event.Tag, events ...*eventv1.StockEvent) error {
	w.t.Helper()
	body, err := event.EncodeStockEvents(events...)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.service.HandleStockEvents(w.t.Context(), message.Message{Topic: "stock-events", Tag: string(tag), Body: body, ID: "M1"})
}

func (w *world) get(id string) Order {
	w.t.Helper()
	o, err := w.service.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// payment pays the order in full.
func payment(t testing.TB, o Order) Payment {
	t.Helper()
	p, err := NewPayment("pay-"+uuid.NewString()[:18], o.ID, o.TotalMinor, o.Currency)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) pay(p Payment) (Payment, Order) {
	w.t.Helper()
	recorded, o, err := w.service.Pay(w.t.Context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return recorded, o
}

func (w *world) closeIfUnpaid(ids ...string) []CloseResult {
	w.t.Helper()
	results, err := w.service.CloseIfUnpaid(w.t.Context(), ids, ByTimer)
	if err != nil {
		w.t.Fatal(err)
	}
	return results
}

// count is the number of rows of a table.
func (w *world) count(table string) int64 {
	w.t.Helper()
	var n int64
	if err := w.db.With(context.WithoutCancel(w.t.Context())).Table(table).Count(&n).Error; err != nil {
		w.t.Fatal(err)
	}
	return n
}

// wantRows compares the number of rows of tables.
func (w *world) wantRows(want map[string]int64) {
	w.t.Helper()
	for _, table := range slices.Sorted(maps.Keys(want)) {
		if got := w.count(table); got != want[table] {
			w.t.Errorf("%d rows in %s, want %d", got, table, want[table])
		}
	}
}

// wantNothing: no row was written and no message came of it.
func (w *world) wantNothing() {
	w.t.Helper()
	w.wantRows(map[string]int64{"orders": 0, "order_lines": 0, "barriers": 0, "payments": 0})
	if n := w.broker.sent(); n != 0 {
		w.t.Errorf("%d messages were sent", n)
	}
}

// wantDelivered compares the events of an order.
func (w *world) wantDelivered(id string, want ...event.Tag) {
	w.t.Helper()
	if got := w.broker.delivered(id); !slices.Equal(got, want) {
		w.t.Errorf("events of order %s: %v, want %v", id, got, want)
	}
}

// wantError checks what a client would see of an error.
func wantError(t testing.TB, err error, code codes.Code, reason string) {
	t.Helper()
	var e *apierror.Error
	if !errors.As(err, &e) || e.Code != code || e.Reason != reason {
		t.Fatalf("error %v, want %s %s", err, code, reason)
	}
	if code == codes.Unavailable && e.RetryAfter <= 0 {
		t.Errorf("%v has no RetryAfter", err)
	}
}

const unavailable = "TEMPORARILY_UNAVAILABLE"

// fieldsOf are the paths of an InvalidArgument.
func fieldsOf(t testing.TB, err error) []string {
	t.Helper()
	var e *apierror.Error
	if !errors.As(err, &e) || e.Code != codes.InvalidArgument {
		t.Fatalf("error %v, want InvalidArgument", err)
	}
	var fields []string
	for _, f := range e.Fields {
		fields = append(fields, f.Path)
		if f.Description == "" {
			t.Errorf("%s has no description", f.Path)
		}
	}
	return fields
}

// atOnce runs f n times in parallel, all released at one moment.
func atOnce(n int, f func(i int)) {
	var group sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-gate
			f(i)
		})
	}
	close(gate)
	group.Wait()
}

// describe is an order's state in one word or two.
func describe(o Order) string {
	if o.Status == Closed {
		return fmt.Sprintf("%s %s", o.Status, o.CloseReason)
	}
	return o.Status.String()
}

func stockEvent(orderID string, version int64) *eventv1.StockEvent {
	return &eventv1.StockEvent{OrderId: orderID, Version: version, OccurredAtMs: start.UnixMilli()}
}

// statement is what a fault looks at.
type statement func(db *gorm.DB) bool

// failStatements makes the statements fail that one of the functions takes.
func failStatements(kinds ...statement) func(*gorm.DB) error {
	return func(db *gorm.DB) error {
		for _, kind := range kinds {
			if kind(db) {
				return errInjected
			}
		}
		return nil
	}
}

func isQuery(db *gorm.DB) bool {
	return len(db.Statement.BuildClauses) > 0 && db.Statement.BuildClauses[0] == "SELECT"
}
func isDelete(db *gorm.DB) bool {
	return len(db.Statement.BuildClauses) > 0 && db.Statement.BuildClauses[0] == "DELETE"
}

// isFence is the insert of a check-back.
func isFence(db *gorm.DB) bool {
	row, ok := db.Statement.Dest.(*barrier)
	return ok && row.Outcome == aborted
}

// seen is an error as it arrives at a client.
type seen struct {
	code       codes.Code
	text       string
	reason     string
	retryAfter time.Duration
	fields     []string
}

func statusOf(t testing.TB, err error) seen {
	t.Helper()
	st := apierror.Status(err)
	s := seen{code: st.Code(), text: st.Message()}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			s.reason = d.GetReason()
			s.text += fmt.Sprint(d)
		case *errdetails.RetryInfo:
			s.retryAfter = d.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			for _, f := range d.GetFieldViolations() {
				s.fields = append(s.fields, f.GetField())
				s.text += f.GetDescription()
			}
		default:
			t.Errorf("detail %T", d)
		}
	}
	return s
}

// isUpdateOf is an UPDATE of an order's row.
func isUpdateOf(id string) statement {
	return func(db *gorm.DB) bool {
		where, ok := db.Statement.Clauses["WHERE"].Expression.(clause.Where)
		return ok && len(db.Statement.BuildClauses) > 0 && db.Statement.BuildClauses[0] == "UPDATE" && strings.Contains(fmt.Sprint(where), id)
	}
}
