package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/process"
)

// pollInterval is how often the services are asked how an order stands.
const pollInterval = 20 * time.Millisecond

// stage holds the running services and what the scenes have done so far.
type stage struct {
	command Command
	story   *story
	run     string // tells this run's SKUs, customers and keys from those of others

	orderProcess, inventoryProcess *process.Process
	orderConn, inventoryConn       *grpc.ClientConn
	orders                         orderv1.OrderServiceClient
	inventory                      inventoryv1.InventoryServiceClient

	placed int
	wanted []*inventoryv1.Stock // what each SKU must be in the end
}

// open prepares the databases and the broker and starts both services.
func (s *stage) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sceneTimeout)
	defer cancel()
	if err := s.command.prepare(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.startOrders(ctx), s.startInventory(ctx)); err != nil {
		return err
	}
	s.story.say("order-srv and inventory-srv are running")
	return nil
}

func (s *stage) startOrders(ctx context.Context) error {
	c := s.command
	p, conn, err := s.start(ctx, "order-srv", []string{
		"ORDER_DATABASE_URL=" + string(c.OrderDatabaseURL),
		"ORDER_PAYMENT_WINDOW=" + c.PaymentWindow.String(),
	})
	s.orderProcess = p
	if err != nil {
		return err
	}
	s.orderConn, s.orders = conn, orderv1.NewOrderServiceClient(conn)
	return nil
}

func (s *stage) startInventory(ctx context.Context) error {
	if s.orderProcess == nil {
		return errors.New("inventory-srv needs order-srv")
	}
	p, conn, err := s.start(ctx, "inventory-srv", []string{
		"INVENTORY_DATABASE_URL=" + string(s.command.InventoryDatabaseURL),
		"INVENTORY_ORDER_SERVICE=" + s.orderProcess.GRPC(),
	})
	s.inventoryProcess = p
	if err != nil {
		return err
	}
	if s.inventoryConn != nil {
		_ = s.inventoryConn.Close() // that of the process before
	}
	s.inventoryConn, s.inventory = conn, inventoryv1.NewInventoryServiceClient(conn)
	return nil
}

// start runs a service on free ports and waits until it is ready.
func (s *stage) start(ctx context.Context, name string, env []string) (*process.Process, *grpc.ClientConn, error) {
	prefix := strings.ToUpper(strings.TrimSuffix(name, "-srv")) + "_"
	env = append(env,
		prefix+"LISTEN=127.0.0.1:0", prefix+"ADMIN_LISTEN=127.0.0.1:0", prefix+"LOG_FORMAT=json",
		prefix+"NAME_SERVERS="+strings.Join(s.command.NameServers, ","), prefix+"TOPIC_PREFIX="+s.command.TopicPrefix)
	p, err := process.Start(ctx, process.Spec{
		Path: filepath.Join(s.command.Bin, name), Args: []string{"serve"}, Env: env,
		LogFile: filepath.Join(s.command.Logs, name+".log"),
	})
	if err != nil {
		return nil, nil, err
	}
	if err := p.WaitReady(ctx); err != nil {
		return p, nil, err
	}
	conn, err := grpc.NewClient(p.GRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	return p, conn, err
}

// stopInventory asks inventory-srv to drain, and waits until it is gone.
func (s *stage) stopInventory(ctx context.Context) error {
	err := s.inventoryProcess.Stop(ctx)
	s.inventoryProcess = nil
	return err
}

// close ends what was started.
func (s *stage) close(ctx context.Context) error {
	var errs []error
	for _, conn := range []*grpc.ClientConn{s.orderConn, s.inventoryConn} {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	for _, p := range []*process.Process{s.inventoryProcess, s.orderProcess} {
		if p != nil {
			errs = append(errs, p.Stop(ctx))
		}
	}
	return errors.Join(errs...)
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
