package audit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// still is a model in which nothing goes on by itself.
func still(t *testing.T) *model {
	t.Helper()
	m := newModel(1)
	m.pace, m.page, m.breaks = 0, batch, 0
	return m
}

// wrong places orders that stand still with the flaw of this name.
func (m *model) wrong(t *testing.T, n int, name string) (ids []string) {
	t.Helper()
	all := flaws()
	at := slices.IndexFunc(all, func(f flaw) bool { return f.name == name })
	if at < 0 {
		t.Fatalf("there is no flaw %q", name)
	}
	for range n {
		id := m.place()
		m.frozen[id] = true
		all[at].damage(m, id)
		ids = append(ids, id)
	}
	return ids
}

func auditOf(t *testing.T, m *model, config Config) *Report {
	t.Helper()
	report, err := Audit(t.Context(), m.services(), config, m)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Summary.Complete {
		t.Error("it says that it is not complete")
	}
	return report
}

func repairing() Config {
	config := testConfig()
	config.Repair = true
	return config
}

func TestTellsWhatToDo(t *testing.T) {
	m := still(t)
	id := m.wrong(t, 1, "closed lost")[0]
	other := m.wrong(t, 1, "closed and sold")[0]
	m.park("p1")
	report := auditOf(t, m, testConfig())
	if took := time.Duration(report.Summary.Duration); took < testConfig().Grace {
		t.Errorf("it took %v, less than the grace period", took)
	}
	for _, want := range []Violation{
		{
			Code: ClosedStillHolds, OrderID: id, Expected: "nothing held", Mend: "orderctl audit --repair",
			Actual: "order CLOSED (-) since 2026-09-21T14:03:20Z, stock -; reservation RESERVED since 2026-09-21T14:13:20Z",
		},
		{
			Code: ClosedButSold, OrderID: other, Expected: "nothing held or sold", Mend: "a person must look: orderctl order timeline " + other,
			Actual: "order CLOSED (-) since 2026-09-21T14:13:19Z, stock -; reservation SOLD since 2026-09-21T14:13:20Z",
		},
		{
			Code: MessageParked, OrderID: "the-order", ParkedID: "p1", Service: "order-srv", Expected: "nothing parked",
			Actual: "created of group g, 1 times since 2026-09-21T14:13:20Z: ORDER_UNKNOWN: nobody knows it",
			Mend:   "a person must look: orderctl parked show p1, then replay or discard it",
		},
	} {
		if !slices.ContainsFunc(report.Violations, func(v Violation) bool { v.redrive = false; return v == want }) {
			t.Errorf("not found: %+v in %+v", want, report.Violations)
		}
	}
}

// An order that changes whenever it is read, and disagrees each time, is no violation:
// nobody knows whether it would agree at rest.
func TestWhatKeepsMovingIsCountedOnly(t *testing.T) {
	m := still(t)
	id := m.wrong(t, 1, "release undone by a restore")[0]
	services := m.services()
	services.Orders = movingOrders{ordersOf{m}, id}
	report, err := Audit(t.Context(), services, testConfig(), m)
	if err != nil {
		t.Fatal(err)
	}
	if s := report.Summary; s.Found != 0 || s.StillMoving != 1 || s.Suspects != maxLooks {
		t.Errorf("got %+v", s)
	}
}

// movingOrders changes an order whenever orders are read.
type movingOrders struct {
	ordersOf
	id string
}

func (f movingOrders) StreamOrders(
	ctx context.Context, in *orderv1.StreamOrdersRequest, opts ...grpc.CallOption,
) (grpc.ServerStreamingClient[orderv1.StreamOrdersResponse], error) {
	f.orders[f.id].Version++
	return f.ordersOf.StreamOrders(ctx, in, opts...)
}

// More suspects than the buffer holds are read again on the way, in pages.
func TestSuspectsDoNotFillTheMemory(t *testing.T) {
	m := still(t)
	n := maxSuspects + 3*batch
	m.wrong(t, n, "reservation lost")
	config := testConfig()
	config.MaxViolations = 7
	config.Grace = time.Hour // longer than the reading takes
	most := 0
	r := &run{services: m.services(), config: config, clock: m, report: &Report{Summary: Summary{ByCode: map[Code]int64{}}}}
	m.onAfter = func() { most = max(most, len(r.suspects)) }
	if err := r.all(t.Context(), m.Now()); err != nil {
		t.Fatal(err)
	}
	if s := r.report.Summary; s.Found != int64(n) || s.ByCode[ReservationMissing] != int64(n) || len(r.report.Violations) != 7 {
		t.Errorf("got %+v with %d violations, want all %d counted and 7 kept", s, len(r.report.Violations), n)
	}
	if most != maxSuspects {
		t.Errorf("%d suspects were held at most, want %d", most, maxSuspects)
	}
}

