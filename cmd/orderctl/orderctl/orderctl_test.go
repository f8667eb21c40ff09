package orderctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/cli"
	"orderflow/internal/mq"
)

// services are both services; they keep the last request and answer with err, or
// with one order, stock or reservation.
type services struct {
	orderv1.UnimplementedOrderServiceServer
	orderv1.UnimplementedAuditServiceServer
	inventoryv1.UnimplementedInventoryServiceServer
	err   error
	last  proto.Message
	watch func(*orderv1.WatchOrderRequest, grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error
}

func anOrder() *orderv1.Order {
	return &orderv1.Order{
		OrderId: "the-order", Status: orderv1.OrderStatus_ORDER_STATUS_CLOSED,
		CloseReason: orderv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK,
		Total:       &orderv1.Money{CurrencyCode: "EUR", MinorUnits: 1234},
		Lines: []*orderv1.Line{
			{Sku: "a", Quantity: 1, Shortage: &orderv1.Shortage{Available: 3}},
			{Sku: "b", Quantity: 2, Shortage: &orderv1.Shortage{UnknownSku: true}},
		},
	}
}

func (s *services) CreateOrder(_ context.Context, in *orderv1.CreateOrderRequest) (*orderv1.CreateOrderResponse, error) {
	s.last = in
	return &orderv1.CreateOrderResponse{Order: anOrder()}, s.err
}

func (s *services) GetOrder(_ context.Context, in *orderv1.GetOrderRequest) (*orderv1.GetOrderResponse, error) {
	s.last = in
	return &orderv1.GetOrderResponse{Order: anOrder()}, s.err
}

func (s *services) PayOrder(_ context.Context, in *orderv1.PayOrderRequest) (*orderv1.PayOrderResponse, error) {
	s.last = in
	return &orderv1.PayOrderResponse{
		Outcome:      orderv1.PaymentOutcome_PAYMENT_OUTCOME_REFUND_DUE,
		RefundReason: orderv1.RefundReason_REFUND_REASON_PAST_DUE, Order: anOrder(),
	}, s.err
}

func (s *services) AddStock(_ context.Context, in *inventoryv1.AddStockRequest) (*inventoryv1.AddStockResponse, error) {
	s.last = in
	return &inventoryv1.AddStockResponse{Stock: &inventoryv1.Stock{Sku: "a", Available: 7, Received: 7}}, s.err
}

func (s *services) GetStock(_ context.Context, in *inventoryv1.GetStockRequest) (*inventoryv1.GetStockResponse, error) {
	s.last = in
	return &inventoryv1.GetStockResponse{Stocks: []*inventoryv1.Stock{{Sku: "a", Sold: 5, Received: 5}}}, s.err
}

func (s *services) GetReservation(_ context.Context, in *inventoryv1.GetReservationRequest) (*inventoryv1.GetReservationResponse, error) {
	s.last = in
	return &inventoryv1.GetReservationResponse{Reservation: &inventoryv1.Reservation{
		OrderId: "the-order", Status: inventoryv1.ReservationStatus_RESERVATION_STATUS_REJECTED,
		Lines: []*inventoryv1.ReservationLine{{Sku: "a", Quantity: 9, Shortage: &inventoryv1.Shortage{Available: 3}}},
	}}, s.err
}

// serve serves s and points orderctl at it.
func serve(t *testing.T, s *services) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	orderv1.RegisterOrderServiceServer(server, s)
	orderv1.RegisterAuditServiceServer(server, s)
	inventoryv1.RegisterInventoryServiceServer(server, s)
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
}

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Program().Main(t.Context(), args, cli.Output{Stdout: &out, Stderr: &err})
	return code, out.String(), err.String()
}

// call is a command line, what it asks for and what it shows.
type call struct {
	args []string
	want proto.Message // the request
	show []string      // what stands in the table, blanks squeezed
}

