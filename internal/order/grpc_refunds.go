package order

import (
	"context"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/page"
)

// ListRefundsDue is documented in the proto.
func (g *grpcServer) ListRefundsDue(ctx context.Context, in *orderv1.ListRefundsDueRequest) (*orderv1.ListRefundsDueResponse, error) {
	var v apierror.Violations
	size := page.Size(&v, in.GetPageSize())
	query := page.NewQuery("ListRefundsDue")
	behind, _ := page.Position[RefundPosition](&v, query, in.GetPageToken())
	if err := v.Err(); err != nil {
		return nil, err
	}
	due, more, err := g.service.RefundsDue(ctx, behind, size)
	if err != nil {
		return nil, err
	}
	out := &orderv1.ListRefundsDueResponse{}
	for _, p := range due {
		out.Payments = append(out.Payments, paymentToProto(p))
	}
	if more {
		if out.NextPageToken, err = page.Token(query, due[len(due)-1].position()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ResolveRefund is documented in the proto.
func (g *grpcServer) ResolveRefund(ctx context.Context, in *orderv1.ResolveRefundRequest) (*orderv1.ResolveRefundResponse, error) {
	r, err := NewRefund(in.GetPaymentId(), in.GetRefundId())
	if err != nil {
		return nil, err
	}
	p, err := g.service.ResolveRefund(ctx, r)
	if err != nil {
		return nil, err
	}
	return &orderv1.ResolveRefundResponse{Payment: paymentToProto(p)}, nil
}

// paymentToProto translates a payment. The stored numbers of the enums are those of
// the proto.
func paymentToProto(p Payment) *orderv1.Payment {
	out := &orderv1.Payment{
		PaymentId:    p.ID,
		OrderId:      p.OrderID,
		Amount:       &orderv1.Money{CurrencyCode: p.Currency, MinorUnits: p.AmountMinor},
		Outcome:      orderv1.PaymentOutcome(p.Outcome),
		RefundReason: orderv1.RefundReason(p.RefundReason),
		RecordedAt:   timestamp(p.RecordedAt),
		RefundId:     p.RefundID,
	}
	if p.RefundedAt != 0 {
		out.RefundedAt = timestamp(p.RefundedAt)
	}
	return out
}
