package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// Short names of the proto's values.
const (
	placed   = orderv1.OrderStatus_ORDER_STATUS_PLACED
	reserved = orderv1.OrderStatus_ORDER_STATUS_RESERVED
	paid     = orderv1.OrderStatus_ORDER_STATUS_PAID
	closed   = orderv1.OrderStatus_ORDER_STATUS_CLOSED

	timedOut   = orderv1.CloseReason_CLOSE_REASON_TIMEOUT
	outOfStock = orderv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK
	cancelled  = orderv1.CloseReason_CLOSE_REASON_CANCELLED
)

const (
	callTimeout = 10 * time.Second // of a call that shall succeed
	waitTimeout = 90 * time.Second // until a message has had its effect
)

// price of every unit, in cents.
const price = 250

func line(sku string, quantity int64) *orderv1.OrderLine {
	return &orderv1.OrderLine{Sku: sku, Quantity: quantity, UnitPriceMinor: price}
}

// call is the context of a call that shall succeed.
func (s *system) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.t.Context(), callTimeout)
}

// request is a new order of the test's customer, with a key of its own.
func (s *system) request(window time.Duration, lines ...*orderv1.OrderLine) *orderv1.CreateOrderRequest {
	return &orderv1.CreateOrderRequest{
		IdempotencyKey: uuid.NewString(), CustomerId: s.customer, CurrencyCode: "EUR",
		Lines: lines, PaymentWindow: durationpb.New(window),
	}
}

// create sends a request and remembers the order if it was acknowledged. It may
// be called from several goroutines.
func (s *system) create(ctx context.Context, r *orderv1.CreateOrderRequest) (*orderv1.Order, error) {
	answer, err := s.orderClient.CreateOrder(ctx, r)
	if err != nil {
		return nil, err
	}
	s.acknowledged <- answer.GetOrder().GetOrderId()
	return answer.GetOrder(), nil
}

// orderIDs are the orders that were acknowledged so far, each once.
func (s *system) orderIDs() []string {
	for {
		select {
		case id := <-s.acknowledged:
			s.known = append(s.known, id)
		default:
			return s.known
		}
	}
}

// place places an order.
func (s *system) place(window time.Duration, lines ...*orderv1.OrderLine) *orderv1.Order {
	s.t.Helper()
	return s.send(s.request(window, lines...))
}

// send sends a request that must succeed, in the end.
func (s *system) send(r *orderv1.CreateOrderRequest) *orderv1.Order {
	s.t.Helper()
	o, err := s.insist(r)
	s.must(err)
	return o
}

// insist sends a request until it is answered. It may be called from several
// goroutines.
func (s *system) insist(r *orderv1.CreateOrderRequest) (*orderv1.Order, error) {
	return repeat(s.t.Context(), func(ctx context.Context) (*orderv1.Order, error) { return s.create(ctx, r) })
}

// repeat makes a call with its key or id while it is told to, as clients do: on a
// busy machine a transaction may take too long.
func repeat[T any](ctx context.Context, call func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	for pause := pollInterval; ; pause = min(2*pause, time.Second) {
		answer, err := call(ctx)
		if status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// get returns an order as it is now.
func (s *system) get(id string) *orderv1.Order {
	s.t.Helper()
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*orderv1.GetOrderResponse, error) {
		return s.orderClient.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
	})
	s.must(err)
	return answer.GetOrder()
}

// pay reports a payment of the order's total, with an id of its own.
func (s *system) pay(o *orderv1.Order) *orderv1.PayOrderResponse {
	s.t.Helper()
	answer, err := s.payWith(payment(o))
	s.must(err)
	return answer
}

// payWith reports a payment until it is answered.
func (s *system) payWith(p *orderv1.PayOrderRequest) (*orderv1.PayOrderResponse, error) {
	return repeat(s.t.Context(), func(ctx context.Context) (*orderv1.PayOrderResponse, error) {
		return s.orderClient.PayOrder(ctx, p)
	})
}

func payment(o *orderv1.Order) *orderv1.PayOrderRequest {
	return &orderv1.PayOrderRequest{OrderId: o.GetOrderId(), PaymentId: uuid.NewString(), Amount: o.GetTotal()}
}

// waitStatus waits until the order has the status and returns it. While the
// service is away, that counts as "not yet".
func (s *system) waitStatus(o *orderv1.Order, want orderv1.OrderStatus) *orderv1.Order {
	s.t.Helper()
	return s.waitStatusFor(waitTimeout, o, want)
}