func (c call) check(t *testing.T) {
	s := &services{}
	serve(t, s)
	code, stdout, stderr := run(t, c.args...)
	if code != cli.ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if diff := cmp.Diff(c.want, s.last, protocmp.Transform()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	table := squeeze(stdout)
	for _, text := range c.show {
		if !strings.Contains(table, text) {
			t.Errorf("%q is not in\n%s", text, stdout)
		}
	}
}

// squeeze makes one blank of many.
func squeeze(text string) string { return regexp.MustCompile(` +`).ReplaceAllString(text, " ") }

func TestRequestsAndTables(t *testing.T) {
	for _, c := range []call{
		{
			[]string{
				"order", "create", "--customer=c", "--currency=EUR", "--line=a:1:250", "--line", "x:y:2:0",
				"--key=k", "--window=30m",
			},
			&orderv1.CreateOrderRequest{
				IdempotencyKey: "k", CustomerId: "c", CurrencyCode: "EUR", PaymentWindow: durationpb.New(30 * time.Minute),
				Lines: []*orderv1.OrderLine{{Sku: "a", Quantity: 1, UnitPriceMinor: 250}, {Sku: "x:y", Quantity: 2}},
			},
			[]string{"order the-order", "status CLOSED (OUT_OF_STOCK)", "stock -", "total 1234 EUR", "a 1 0 only 3 available", "b 2 0 unknown SKU"},
		},
		{
			[]string{"order", "get", "the-order"},
			&orderv1.GetOrderRequest{OrderId: "the-order"}, []string{"order the-order"},
		},
		{
			[]string{"order", "pay", "the-order", "--payment-id=p", "--amount=0", "--currency=USD"},
			&orderv1.PayOrderRequest{OrderId: "the-order", PaymentId: "p", Amount: &orderv1.Money{CurrencyCode: "USD"}},
			[]string{"payment REFUND_DUE (PAST_DUE)"},
		},
		{
			[]string{"order", "pay", "the-order", "--payment-id=p"}, // the order's total
			&orderv1.PayOrderRequest{OrderId: "the-order", PaymentId: "p", Amount: &orderv1.Money{CurrencyCode: "EUR", MinorUnits: 1234}},
			[]string{"payment REFUND_DUE"},
		},
		{
			[]string{"stock", "add", "a", "7", "--receipt=r"},
			&inventoryv1.AddStockRequest{ReceiptId: "r", Sku: "a", Quantity: 7}, []string{"a 7 0 0 7"},
		},
		{
			[]string{"stock", "get", "a", "b"},
			&inventoryv1.GetStockRequest{Skus: []string{"a", "b"}}, []string{"SKU AVAILABLE RESERVED SOLD RECEIVED", "a 0 0 5 5"},
		},
		{
			[]string{"reservation", "get", "the-order"},
			&inventoryv1.GetReservationRequest{OrderId: "the-order"}, []string{"status REJECTED", "a 9 only 3 available"},
		},
	} {
		t.Run(strings.Join(c.args, " "), c.check)
	}
}

func TestAnswerAsJSON(t *testing.T) {
	serve(t, &services{})
	_, stdout, stderr := run(t, "order", "create", "--customer=c", "--currency=EUR", "--line=a:1:1", "-o", "json")
	var answer struct {
		Order struct{ OrderID string }
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || answer.Order.OrderID != "the-order" {
		t.Errorf("%v in %s", err, stdout)
	}
	if !strings.Contains(stderr, "idempotency key: ") {
		t.Errorf("the key that was made is not shown: %q", stderr)
	}
}

func TestErrorsAreExplained(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{
			"fields", &apierror.Error{
				Code: codes.InvalidArgument, Reason: "INVALID_REQUEST", Message: "wrong",
				Fields: []apierror.Field{{Path: "order_id", Description: "must be a UUID"}},
			},
			"orderctl: InvalidArgument (INVALID_REQUEST): wrong\n  order_id: must be a UUID\n",
		},
		{
			"retry", apierror.Unavailable("database", errors.New("secret")),
			"orderctl: Unavailable (TEMPORARILY_UNAVAILABLE): database is not available at the moment; " +
				"repeat the call with the same id or key\n  repeat the call in 1s\n",
		},
		{"plain", apierror.NotFound("", "no such order"), "orderctl: NotFound: no such order\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			serve(t, &services{err: test.err})
			code, stdout, stderr := run(t, "order", "get", "x")
			if code != cli.ExitFailed || stderr != test.want || stdout != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q, want %q", code, stdout, stderr, test.want)
			}
		})
	}
}

