package inventory

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/parking"
)

// orderReader shows orders; orderv1.OrderServiceClient is one.
type orderReader interface {
	GetOrder(ctx context.Context, in *orderv1.GetOrderRequest, opts ...grpc.CallOption) (*orderv1.GetOrderResponse, error)
}

// Replays are how inventory-srv's parked messages are handled once more. Whether that
// makes sense is the order service's to say, which orders shows. A timer needs no
// guard: its handler asks.
func (s *Service) Replays(orders orderReader) parking.Replays {
	return parking.Replays{
		s.names.InventoryOrderEvents: {
			Guard: func(ctx context.Context, orderID string, e parking.Entry) error {
				return guardOrderEvent(ctx, orders, orderID, event.Tag(e.Parked.Message.Tag))
			},
			Handler: s.HandleOrderEvents,
		},
		s.names.InventoryOrderTimeouts: {
			Guard:   func(context.Context, string, parking.Entry) error { return nil },
			Handler: s.HandlePaymentTimeouts,
		},
	}
}

// guardOrderEvent refuses an event that would do something that the order's status
// does not ask for.
func guardOrderEvent(ctx context.Context, orders orderReader, orderID string, tag event.Tag) error {
	if !event.IsOrderID(orderID) {
		return nil
	}
	answer, err := orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: orderID})
	if status.Code(err) == codes.NotFound {
		return parking.Refuse("the order service knows no order %s", orderID)
	}
	if err != nil {
		return fmt.Errorf("ask the order service: %w", err)
	}
	if is := answer.GetOrder().GetStatus(); !fits(tag, is) {
		return parking.Refuse("%q makes no sense of order %s, which is %s", tag, orderID, strings.TrimPrefix(is.String(), "ORDER_STATUS_"))
	}
	return nil
}

// fits tells whether an event makes sense of an order in that status. Of a tag that
// nobody knows the handler says so.
func fits(tag event.Tag, is orderv1.OrderStatus) bool {
	switch tag {
	case event.TagCreated:
		return is != orderv1.OrderStatus_ORDER_STATUS_CLOSED
	case event.TagPaid:
		return is == orderv1.OrderStatus_ORDER_STATUS_PAID
	case event.TagClosed:
		return is == orderv1.OrderStatus_ORDER_STATUS_CLOSED
	default:
		return true
	}
}