func (s *system) waitStatusFor(timeout time.Duration, o *orderv1.Order, want orderv1.OrderStatus) *orderv1.Order {
	s.t.Helper()
	var now *orderv1.Order
	s.eventually(timeout, func() string {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		answer, err := s.orderClient.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: o.GetOrderId()})
		if err != nil {
			return fmt.Sprintf("order %s: %v", o.GetOrderId(), err)
		}
		now = answer.GetOrder()
		if now.GetStatus() != want {
			return fmt.Sprintf("order %s is %s (%s), want %s", o.GetOrderId(), now.GetStatus(), now.GetCloseReason(), want)
		}
		return ""
	})
	return now
}

// waitClosed waits until the order is closed, for the reason.
func (s *system) waitClosed(o *orderv1.Order, why orderv1.CloseReason) *orderv1.Order {
	s.t.Helper()
	now := s.waitStatus(o, closed)
	if now.GetCloseReason() != why {
		s.t.Fatalf("order %s is closed for %s, want %s", o.GetOrderId(), now.GetCloseReason(), why)
	}
	return now
}

// stocked receives n units of a SKU of the test's own and returns its name.
func (s *system) stocked(label string, n int64) string {
	s.t.Helper()
	sku := s.sku(label)
	receipt := &inventoryv1.AddStockRequest{ReceiptId: uuid.NewString(), Sku: sku, Quantity: n}
	_, err := repeat(s.t.Context(), func(ctx context.Context) (*inventoryv1.AddStockResponse, error) {
		return s.stockClient.AddStock(ctx, receipt)
	})
	s.must(err)
	s.skus[sku] += n
	return sku
}

// sku is a name of the test's own.
func (s *system) sku(label string) string { return s.customer + ":" + label }

// stockOf returns the stock of a SKU.
func (s *system) stockOf(sku string) *inventoryv1.Stock {
	s.t.Helper()
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*inventoryv1.GetStockResponse, error) {
		return s.stockClient.GetStock(ctx, &inventoryv1.GetStockRequest{Skus: []string{sku}})
	})
	s.must(err)
	return answer.GetStocks()[0]
}

// waitStock waits until the SKU's stock is so.
func (s *system) waitStock(sku string, available, reserved, sold int64) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		now := s.stockOf(sku)
		if now.GetAvailable() == available && now.GetReserved() == reserved && now.GetSold() == sold {
			return ""
		}
		return fmt.Sprintf("stock is %v, want available %d, reserved %d, sold %d", now, available, reserved, sold)
	})
}

// wantReservation checks the status and the version of an order's reservation:
// the version counts how often it has changed.
func (s *system) wantReservation(o *orderv1.Order, want inventoryv1.ReservationStatus, version int64) {
	s.t.Helper()
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*inventoryv1.GetReservationResponse, error) {
		return s.stockClient.GetReservation(ctx, &inventoryv1.GetReservationRequest{OrderId: o.GetOrderId()})
	})
	s.must(err)
	if r := answer.GetReservation(); r.GetStatus() != want || r.GetVersion() != version {
		s.t.Errorf("reservation of %s is %s, version %d; want %s, version %d",
			o.GetOrderId(), r.GetStatus(), r.GetVersion(), want, version)
	}
}

// waitHeardOf waits until any event of the order has reached inventory-srv.
func (s *system) waitHeardOf(o *orderv1.Order) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		ctx, cancel := s.call()
		defer cancel()
		if _, err := s.stockClient.GetReservation(ctx, &inventoryv1.GetReservationRequest{OrderId: o.GetOrderId()}); err != nil {
			return err.Error()
		}
		return ""
	})
}

// wantUnavailable checks that an error says "repeat", and when.
func (s *system) wantUnavailable(err error) {
	s.t.Helper()
	st := status.Convert(err)
	if st.Code() != codes.Unavailable {
		s.t.Fatalf("got %v, want Unavailable", err)
	}
	if retry := detail[*errdetails.RetryInfo](st); retry.GetRetryDelay().AsDuration() <= 0 {
		s.t.Errorf("Unavailable without RetryInfo: %v", st.Details())
	}
}

// detail returns the first detail of the type; nil if there is none.
func detail[T any](st *status.Status) (found T) {
	for _, d := range st.Details() {
		if d, ok := d.(T); ok {
			return d
		}
	}
	return found
}
