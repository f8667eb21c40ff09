package orderctl

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
)

// CreateOrder places an order.
type CreateOrder struct {
	Orders
	Customer string         `env:"-" required:"" help:"Who orders."`
	Currency string         `env:"-" required:"" placeholder:"EUR" help:"ISO 4217 code of the prices."`
	Line     []Line         `env:"-" required:"" sep:"none" placeholder:"SKU:QUANTITY:PRICE" help:"A line, with the price of one unit in minor units (cents). Can be repeated."`
	Key      string         `env:"-" help:"Idempotency key; a call that is repeated with it gives the first answer. Made and printed if missing."`
	Window   *time.Duration `env:"-" placeholder:"DURATION" help:"How long the customer has to pay, as the broker can deliver it (such as 30m). The service's default if missing."`
	Wait     bool           `env:"-" help:"Answer when the stock is reserved or refused; with the order as it is then if that takes longer than --timeout."`
}

// Help is more about it.
func (CreateOrder) Help() string {
	return `The order is committed when the answer comes; its stock is reserved in the moments
after that, also if inventory-srv is down now. With --wait the answer says how that ended.

Two apples at 1.50 EUR and a pear at 0.80 EUR, to be paid within 30 minutes:

  orderctl order create --customer ann --currency EUR --line apple:2:150 --line pear:1:80 --window 30m --wait`
}

// Line is SKU:QUANTITY:PRICE on the command line.
type Line struct {
	SKU             string
	Quantity, Price int64
}

// UnmarshalText reads SKU:QUANTITY:PRICE; the SKU may have colons itself.
func (l *Line) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), ":")
	n := len(parts)
	if n < 3 {
		return fmt.Errorf("%q must look like SKU:QUANTITY:PRICE", text)
	}
	quantity, err := strconv.ParseInt(parts[n-2], 10, 64)
	if err != nil {
		return fmt.Errorf("quantity in %q must be a whole number of 64 bits", text)
	}
	price, err := strconv.ParseInt(parts[n-1], 10, 64)
	if err != nil {
		return fmt.Errorf("price in %q must be a whole number of minor units, of 64 bits", text)
	}
	*l = Line{SKU: strings.Join(parts[:n-2], ":"), Quantity: quantity, Price: price}
	return nil
}

// Run is the command.
func (c CreateOrder) Run(ctx context.Context, out cli.Output) error {
	req := &orderv1.CreateOrderRequest{
		IdempotencyKey: orNew(c.Key, "idempotency key", out), CustomerId: c.Customer, CurrencyCode: c.Currency, WaitForStock: c.Wait,
	}
	for _, l := range c.Line {
		req.Lines = append(req.Lines, &orderv1.OrderLine{Sku: l.SKU, Quantity: l.Quantity, UnitPriceMinor: l.Price})
	}
	if c.Window != nil {
		req.PaymentWindow = durationpb.New(*c.Window)
	}
	return c.call(ctx, func(ctx context.Context, orders orderv1.OrderServiceClient) error {
		resp, err := orders.CreateOrder(ctx, req)
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.order(resp.GetOrder()) })
	})
}

// orNew returns id, or a new one that it prints: whoever repeats the call after
// a failure needs it.
func orNew(id, what string, out cli.Output) string {
	if id != "" {
		return id
	}
	id = uuid.NewString()
	fmt.Fprintf(out.Stderr, "%s: %s\n", what, id)
	return id
}

// GetOrder shows an order.
type GetOrder struct {
	Orders
	OrderID string `arg:"" help:"The order."`
}

// Help is more about it.
func (GetOrder) Help() string {
	return `"orderctl order timeline" shows how it came to that.

  orderctl order get 01a1fd7d-c416-767a-b6d3-dd402129614f -o json`
}

// Run is the command.
func (c GetOrder) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, func(ctx context.Context, orders orderv1.OrderServiceClient) error {
		resp, err := orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: c.OrderID})
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.order(resp.GetOrder()) })
	})
}

// PayOrder records a payment.
type PayOrder struct {
	Orders
	OrderID   string `arg:"" help:"The order."`
	PaymentID string `env:"-" help:"The provider's id of the payment; a repeated call with it gives the first answer. Made and printed if missing."`
	Amount    *int64 `env:"-" placeholder:"MINOR" help:"What was paid, in minor units (cents). The order's total if missing."`
	Currency  string `env:"-" placeholder:"EUR" help:"ISO 4217 code of the amount. The order's if missing."`
}

// Help is more about it.
func (PayOrder) Help() string {
	return `The payment has happened at the payment provider already. One that cannot pay for
the order, because it came too late for example, is recorded as a refund due.

  orderctl order pay 01a1fd7d-c416-767a-b6d3-dd402129614f --payment-id pay-4711
  orderctl order pay 01a1fd7d-c416-767a-b6d3-dd402129614f --payment-id pay-4711 --amount 380 --currency EUR`
}

// Run is the command.
func (c PayOrder) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, func(ctx context.Context, orders orderv1.OrderServiceClient) error {
		amount, err := c.amount(ctx, orders)
		if err != nil {
			return err
		}
		resp, err := orders.PayOrder(ctx, &orderv1.PayOrderRequest{
			OrderId: c.OrderID, PaymentId: orNew(c.PaymentID, "payment id", out), Amount: amount,
		})
		if err != nil {
			return err
		}
		return c.show(out, resp, func(t *table) { t.payment(resp) })
	})
}

// amount is what the flags say, filled up from the order.
func (c PayOrder) amount(ctx context.Context, orders orderv1.OrderServiceClient) (*orderv1.Money, error) {
	if c.Amount != nil && c.Currency != "" {
		return &orderv1.Money{CurrencyCode: c.Currency, MinorUnits: *c.Amount}, nil
	}
	resp, err := orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: c.OrderID})
	if err != nil {
		return nil, err
	}
	total := resp.GetOrder().GetTotal()
	amount := &orderv1.Money{CurrencyCode: total.GetCurrencyCode(), MinorUnits: total.GetMinorUnits()}
	if c.Amount != nil {
		amount.MinorUnits = *c.Amount
	}
	if c.Currency != "" {
		amount.CurrencyCode = c.Currency
	}
	return amount, nil
}