func TestUsageErrors(t *testing.T) {
	tests := [][]string{
		{"order", "create", "--customer=c", "--currency=EUR"},
		{"order", "create", "--customer=c", "--currency=EUR", "--line=a:1"},
		{"order", "create", "--customer=c", "--currency=EUR", "--line=a:one:1"},
		{"order", "create", "--customer=c", "--currency=EUR", "--line=a:1:1.50"},
		{"order", "get", "x", "--order-service=nowhere"},
		{"order", "get", "x", "--timeout=0s"},
		{"order", "get", "x", "--output=xml"},
		{"stock", "get", "a", "--inventory-service=:1"},
		{"stock", "add", "a", "many"},
		{"order", "extend", "x"},
		{"order", "extend", "x", "--window=soon"},
		{"order", "exempt", "x"},
		{"order", "redrive"},
		{"order", "list", "--status=LOST"},
		{"order", "list", "--status=UNSPECIFIED"},
		{"order", "list", "--from=yesterday"},
		{"order", "list", "--page-size=many"},
		{"order", "watch", "x", "--after-version=one"},
		{"order", "timeline", "x", "--inventory-service=nowhere"},
		{"order", "timeline", "x", "--order-service=nowhere"},
		{"refund", "resolve", "p"},
		{"reservation", "list", "--status=PAID"},
		{"stock", "adjust", "a", "-1"},
		{"stock", "adjust", "a", "--reason=r"},
		{"mq", "init", "--queues=0"},
		{"mq", "init", "--wait=-1s"},
		{"mq", "init", "--topic-prefix=a%b"},
	}
	for _, args := range tests {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if code, _, stderr := run(t, args...); code != cli.ExitUsage {
				t.Errorf("exit code %d, want %d: %s", code, cli.ExitUsage, stderr)
			}
		})
	}
}

// fakeBroker has some of the topics and groups.
type fakeBroker struct {
	has map[string]bool
	err error
}

func (f *fakeBroker) create(name string) (bool, error) {
	created := !f.has[name]
	f.has[name] = true
	return created, f.err
}

func (f *fakeBroker) EnsureTopic(_ context.Context, s mq.TopicSpec) (bool, error) {
	return f.create(s.Type + " " + s.Name)
}

func (f *fakeBroker) EnsureGroup(_ context.Context, s mq.GroupSpec) (bool, error) {
	return f.create("group " + s.Name)
}

func TestInitCreatesWhatIsMissing(t *testing.T) {
	fake := &fakeBroker{has: map[string]bool{"DELAY p-order-timeouts": true}}
	var out bytes.Buffer
	c := InitMQ{Broker: cli.Broker{TopicPrefix: "p-"}, Queues: 4, Timeout: time.Second}
	if err := c.ensure(t.Context(), fake, &out); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"TRANSACTION p-order-events": true, "DELAY p-order-timeouts": true, "NORMAL p-stock-events": true,
		"group p-inventory-srv-order-events": true, "group p-inventory-srv-order-timeouts": true,
		"group p-order-srv-stock-events":           true,
		"group p-inventory-srv-drain-order-events": true, "group p-inventory-srv-drain-order-timeouts": true,
		"group p-order-srv-drain-stock-events": true, "group p-order-srv-drain-half-messages": true,
	}
	if diff := cmp.Diff(want, fake.has); diff != "" {
		t.Errorf("topics and groups (-want +got):\n%s", diff)
	}
	if text := out.String(); !strings.Contains(text, "p-order-timeouts: already there") || !strings.Contains(text, "p-order-events: created") {
		t.Errorf("got\n%s", text)
	}
}
