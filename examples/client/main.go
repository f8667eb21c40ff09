// Command client is an example: a shop that places an order and is sure of what became
// of it. It needs nothing but the generated API and gRPC.
//
//	orderctl dev &                  # says when it is ready
//	orderctl stock add apple 10
//	go run ./examples/client -sku apple
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	orderv1 "orderflow/api/proto/order/v1"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	address := flags.String("order-service", "127.0.0.1:7001", "address of order-srv")
	sku := flags.String("sku", "apple", "what to order")
	quantity := flags.Int64("quantity", 2, "how many of it")
	// A shop keeps the key with its cart, before the first call: then a client that is
	// started again repeats the call, and does not order twice.
	key := flags.String("key", uuid.NewString(), "idempotency key of the order")
	if err := flags.Parse(args); err != nil {
		return err
	}
	conn, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // everything has been answered
	fmt.Fprintf(out, "the same order again, whatever happens to this one: -key %s\n", *key)
	return buy(ctx, orderv1.NewOrderServiceClient(conn), cart{key: *key, sku: *sku, quantity: *quantity}, out)
}

// cart is what a customer wants.
type cart struct {
	key      string
	sku      string
	quantity int64
}

// patience is how long the customer waits, repetitions included.
const patience = 30 * time.Second

// buy places the order, waits for its stock, and pays.
func buy(ctx context.Context, orders orderv1.OrderServiceClient, c cart, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	created, err := repeat(ctx, orders.CreateOrder, &orderv1.CreateOrderRequest{
		IdempotencyKey: c.key, CustomerId: "ann", CurrencyCode: "EUR",
		Lines:        []*orderv1.OrderLine{{Sku: c.sku, Quantity: c.quantity, UnitPriceMinor: 150}},
		WaitForStock: true,
	})
	if reason(err) == "IDEMPOTENCY_KEY_REUSED" {
		return fmt.Errorf("the key %q belongs to another order: a new cart needs a new key", c.key)
	}
	if err != nil {
		return fmt.Errorf("place the order: %w", err)
	}
	o := created.GetOrder()
	switch o.GetStatus() {
	case orderv1.OrderStatus_ORDER_STATUS_CLOSED:
		for _, line := range o.GetLines() {
			if short := line.GetShortage(); short != nil {
				fmt.Fprintf(out, "order %s is closed: of %s only %d are there\n", o.GetOrderId(), line.GetSku(), short.GetAvailable())
			}
		}
		return nil
	case orderv1.OrderStatus_ORDER_STATUS_PLACED:
		// The order is taken, and inventory had no time yet. No reason to order again.
		fmt.Fprintf(out, "order %s is placed; its stock is not confirmed yet\n", o.GetOrderId())
	case orderv1.OrderStatus_ORDER_STATUS_RESERVED:
		fmt.Fprintf(out, "order %s is reserved; pay until %s\n", o.GetOrderId(), o.GetExpiresAt().AsTime().Local().Format(time.TimeOnly))
	}
	return pay(ctx, orders, o, out)
}

// pay tells of a payment that was made at a payment provider. The id is the provider's:
// with it the payment counts once, however often it is told.
func pay(ctx context.Context, orders orderv1.OrderServiceClient, o *orderv1.Order, out io.Writer) error {
	paid, err := repeat(ctx, orders.PayOrder, &orderv1.PayOrderRequest{
		OrderId: o.GetOrderId(), PaymentId: "pay-" + o.GetOrderId(), Amount: o.GetTotal(),
	})
	if err != nil {
		return fmt.Errorf("pay: %w", err)
	}
	if paid.GetOutcome() == orderv1.PaymentOutcome_PAYMENT_OUTCOME_REFUND_DUE {
		fmt.Fprintf(out, "the money goes back: %s\n", paid.GetRefundReason())
		return nil
	}
	fmt.Fprintf(out, "paid %d.%02d %s\n", o.GetTotal().GetMinorUnits()/100, o.GetTotal().GetMinorUnits()%100, o.GetTotal().GetCurrencyCode())
	return nil
}
