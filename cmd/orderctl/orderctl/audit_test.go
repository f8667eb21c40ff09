package orderctl

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/cli"
)

// The orders of the books: one that is as it should be, and one whose `closed` was
// lost.
const (
	goodOrder = "01928000-0000-7000-8000-000000000001"
	lostOrder = "01928000-0000-7000-8000-000000000002"
)

// books are both services with two orders and one SKU.
type books struct {
	orderv1.UnimplementedAuditServiceServer
	inventoryAudit
	parkedv1.UnimplementedParkedServiceServer
}

type inventoryAudit struct {
	inventoryv1.UnimplementedAuditServiceServer
	mu       sync.Mutex
	lost     inventoryv1.ReservationStatus // of lostOrder's reservation
	parked   []*parkedv1.ParkedMessage
	redriven []string
	err      error // of the books
}

// only are the rows that a request asks for.
func only[R interface{ GetOrderId() string }](rows []R, after, until string, ids []string) (page []R) {
	for _, r := range rows {
		if id := r.GetOrderId(); id > after && (until == "" || id <= until) && (ids == nil || slices.Contains(ids, id)) {
			page = append(page, r)
		}
	}
	return page
}

func (b *books) StreamOrders(in *orderv1.StreamOrdersRequest, out grpc.ServerStreamingServer[orderv1.StreamOrdersResponse]) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := []*orderv1.AuditedLine{{Sku: "a", Quantity: 2}}
	page := only([]*orderv1.AuditedOrder{
		{OrderId: goodOrder, Status: orderv1.OrderStatus_ORDER_STATUS_PAID, StockState: orderv1.StockState_STOCK_STATE_SOLD, Settled: true, Version: 3, Lines: lines},
		{
			OrderId: lostOrder, Status: orderv1.OrderStatus_ORDER_STATUS_CLOSED, CloseReason: orderv1.CloseReason_CLOSE_REASON_TIMEOUT, Version: 3,
			Settled: b.lost != inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED, Lines: lines,
		},
	}, in.GetAfterOrderId(), in.GetUntilOrderId(), in.GetOrderIds())
	return out.Send(&orderv1.StreamOrdersResponse{Orders: page})
}

func (b *books) RedriveOrders(_ context.Context, in *orderv1.RedriveOrdersRequest) (*orderv1.RedriveOrdersResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	resp := &orderv1.RedriveOrdersResponse{}
	for _, id := range in.GetOrderIds() {
		b.redriven = append(b.redriven, id)
		resp.Results = append(resp.Results, &orderv1.RedriveResult{OrderId: id, Action: orderv1.RedriveAction_REDRIVE_ACTION_CLOSED})
	}
	b.lost = inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED
	return resp, nil
}

func (b *inventoryAudit) StreamReservations(
	in *inventoryv1.StreamReservationsRequest, out grpc.ServerStreamingServer[inventoryv1.StreamReservationsResponse],
) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := []*inventoryv1.AuditedLine{{Sku: "a", Quantity: 2}}
	page := only([]*inventoryv1.AuditedReservation{
		{OrderId: goodOrder, Status: inventoryv1.ReservationStatus_RESERVATION_STATUS_SOLD, Version: 2, Lines: lines},
		{OrderId: lostOrder, Status: b.lost, Version: 1, Lines: lines},
	}, in.GetAfterOrderId(), in.GetUntilOrderId(), in.GetOrderIds())
	return out.Send(&inventoryv1.StreamReservationsResponse{Reservations: page})
}

func (b *inventoryAudit) StreamBooks(in *inventoryv1.StreamBooksRequest, out grpc.ServerStreamingServer[inventoryv1.StreamBooksResponse]) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil || in.GetAfterSku() != "" {
		return b.err
	}
	one := &inventoryv1.Books{Stock: &inventoryv1.Stock{Sku: "a", Available: 8, Sold: 2, Received: 10}, Receipts: 10, Bought: 2}
	if b.lost == inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED {
		one.Stock.Available, one.Stock.Reserved, one.Held = 6, 2, 2
	}
	return out.Send(&inventoryv1.StreamBooksResponse{Books: []*inventoryv1.Books{one}})
}

func (b *books) ListParked(context.Context, *parkedv1.ListParkedRequest) (*parkedv1.ListParkedResponse, error) {
	return &parkedv1.ListParkedResponse{Messages: b.parked}, nil
}

// keep serves the books and points orderctl at them.
func keep(t *testing.T, b *books) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	orderv1.RegisterAuditServiceServer(server, b)
	inventoryv1.RegisterAuditServiceServer(server, &b.inventoryAudit)
	parkedv1.RegisterParkedServiceServer(server, b)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("ORDERCTL_ORDER_SERVICE", listener.Addr().String())
	t.Setenv("ORDERCTL_INVENTORY_SERVICE", listener.Addr().String())
	t.Setenv("ORDERCTL_GRACE", "100ms")
}