// What is placed after the audit began is left alone, but an id that nobody has made
// in the usual way is not overlooked.
func TestOrdersOfLaterAreLeftToTheNextAudit(t *testing.T) {
	m := still(t)
	later := lastID(m.Now().Add(2 * ClockSkew))
	foreign := "f47ac10b-58cc-4372-a567-0e02b2c3d479"
	first := "00000000-0000-4000-8000-000000000000"
	for _, id := range []string{later, foreign, first} {
		m.add(id)
		m.reservations[id] = &inventoryv1.AuditedReservation{OrderId: id, Status: reserved, Version: 1}
	}
	report := auditOf(t, m, testConfig())
	want := []string{"RESERVATION_WITHOUT_ORDER " + first, "RESERVATION_WITHOUT_ORDER " + foreign}
	if got := told(report.Violations); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRefusedRowsOfAnUnknownSKUAreNoViolation(t *testing.T) {
	if found := checkBooks(&inventoryv1.Books{Stock: &inventoryv1.Stock{Sku: "a"}, Missing: true}); found != nil {
		t.Errorf("got %+v", found)
	}
}

// broken is order-srv with an error in the middle of each stream.
type broken struct {
	ordersOf
	err   error
	calls *int
}

func (f broken) StreamOrders(
	ctx context.Context, in *orderv1.StreamOrdersRequest, opts ...grpc.CallOption,
) (grpc.ServerStreamingClient[orderv1.StreamOrdersResponse], error) {
	*f.calls++
	s, err := f.ordersOf.StreamOrders(ctx, in, opts...)
	pages := 0
	return stream[orderv1.StreamOrdersResponse]{recv: func() (*orderv1.StreamOrdersResponse, error) {
		if pages++; pages > 1 {
			return nil, f.err
		}
		return s.Recv()
	}}, err
}

func TestAStreamThatBreaksIsResumed(t *testing.T) {
	const n = 25
	for _, test := range []struct {
		name  string
		err   error
		page  int
		calls int // 0: as many as there are pages, and it succeeds
	}{
		{"each page needs a new stream", status.Error(codes.Unavailable, "broke"), 5, 0},
		{"any error but a definite one", errors.New("reset"), 5, 0},
		{"a definite one", status.Error(codes.Unimplemented, "an old order-srv"), 5, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := still(t)
			m.wrong(t, n, "fits: exempt")
			m.page = test.page
			calls := 0
			services := m.services()
			services.Orders = broken{ordersOf{m}, test.err, &calls}
			report, err := Audit(t.Context(), services, testConfig(), m)
			if test.calls > 0 {
				if err == nil || calls != test.calls || report.Summary.Complete || !errors.Is(err, test.err) {
					t.Errorf("got %v after %d calls, %+v", err, calls, report.Summary)
				}
				return
			}
			if err != nil || report.Summary.Orders != n || report.Summary.Found != 0 || report.Summary.Retries < n/5 {
				t.Errorf("got %v, %+v; want all %d orders, once each", err, report.Summary, n)
			}
		})
	}
}

// dead is order-srv that never answers with a page.
type dead struct{ ordersOf }

func (f dead) StreamOrders(
	ctx context.Context, _ *orderv1.StreamOrdersRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[orderv1.StreamOrdersResponse], error) {
	return stream[orderv1.StreamOrdersResponse]{recv: func() (*orderv1.StreamOrdersResponse, error) {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}}, nil
}

func TestAStreamThatHangsIsGivenUp(t *testing.T) {
	m := still(t)
	services := m.services()
	services.Orders = dead{ordersOf{m}}
	config := testConfig()
	config.CallTimeout = time.Millisecond
	report, err := Audit(t.Context(), services, config, m)
	if status.Code(err) != codes.DeadlineExceeded || report.Summary.Retries != firstTries-1 {
		t.Errorf("got %v after %d retries", err, report.Summary.Retries)
	}
}

// unsorted sends its orders the wrong way round.
type unsorted struct{ ordersOf }

func (f unsorted) StreamOrders(
	context.Context, *orderv1.StreamOrdersRequest, ...grpc.CallOption,
) (grpc.ServerStreamingClient[orderv1.StreamOrdersResponse], error) {
	return stream[orderv1.StreamOrdersResponse]{recv: func() (*orderv1.StreamOrdersResponse, error) {
		return &orderv1.StreamOrdersResponse{Orders: []*orderv1.AuditedOrder{{OrderId: "b"}, {OrderId: "a"}}}, nil
	}}, nil
}

func TestAStreamThatIsNotSortedIsRefused(t *testing.T) {
	m := still(t)
	services := m.services()
	services.Orders = unsorted{ordersOf{m}}
	if _, err := Audit(t.Context(), services, testConfig(), m); !errors.Is(err, errOrder) || !strings.Contains(err.Error(), `"a" comes behind "b"`) {
		t.Errorf("got %v", err)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	m := still(t)
	m.wrong(t, 1, "reservation lost")
	ctx, cancel := context.WithCancel(t.Context())
	m.onAfter = cancel
	report, err := Audit(ctx, m.services(), testConfig(), deafClock{m})
	if !errors.Is(err, context.Canceled) || report.Summary.Complete || report.Summary.Orders != 1 {
		t.Errorf("got %v, %+v", err, report.Summary)
	}
}

// deafClock never fires.
type deafClock struct{ *model }

func (c deafClock) After(d time.Duration) <-chan time.Time {
	c.model.After(d)
	return nil
}
