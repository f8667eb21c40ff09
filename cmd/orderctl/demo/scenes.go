package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// scene is one part of the story.
type scene struct {
	title string
	play  func(context.Context, *stage) error
}

// pushable are parts whose clock can be pushed.
type pushable interface{ Advance(d time.Duration) }

// scenes are those that can be played with the parts.
func scenes(p parts) []scene {
	all := []scene{
		{"an order that is paid: its stock is sold", paid},
		{"an order that nobody pays: the stock comes back when the window ends", unpaid},
		{"an order without enough stock: closed at once, the line named", outOfStock},
		{outageOf(p).title, decoupled},
	}
	if clock, can := p.(pushable); can {
		all = append(all, scene{"the window of production, 30 minutes, by a push of the clock", halfAnHour(clock)})
	}
	all = append(all, scene{"a payment that comes too late: a refund due", tooLate})
	if f, can := p.(forgetful); can {
		all = append(all, scene{"a message lost by the broker: healed by the sweeper", healed(f)})
	}
	return all
}

// outage is how the scene is told in which inventory hears of nothing.
type outage struct{ title, begun, ended string }

// suspendable are parts that cannot be stopped: inventory's consumers are.
type suspendable interface{ Outage() outage }

func outageOf(p parts) outage {
	if s, can := p.(suspendable); can {
		return s.Outage()
	}
	return outage{
		title: "decoupling: an order placed while inventory-srv is down",
		begun: "inventory-srv has drained and is gone", ended: "inventory-srv is back",
	}
}

func paid(ctx context.Context, s *stage) error {
	sku := s.sku("keyboard")
	if err := s.receive(ctx, sku, 10, 2); err != nil {
		return err
	}
	o, err := s.place(ctx, sku, 2, nil)
	if err != nil {
		return err
	}
	if o, err = s.await(ctx, o.GetOrderId(), "inventory reserves", isReserved); err != nil {
		return err
	}
	if err := s.pay(ctx, o); err != nil {
		return err
	}
	if _, err := s.await(ctx, o.GetOrderId(), "inventory sells", isSold); err != nil {
		return err
	}
	return s.showStock(ctx, sku)
}

func unpaid(ctx context.Context, s *stage) error {
	sku := s.sku("monitor")
	if err := s.receive(ctx, sku, 5, 0); err != nil {
		return err
	}
	o, err := s.held(ctx, sku, 3, s.windows.short)
	if err != nil {
		return err
	}
	s.expired = o
	s.story.say(fmt.Sprintf("nobody pays; the timer is due at %s", o.GetExpiresAt().AsTime().Local().Format("15:04:05.000")))
	return s.givenBack(ctx, o, sku)
}

// halfHour is the payment window of production.
const halfHour = 30 * time.Minute

// halfAnHour is unpaid with the window of production.
func halfAnHour(clock pushable) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		sku := s.sku("printer")
		if err := s.receive(ctx, sku, 4, 0); err != nil {
			return err
		}
		o, err := s.held(ctx, sku, 4, halfHour)
		if err != nil {
			return err
		}
		s.story.say("nobody pays; the clock of the broker and of both services is pushed by " + halfHour.String())
		begin := time.Now()
		clock.Advance(halfHour)
		s.story.step("the clock is pushed", fmt.Sprintf("in %d ms", time.Since(begin).Milliseconds()))
		return s.givenBack(ctx, o, sku)
	}
}

// held places an order and waits until its stock is reserved.
func (s *stage) held(ctx context.Context, sku string, quantity int64, window time.Duration) (*orderv1.Order, error) {
	o, err := s.place(ctx, sku, quantity, func(r *orderv1.CreateOrderRequest) { r.PaymentWindow = durationpb.New(window) })
	if err != nil {
		return nil, err
	}
	if _, err := s.await(ctx, o.GetOrderId(), "inventory reserves", isReserved); err != nil {
		return nil, err
	}
	return o, s.showStock(ctx, sku)
}

// givenBack waits until an order is closed by its timer, and checks that it was not
// closed too early.
func (s *stage) givenBack(ctx context.Context, o *orderv1.Order, sku string) error {
	closed, err := s.await(ctx, o.GetOrderId(), "the timer comes, the order closes, the stock is returned", isReleased)
	if err != nil {
		return err
	}
	if closed.GetUpdatedAt().AsTime().Before(o.GetExpiresAt().AsTime()) {
		return errors.New("the order was closed before its window ended")
	}
	return s.showStock(ctx, sku)
}

