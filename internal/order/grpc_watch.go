package order

import (
	"google.golang.org/grpc"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
)

// WatchOrder is documented in the proto.
func (g *grpcServer) WatchOrder(in *orderv1.WatchOrderRequest, stream grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
	var v apierror.Violations
	if !event.IsOrderID(in.GetOrderId()) {
		v.Add("order_id", "must be a UUID in its canonical form")
	}
	if in.GetAfterVersion() < 0 {
		v.Add("after_version", "must be 0 or more, got %d", in.GetAfterVersion())
	}
	if err := v.Err(); err != nil {
		return err
	}
	return g.service.Watch(stream.Context(), in.GetOrderId(), in.GetAfterVersion(), func(e Entry) error {
		return stream.Send(&orderv1.WatchOrderResponse{
			Version:     e.Version,
			Status:      orderv1.OrderStatus(e.Status),
			CloseReason: orderv1.CloseReason(e.CloseReason),
			StockState:  orderv1.StockState(e.StockState),
			ExpiresAt:   expiry(e.ExpiresAt),
			ChangedAt:   timestamp(e.At),
			Cause:       orderv1.Cause(e.Cause),
		})
	})
}
