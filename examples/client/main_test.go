package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/cmd/orderctl/dev"
	"orderflow/cmd/orderctl/dev/devtest"
	"orderflow/internal/apierror"
)

// shop is the whole system in this process.
type shop struct {
	t         *testing.T
	system    *dev.System
	inventory inventoryv1.InventoryServiceClient
	operator  inventoryv1.OperatorServiceClient
}

func open(t *testing.T) *shop {
	t.Helper()
	system := devtest.Start(t)
	conn, err := grpc.NewClient(system.InventoryAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &shop{t: t, system: system, inventory: inventoryv1.NewInventoryServiceClient(conn), operator: inventoryv1.NewOperatorServiceClient(conn)}
	if _, err := s.inventory.AddStock(t.Context(), &inventoryv1.AddStockRequest{ReceiptId: "r", Sku: "apple", Quantity: 10}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shop) run(args ...string) (string, error) {
	var out bytes.Buffer
	err := run(s.t.Context(), append([]string{"-order-service=" + s.system.OrderAddr()}, args...), &out)
	return out.String(), err
}

func (s *shop) stock() *inventoryv1.Stock {
	s.t.Helper()
	answer, err := s.inventory.GetStock(s.t.Context(), &inventoryv1.GetStockRequest{Skus: []string{"apple"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.GetStocks()[0]
}

// The example as it is run by hand.
func TestTheExample(t *testing.T) {
	t.Parallel()
	s := open(t)
	for range 2 { // a client that is started again, with the key that it has kept
		text, err := s.run("-key=cart-1")
		if err != nil || !strings.Contains(text, "paid 3.00 EUR\n") {
			t.Fatalf("%q, %v", text, err)
		}
	}
	if got := s.stock(); got.GetAvailable() != 8 {
		t.Errorf("two calls with one key have taken %v", got)
	}
	if _, err := s.run("-key=cart-1", "-quantity=3"); err == nil || !strings.Contains(err.Error(), "a new cart needs a new key") {
		t.Errorf("another cart with the same key: %v", err)
	}
	if text, err := s.run("-quantity=9"); err != nil || !strings.Contains(text, "of apple only 8 are there") {
		t.Errorf("more than there is: %q, %v", text, err)
	}
	if _, err := s.run("-quantity=0"); err == nil || !strings.Contains(err.Error(), "quantity") {
		t.Errorf("bad input: %v", err)
	}
}

// Inventory is away for longer than a call waits: the order is placed, and the payment is
// repeated until the stock is confirmed.
func TestInventoryIsAway(t *testing.T) {
	t.Parallel()
	s := open(t)
	_, err := s.operator.SuspendConsumers(t.Context(), &inventoryv1.SuspendConsumersRequest{Duration: durationpb.New(callTimeout + time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.run()
	if err != nil || !strings.Contains(text, "its stock is not confirmed yet") || !strings.Contains(text, "paid 3.00 EUR") {
		t.Errorf("%q, %v", text, err)
	}
}

// flaky loses the first answers: the orders are placed, and the client does not know.
type flaky struct {
	orderv1.OrderServiceClient
	lose int
	keys []string
}

func (f *flaky) CreateOrder(ctx context.Context, in *orderv1.CreateOrderRequest, opts ...grpc.CallOption) (*orderv1.CreateOrderResponse, error) {
	f.keys = append(f.keys, in.GetIdempotencyKey())
	out, err := f.OrderServiceClient.CreateOrder(ctx, in, opts...)
	if f.lose--; f.lose >= 0 && err == nil {
		lost := apierror.Unavailable("broker", nil)
		lost.RetryAfter = time.Millisecond
		return nil, lost.GRPCStatus().Err()
	}
	return out, err
}

// Answers that are lost make no second order.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	s := open(t)
	conn, err := grpc.NewClient(s.system.OrderAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f := &flaky{OrderServiceClient: orderv1.NewOrderServiceClient(conn), lose: 2}
	var out bytes.Buffer
	if err := buy(t.Context(), f, cart{key: "cart-2", sku: "apple", quantity: 2}, &out); err != nil || !strings.Contains(out.String(), "paid") {
		t.Fatalf("%q, %v", out.String(), err)
	}
	if len(f.keys) != 3 || f.keys[0] != "cart-2" || f.keys[2] != "cart-2" {
		t.Errorf("called with the keys %v", f.keys)
	}
	if got := s.stock(); got.GetAvailable() != 8 {
		t.Errorf("three calls have taken %v", got)
	}
}

func TestAdvice(t *testing.T) {
	const unasked = 700 * time.Millisecond
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		pause time.Duration
		again bool
	}{
		"success":              {nil, unasked, false},
		"said so":              {apierror.Unavailable("database", nil), time.Second, true},
		"not confirmed":        {apierror.FailedPrecondition("STOCK_NOT_CONFIRMED", 200*time.Millisecond, "soon"), 200 * time.Millisecond, true},
		"final":                {apierror.FailedPrecondition("NEVER", 0, "no"), unasked, false},
		"no service":           {&apierror.Error{Code: codes.Unavailable}, unasked, true},
		"no answer":            {&apierror.Error{Code: codes.DeadlineExceeded}, unasked, true},
		"belongs to something": {apierror.AlreadyExists("IDEMPOTENCY_KEY_REUSED", "no"), unasked, false},
	} {
		if pause, again := advice(c.err, unasked); pause != c.pause || again != c.again {
			t.Errorf("%s: %v, %t; want %v, %t", name, pause, again, c.pause, c.again)
		}
	}
}