func outOfStock(ctx context.Context, s *stage) error {
	sku := s.sku("webcam")
	if err := s.receive(ctx, sku, 1, 0); err != nil {
		return err
	}
	o, err := s.place(ctx, sku, 4, nil)
	if err != nil {
		return err
	}
	o, err = s.await(ctx, o.GetOrderId(), "inventory rejects", func(o *orderv1.Order) bool {
		return o.GetCloseReason() == orderv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK
	})
	if err != nil {
		return err
	}
	line := o.GetLines()[0]
	if line.GetShortage() == nil {
		return errors.New("the short line is not named")
	}
	s.story.step("the order says why", fmt.Sprintf("%s: %d wanted, %d available", line.GetSku(), line.GetQuantity(), line.GetShortage().GetAvailable()))
	return s.showStock(ctx, sku)
}

func decoupled(ctx context.Context, s *stage) error {
	sku := s.sku("headset")
	if err := s.receive(ctx, sku, 8, 1); err != nil {
		return err
	}
	if err := s.StopInventory(ctx); err != nil {
		return err
	}
	s.story.say(outageOf(s.parts).begun)
	o, err := s.place(ctx, sku, 1, func(r *orderv1.CreateOrderRequest) {
		r.PaymentWindow = durationpb.New(s.windows.long)
	})
	if err != nil {
		return err
	}
	if err := s.stillPlaced(ctx, o.GetOrderId(), "the order is taken all the same; its event waits"); err != nil {
		return err
	}
	address, err := s.StartInventory(ctx)
	if err != nil {
		return err
	}
	if err := s.connectInventory(address); err != nil {
		return err
	}
	s.story.say(outageOf(s.parts).ended)
	if o, err = s.await(ctx, o.GetOrderId(), "inventory reserves", isReserved); err != nil {
		return err
	}
	if err := s.pay(ctx, o); err != nil {
		return err
	}
	if _, err := s.await(ctx, o.GetOrderId(), "inventory sells", isSold); err != nil {
		return err
	}
	return s.showStock(ctx, sku)
}

// stillPlaced looks at an order that nobody can have reserved, and says what that means.
func (s *stage) stillPlaced(ctx context.Context, id, meaning string) error {
	answer, err := s.orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
	if err != nil {
		return err
	}
	if answer.GetOrder().GetStatus() != orderv1.OrderStatus_ORDER_STATUS_PLACED {
		return errors.New("the order is not PLACED: another inventory-srv is connected to this broker")
	}
	s.story.step(meaning, status(answer.GetOrder())+", stock "+stockState(answer.GetOrder()))
	return nil
}

// audit compares every SKU with what the scenes must have left behind.
func (s *stage) audit(ctx context.Context) error {
	var errs []error
	for _, want := range s.wanted {
		answer, err := s.inventory.GetStock(ctx, &inventoryv1.GetStockRequest{Skus: []string{want.GetSku()}})
		if err != nil {
			return err
		}
		got := answer.GetStocks()[0]
		s.story.stock(got)
		if got.GetReceived() != got.GetAvailable()+got.GetReserved()+got.GetSold() {
			errs = append(errs, fmt.Errorf("%s: received is not available + reserved + sold", got.GetSku()))
		}
		if got.GetAvailable() != want.GetAvailable() || got.GetReserved() != 0 ||
			got.GetSold() != want.GetSold() || got.GetReceived() != want.GetReceived() {
			errs = append(errs, fmt.Errorf("%s: must be available %d, reserved 0, sold %d, received %d",
				got.GetSku(), want.GetAvailable(), want.GetSold(), want.GetReceived()))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.story.say("all sums hold")
	return nil
}

func isReserved(o *orderv1.Order) bool {
	return o.GetStatus() == orderv1.OrderStatus_ORDER_STATUS_RESERVED
}
func isSold(o *orderv1.Order) bool { return o.GetStockState() == orderv1.StockState_STOCK_STATE_SOLD }
func isReleased(o *orderv1.Order) bool {
	return o.GetStockState() == orderv1.StockState_STOCK_STATE_RELEASED
}
