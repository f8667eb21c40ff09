package order

import (
	"context"

	"google.golang.org/grpc"

	orderv1 "orderflow/api/proto/order/v1"
)

// auditServer shows an audit the books of a Service.
type auditServer struct {
	orderv1.UnimplementedAuditServiceServer
	service *Service
}

// NewAuditGRPC returns the gRPC service for audits. Its errors are like those of
// NewGRPC.
func NewAuditGRPC(s *Service) orderv1.AuditServiceServer { return &auditServer{service: s} }

// StreamOrders is documented in the proto.
func (a *auditServer) StreamOrders(in *orderv1.StreamOrdersRequest, stream grpc.ServerStreamingServer[orderv1.StreamOrdersResponse]) error {
	r, err := NewRange(in.GetAfterOrderId(), in.GetUntilOrderId(), in.GetOrderIds())
	if err != nil {
		return err
	}
	return a.service.Audit(stream.Context(), r, func(orders []Order) error {
		page, now := &orderv1.StreamOrdersResponse{}, a.service.clock.Now().UnixMilli()
		for _, o := range orders {
			page.Orders = append(page.Orders, auditedToProto(o, now))
		}
		return stream.Send(page)
	})
}

// RedriveOrders is documented in the proto.
func (a *auditServer) RedriveOrders(ctx context.Context, in *orderv1.RedriveOrdersRequest) (*orderv1.RedriveOrdersResponse, error) {
	results, err := a.service.Redrive(ctx, in.GetOrderIds())
	if err != nil {
		return nil, err
	}
	out := &orderv1.RedriveOrdersResponse{}
	for _, r := range results {
		out.Results = append(out.Results, &orderv1.RedriveResult{OrderId: r.OrderID, Action: orderv1.RedriveAction(r.Action)})
	}
	return out, nil
}

func auditedToProto(o Order, now int64) *orderv1.AuditedOrder {
	out := &orderv1.AuditedOrder{
		OrderId:     o.ID,
		Status:      orderv1.OrderStatus(o.Status),
		CloseReason: orderv1.CloseReason(o.CloseReason),
		StockState:  orderv1.StockState(o.StockState),
		Settled:     o.settled(),
		Version:     o.Version,
		ExpiresAtMs: o.ExpiresAt,
		UpdatedAtMs: o.UpdatedAt,
		ReadAtMs:    now,
	}
	if o.ExpiresAt == NoTimeout {
		out.ExpiresAtMs = 0
	}
	for _, l := range o.Lines {
		out.Lines = append(out.Lines, &orderv1.AuditedLine{Sku: l.SKU, Quantity: l.Quantity})
	}
	return out
}