const (
	stillHeld = inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED
	givenBack = inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED
)

func TestAuditOfGoodBooks(t *testing.T) {
	keep(t, &books{inventoryAudit: inventoryAudit{lost: givenBack}})
	code, stdout, stderr := run(t, "audit")
	if code != cli.ExitOK || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	for _, text := range []string{"2 orders (placed until 20", ", 1m0s ahead as clocks differ)", "violations  0"} {
		if !strings.Contains(stdout, text) {
			t.Errorf("%q is not in\n%s", text, stdout)
		}
	}
}

func TestAuditFindsAndRepairs(t *testing.T) {
	b := &books{inventoryAudit: inventoryAudit{lost: stillHeld}}
	keep(t, b)
	code, stdout, stderr := run(t, "audit")
	if code != cli.ExitFailed || b.redriven != nil {
		t.Errorf("exit code %d, %v sent again, stderr %q", code, b.redriven, stderr)
	}
	for _, text := range []string{
		"CLOSED_STILL_HOLDS order " + lostOrder, "expected nothing held", "is order CLOSED (TIMEOUT)", "mend orderctl audit --repair",
		"violations 1",
	} {
		if !strings.Contains(strings.Join(strings.Fields(stdout), " "), text) {
			t.Errorf("%q is not in\n%s", text, stdout)
		}
	}
	code, stdout, stderr = run(t, "audit", "--repair", "-o", "json")
	if code != cli.ExitOK || !slices.Equal(b.redriven, []string{lostOrder}) {
		t.Errorf("exit code %d, %v sent again, stderr %q", code, b.redriven, stderr)
	}
	var report struct {
		Summary struct {
			Complete              bool
			Orders, Found, Mended int
			ByCode                map[string]int
			DurationMs            int
		}
		Violations []struct{ Code, OrderID, Expected, Actual, Mend, Repair string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	s := report.Summary
	if !s.Complete || s.Orders != 2 || s.Found != 1 || s.Mended != 1 || s.ByCode["CLOSED_STILL_HOLDS"] != 1 || s.DurationMs < 100 {
		t.Errorf("got %+v", s)
	}
	if v := report.Violations; len(v) != 1 || v[0].OrderID != lostOrder || v[0].Repair != "mended" {
		t.Errorf("got %+v", v)
	}
	if code, stdout, _ := run(t, "audit"); code != cli.ExitOK {
		t.Errorf("exit code %d afterwards:\n%s", code, stdout)
	}
}

func TestAuditShowsParkedMessagesOfBothServices(t *testing.T) {
	keep(t, &books{inventoryAudit: inventoryAudit{lost: givenBack, parked: []*parkedv1.ParkedMessage{{Id: "p1", Group: "g", Reason: "WHY", Detail: "how"}}}})
	code, stdout, stderr := run(t, "audit", "--max-violations=1")
	if code != cli.ExitFailed || !strings.Contains(stderr, "2 violations are left of 2") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	for _, text := range []string{"message p1 in order-srv", "WHY: how", "orderctl parked show p1", "and 1 more", "MESSAGE_PARKED"} {
		if !strings.Contains(stdout, text) {
			t.Errorf("%q is not in\n%s", text, stdout)
		}
	}
}

// What cannot be finished is neither good nor bad news, but what was found is shown.
func TestAuditThatCannotBeFinished(t *testing.T) {
	b := &books{inventoryAudit: inventoryAudit{lost: givenBack, err: status.Error(codes.Unimplemented, "an old inventory-srv")}}
	keep(t, b)
	code, stdout, stderr := run(t, "audit")
	if code != 2 || !strings.Contains(stderr, "an old inventory-srv") || !strings.Contains(stdout, "NOT COMPLETE") {
		t.Errorf("exit code %d, stderr %q\n%s", code, stderr, stdout)
	}
	began := time.Now()
	code, stdout, stderr = run(t, "audit", "--order-service=127.0.0.1:1")
	if code != 2 || stdout != "" || !strings.Contains(stderr, "is it running") || time.Since(began) > 10*time.Second {
		t.Errorf("exit code %d after %v, stderr %q\n%s", code, time.Since(began), stderr, stdout)
	}
}

func TestWrongFlagsOfTheAudit(t *testing.T) {
	for _, arg := range []string{
		"--order-service=nowhere", "--inventory-service=:1", "--grace=0s", "--overdue-after=-1s", "--overdue-after=25h",
		"--max-violations=-1", "--repair-wait=2h", "--timeout=0s", "--output=xml",
	} {
		if code, _, stderr := run(t, "audit", arg); code != cli.ExitUsage {
			t.Errorf("%s ends with %d: %s", arg, code, stderr)
		}
	}
}
