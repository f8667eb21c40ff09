package load

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "orderflow/api/proto/order/v1"
)

// The pauses between two looks at an order.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// order is the life of one order, as its customer sees it.
type order struct {
	load    *load
	due     time.Time
	request *orderv1.CreateOrderRequest
	pays    bool
}

// live places the order, pays it if its customer does, and follows it to its end.
func (o *order) live(ctx context.Context) outcome {
	var placed *orderv1.Order
	err := o.load.creating.insist(ctx, func(ctx context.Context) error {
		answer, err := o.load.orders.CreateOrder(ctx, o.request)
		placed = answer.GetOrder()
		return err
	})
	switch {
	case ctx.Err() != nil && err != nil:
		return skipped // nobody waits for the answer any more
	case err != nil:
		o.load.tally.failed(err)
		return refused
	}
	o.load.tally.accepted(time.Since(o.due))
	paid := false
	if o.pays {
		if paid, err = o.pay(ctx, placed); err != nil {
			o.load.tally.failed(err)
		}
	}
	return o.end(ctx, placed, paid)
}

// pay waits until the stock is reserved and pays. An order that is closed by then is not
// paid, which is a customer's bad luck and no fault.
func (o *order) pay(ctx context.Context, placed *orderv1.Order) (paid bool, err error) {
	reserved, err := o.await(ctx, placed.GetOrderId(), firstPause, func(now *orderv1.Order) bool {
		return now.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_PLACED
	})
	if err != nil || reserved.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_RESERVED {
		return false, err
	}
	err = o.load.paying.insist(ctx, func(ctx context.Context) error {
		answer, err := o.load.orders.PayOrder(ctx, &orderv1.PayOrderRequest{
			OrderId: placed.GetOrderId(), PaymentId: "pay-" + placed.GetOrderId(), Amount: placed.GetTotal(),
		})
		paid = answer.GetOutcome() == orderv1.PaymentOutcome_PAYMENT_OUTCOME_PAID
		return err
	})
	return paid, err
}

// end waits until order and stock have come to their end.
func (o *order) end(ctx context.Context, placed *orderv1.Order, paid bool) outcome {
	if !paid { // nothing happens before its timer
		select {
		case <-ctx.Done():
			return unfinished
		case <-time.After(time.Until(placed.GetExpiresAt().AsTime())):
		}
	}
	last, err := o.await(ctx, placed.GetOrderId(), 4*firstPause, func(now *orderv1.Order) bool {
		switch now.GetStockState() {
		case orderv1.StockState_STOCK_STATE_SOLD, orderv1.StockState_STOCK_STATE_RELEASED, orderv1.StockState_STOCK_STATE_REJECTED:
			return true
		default:
			return false
		}
	})
	if err != nil {
		return unfinished
	}
	return judge(last, paid)
}

// judge says what became of an order, and whether that contradicts its payment.
func judge(o *orderv1.Order, paid bool) outcome {
	sold := o.GetStockState() == orderv1.StockState_STOCK_STATE_SOLD
	switch {
	case o.GetStatus() == orderv1.OrderStatus_ORDER_STATUS_PAID && sold:
		return soldPaid // also if the answer to the payment was lost
	case o.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_CLOSED || sold || paid:
		return wrong
	case o.GetCloseReason() == orderv1.CloseReason_CLOSE_REASON_TIMEOUT:
		return timedOut
	default:
		return otherwise
	}
}

// await asks for the order, less and less often, until it is as wanted.
func (o *order) await(ctx context.Context, id string, pause time.Duration, wanted func(*orderv1.Order) bool) (*orderv1.Order, error) {
	for {
		var now *orderv1.Order
		err := o.load.looking.insist(ctx, func(ctx context.Context) error {
			answer, err := o.load.orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
			now = answer.GetOrder()
			return err
		})
		if err != nil || wanted(now) {
			return now, err
		}
		if !sleep(ctx, pause) {
			return nil, ctx.Err()
		}
		pause = min(2*pause, lastPause)
	}
}

// window is the payment window of the request; nil leaves it to the service.
func window(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
