package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/connect"
)

// pollInterval is how often the services are asked how an order stands.
const pollInterval = 20 * time.Millisecond

// parts are the running services that the story is told with, and the clock.
type parts interface {
	services
	// StopInventory asks inventory-srv to drain, and waits until it is gone.
	StopInventory(ctx context.Context) error
	// StartInventory starts it again and returns its address.
	StartInventory(ctx context.Context) (address string, err error)
}

// stage holds the running services and what the scenes have done so far.
type stage struct {
	parts
	windows windows
	story   *story
	run     string // tells this run's SKUs, customers and keys from those of others

	orderConn, inventoryConn *grpc.ClientConn
	orders                   orderv1.OrderServiceClient
	inventory                inventoryv1.InventoryServiceClient

	placed  int
	expired *orderv1.Order       // the one that nobody has paid
	wanted  []*inventoryv1.Stock // what each SKU must be in the end
}

// windows are the payment windows of the story's orders.
type windows struct {
	short time.Duration // of an order that shall expire while one looks on
	long  time.Duration // of an order that waits for a service to come back
}

// open starts both services and connects to them.
func (s *stage) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sceneTimeout)
	defer cancel()
	orders, inventory, err := s.Start(ctx)
	if err != nil {
		return err
	}
	if s.orderConn, err = connectTo(orders); err != nil {
		return err
	}
	s.orders = orderv1.NewOrderServiceClient(s.orderConn)
	if err := s.connectInventory(inventory); err != nil {
		return err
	}
	s.story.say("order-srv and inventory-srv are running")
	return nil
}

func connectTo(addresses string) (*grpc.ClientConn, error) {
	return connect.To(strings.Split(addresses, ","))
}

// connectInventory connects to inventory-srv, which has another address after each
// start.
func (s *stage) connectInventory(address string) (err error) {
	if s.inventoryConn != nil {
		_ = s.inventoryConn.Close() // that of the one before
	}
	if s.inventoryConn, err = connectTo(address); err != nil {
		return err
	}
	s.inventory = inventoryv1.NewInventoryServiceClient(s.inventoryConn)
	return nil
}

// close ends everything.
func (s *stage) close(ctx context.Context) error {
	var errs []error
	for _, conn := range []*grpc.ClientConn{s.orderConn, s.inventoryConn} {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(append(errs, s.Close(ctx))...)
}

// sku is a SKU of this run.
func (s *stage) sku(name string) string { return name + "-" + s.run }

// receive puts stock in, and notes what the SKU must be in the end.
func (s *stage) receive(ctx context.Context, sku string, quantity, soldInTheEnd int64) error {
	_, err := s.inventory.AddStock(ctx, &inventoryv1.AddStockRequest{ReceiptId: "demo-" + sku, Sku: sku, Quantity: quantity})
	if err != nil {
		return err
	}
	s.wanted = append(s.wanted, &inventoryv1.Stock{
		Sku: sku, Received: quantity, Sold: soldInTheEnd, Available: quantity - soldInTheEnd,
	})
	return s.showStock(ctx, sku)
}

// place places an order of one line and says what came back.
func (s *stage) place(ctx context.Context, sku string, quantity int64, ask func(*orderv1.CreateOrderRequest)) (*orderv1.Order, error) {
	s.placed++
	request := &orderv1.CreateOrderRequest{
		IdempotencyKey: fmt.Sprintf("demo-%s-%d", s.run, s.placed), CustomerId: "demo-" + s.run, CurrencyCode: "EUR",
		Lines: []*orderv1.OrderLine{{Sku: sku, Quantity: quantity, UnitPriceMinor: 1999}},
	}
	if ask != nil {
		ask(request)
	}
	begin := time.Now()
	answer, err := s.orders.CreateOrder(ctx, request)
	if err != nil {
		return nil, err
	}
	s.story.step(fmt.Sprintf("CreateOrder %d × %s", quantity, sku),
		fmt.Sprintf("%s, order %s, %d ms", status(answer.GetOrder()), answer.GetOrder().GetOrderId(), time.Since(begin).Milliseconds()))
	return answer.GetOrder(), nil
}

// await asks for the order until it is as wanted, and says so.
func (s *stage) await(ctx context.Context, id string, what string, wanted func(*orderv1.Order) bool) (*orderv1.Order, error) {
	begin := time.Now()
	for {
		answer, err := s.orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		if err != nil {
			return nil, err
		}
		o := answer.GetOrder()
		if wanted(o) {
			s.story.step(what, fmt.Sprintf("%s, stock %s, %s later", status(o), stockState(o), time.Since(begin).Round(time.Millisecond)))
			return o, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("order %s is still %s: %w", id, status(o), ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

func (s *stage) pay(ctx context.Context, o *orderv1.Order) error {
	answer, err := s.orders.PayOrder(ctx, &orderv1.PayOrderRequest{
		OrderId: o.GetOrderId(), PaymentId: "pay-" + o.GetOrderId(), Amount: o.GetTotal(),
	})
	if err != nil {
		return err
	}
	s.story.step(fmt.Sprintf("PayOrder %d.%02d EUR", o.GetTotal().GetMinorUnits()/100, o.GetTotal().GetMinorUnits()%100),
		strings.TrimPrefix(answer.GetOutcome().String(), "PAYMENT_OUTCOME_")+", order "+status(answer.GetOrder()))
	if answer.GetOutcome() != orderv1.PaymentOutcome_PAYMENT_OUTCOME_PAID {
		return fmt.Errorf("payment ended as %s (%s)", answer.GetOutcome(), answer.GetRefundReason())
	}
	return nil
}

func (s *stage) showStock(ctx context.Context, sku string) error {
	answer, err := s.inventory.GetStock(ctx, &inventoryv1.GetStockRequest{Skus: []string{sku}})
	if err != nil {
		return err
	}
	s.story.stock(answer.GetStocks()[0])
	return nil
}

func status(o *orderv1.Order) string {
	text := strings.TrimPrefix(o.GetStatus().String(), "ORDER_STATUS_")
	if o.GetCloseReason() != orderv1.CloseReason_CLOSE_REASON_UNSPECIFIED {
		text += " (" + strings.TrimPrefix(o.GetCloseReason().String(), "CLOSE_REASON_") + ")"
	}
	return text
}

func stockState(o *orderv1.Order) string {
	if o.GetStockState() == orderv1.StockState_STOCK_STATE_UNSPECIFIED {
		return "not confirmed"
	}
	return strings.TrimPrefix(o.GetStockState().String(), "STOCK_STATE_")
}
