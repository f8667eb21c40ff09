package order

import (
	"context"

	orderv1 "orderflow/api/proto/order/v1"
)

// CancelOrder is documented in the proto.
func (g *grpcServer) CancelOrder(ctx context.Context, in *orderv1.CancelOrderRequest) (*orderv1.CancelOrderResponse, error) {
	o, err := g.service.Cancel(ctx, in.GetOrderId(), in.GetReason())
	if err != nil {
		return nil, err
	}
	return &orderv1.CancelOrderResponse{Order: toProto(o)}, nil
}

// ExtendPayment is documented in the proto.
func (g *grpcServer) ExtendPayment(ctx context.Context, in *orderv1.ExtendPaymentRequest) (*orderv1.ExtendPaymentResponse, error) {
	o, err := g.service.Extend(ctx, in.GetOrderId(), in.GetRequestId(), in.GetPaymentWindow().AsDuration())
	if err != nil {
		return nil, err
	}
	return &orderv1.ExtendPaymentResponse{Order: toProto(o)}, nil
}

// ExemptFromTimeout is documented in the proto.
func (g *grpcServer) ExemptFromTimeout(ctx context.Context, in *orderv1.ExemptFromTimeoutRequest) (*orderv1.ExemptFromTimeoutResponse, error) {
	o, err := g.service.Exempt(ctx, in.GetOrderId(), in.GetReason())
	if err != nil {
		return nil, err
	}
	return &orderv1.ExemptFromTimeoutResponse{Order: toProto(o)}, nil
}
