package orderctl

import (
	"context"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
)

// ListRefunds lists the payments that have to be refunded.
type ListRefunds struct {
	Orders
	Pages
}

// Help is more about it.
func (ListRefunds) Help() string {
	return `Payments that came when their order was closed or paid already, or with a wrong amount.

  orderctl refund list --all`
}

// Run is the command.
func (c ListRefunds) Run(ctx context.Context, out cli.Output) error {
	return c.calls(func(orders orderv1.OrderServiceClient) error {
		return c.each(ctx, c.Timeout, out, func(ctx context.Context, size int32, token string) (string, error) {
			resp, err := orders.ListRefundsDue(ctx, &orderv1.ListRefundsDueRequest{PageSize: size, PageToken: token})
			if err != nil {
				return "", err
			}
			return resp.GetNextPageToken(), c.show(out, resp, func(t *table) { t.payments(resp.GetPayments()) })
		})
	})
}

// ResolveRefund records a refund.
type ResolveRefund struct {
	Orders
	PaymentID string `arg:"" help:"The provider's id of the payment."`
	RefundID  string `env:"-" required:"" placeholder:"ID" help:"The provider's id of the refund; a repeated call with it changes nothing."`
}

// Help is more about it.
func (ResolveRefund) Help() string {
	return `The refund itself happens at the payment provider, before this call.

  orderctl refund resolve pay-4711 --refund-id ref-0815`
}

// Run is the command.
func (c ResolveRefund) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, func(ctx context.Context, orders orderv1.OrderServiceClient) error {
		resp, err := orders.ResolveRefund(ctx, &orderv1.ResolveRefundRequest{PaymentId: c.PaymentID, RefundId: c.RefundID})
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.payments([]*orderv1.Payment{resp.GetPayment()}) })
	})
}
