package orderctl

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
)

// CancelOrder closes an order that is not paid.
type CancelOrder struct {
	Orders
	OrderID string `arg:"" help:"The order."`
	Reason  string `env:"-" help:"Why, in the customer's words."`
}

// Help is more about it.
func (CancelOrder) Help() string {
	return `An order that is cancelled already is shown as it is.

  orderctl order cancel 01a1fd7d-c416-767a-b6d3-dd402129614f --reason "found it cheaper"`
}

// Run is the command.
func (c CancelOrder) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, func(ctx context.Context, orders orderv1.OrderServiceClient) error {
		resp, err := orders.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: c.OrderID, Reason: c.Reason})
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.order(resp.GetOrder()) })
	})
}

// ExtendOrder gives the customer a new payment window.
type ExtendOrder struct {
	Orders
	OrderID   string        `arg:"" help:"The order."`
	Window    time.Duration `env:"-" required:"" placeholder:"DURATION" help:"How long the customer has to pay from now on, as the broker can deliver it (such as 30m)."`
	RequestID string        `env:"-" placeholder:"ID" help:"Id of this request; a repeated call with it extends nothing. Made and printed if missing."`
}

// Help is more about it.
func (ExtendOrder) Help() string {
	return `Only while the present window has not ended, and never to an earlier end.

  orderctl order extend 01a1fd7d-c416-767a-b6d3-dd402129614f --window 2h`
}

// Run is the command.
func (c ExtendOrder) Run(ctx context.Context, out cli.Output) error {
	req := &orderv1.ExtendPaymentRequest{
		OrderId: c.OrderID, RequestId: orNew(c.RequestID, "request id", out), PaymentWindow: durationpb.New(c.Window),
	}
	return c.call(ctx, func(ctx context.Context, orders orderv1.OrderServiceClient) error {
		resp, err := orders.ExtendPayment(ctx, req)
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.order(resp.GetOrder()) })
	})
}

// ExemptOrder takes an order out of the payment timeout.
type ExemptOrder struct {
	Orders
	OrderID string `arg:"" help:"The order."`
	Reason  string `env:"-" required:"" help:"Why, for the order's timeline."`
}

// Help is more about it.
func (ExemptOrder) Help() string {
	return `For a customer who pays offline: the order keeps its stock until it is paid or cancelled.

  orderctl order exempt 01a1fd7d-c416-767a-b6d3-dd402129614f --reason "pays by bank transfer"`
}

// Run is the command.
func (c ExemptOrder) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, func(ctx context.Context, orders orderv1.OrderServiceClient) error {
		resp, err := orders.ExemptFromTimeout(ctx, &orderv1.ExemptFromTimeoutRequest{OrderId: c.OrderID, Reason: c.Reason})
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.order(resp.GetOrder()) })
	})
}

// RedriveOrders sends the events of orders again.
type RedriveOrders struct {
	Orders
	OrderIDs []string `arg:"" name:"order-id" help:"The orders, at most 64."`
}

// Help is more about it.
func (RedriveOrders) Help() string {
	return `For an order whose other half inventory-srv lacks: it is told again by the order's
created, paid or closed event, which it absorbs if it knew. An order that is past its
payment window is closed instead.

  orderctl order redrive 01a1fd7d-c416-767a-b6d3-dd402129614f`
}

// Run is the command.
func (c RedriveOrders) Run(ctx context.Context, out cli.Output) error {
	return dial(ctx, c.OrderService, c.Timeout, func(ctx context.Context, conn *grpc.ClientConn) error {
		resp, err := orderv1.NewAuditServiceClient(conn).RedriveOrders(ctx, &orderv1.RedriveOrdersRequest{OrderIds: c.OrderIDs})
		if err != nil {
			return err
		}
		if err := c.show(out, resp, func(t *table) { t.redriven(resp.GetResults()) }); err != nil {
			return err
		}
		return leftUndone(resp.GetResults())
	})
}

// leftUndone is the error for orders about which nothing could be done: a script
// has to repeat the call.
func leftUndone(results []*orderv1.RedriveResult) error {
	n, unknown := 0, 0
	for _, r := range results {
		switch r.GetAction() {
		case orderv1.RedriveAction_REDRIVE_ACTION_UNSPECIFIED:
			n++
		case orderv1.RedriveAction_REDRIVE_ACTION_UNKNOWN_ORDER:
			unknown++
		}
	}
	switch {
	case n > 0:
		return fmt.Errorf("nothing could be done about %d of %d orders at the moment; repeat the call", n, len(results))
	case unknown > 0:
		return fmt.Errorf("%d of %d orders do not exist", unknown, len(results))
	}
	return nil
}
