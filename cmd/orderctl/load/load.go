// Package load places orders at a steady rate, pays some of them, follows each to its
// end and says what became of all of them.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
	"orderflow/internal/connect"
)

// Command places orders until it is told to stop.
type Command struct {
	OrderService     []string      `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Address of order-srv, or of several of its replicas."`
	InventoryService []string      `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Address of inventory-srv, or of several of its replicas."`
	Rate             float64       `default:"5" help:"Orders per second, 0.1 to 10000: sent when they are due, however long the ones before take."`
	Duration         time.Duration `default:"0s" help:"How long, 0s to 24h; 0s is until a signal."`
	Customers        int           `default:"100" help:"How many customers there are, 1 to 1000000."`
	SKUs             int           `name:"skus" default:"10" help:"How many SKUs there are, 1 to 10000; an order has one to three of them."`
	Paid             int           `default:"70" help:"How many of 100 orders are paid, 0 to 100; the others run into their timeout."`
	PaymentWindow    time.Duration `default:"0s" help:"Payment window of the orders: one of the broker's delay levels; 0s is what order-srv has."`
	MaxOpen          int           `default:"5000" help:"How many orders may be followed at once, 1 to 100000: one that is due beyond that is skipped, and counted."`
	Settle           time.Duration `default:"2m" help:"How long after the last order all may take to end, 0s to 1h."`
	Every            time.Duration `default:"10s" help:"How often to say how it goes, 1s to 1h."`
}

// Help is more about it.
func (Command) Help() string {
	return `It receives stock for SKUs of its own first. A call that fails is repeated with the same
idempotency key for half a minute, when the service says, and one at a time while none
succeeds; the time until the order is accepted counts from when it
was due. The exit code is 0 if every order that was accepted has ended, and as it should: a
paid one sold, the others closed.

  orderctl load --rate 50 --duration 1m
  orderctl load --order-service 127.0.0.1:7101,127.0.0.1:7102 --payment-window 3s`
}

// Validate checks the addresses and the bounds.
func (c Command) Validate() error {
	if err := cli.CheckAddresses(c.OrderService); err != nil {
		return fmt.Errorf("--order-service: %w", err)
	}
	if err := cli.CheckAddresses(c.InventoryService); err != nil {
		return fmt.Errorf("--inventory-service: %w", err)
	}
	if !(c.Rate >= 0.1 && c.Rate <= 10_000) { // also NaN
		return fmt.Errorf("--rate: must be 0.1 to 10000, is %v", c.Rate)
	}
	return errors.Join(
		cli.CheckDuration("--duration", c.Duration, 0, 24*time.Hour),
		checkNumber("--customers", c.Customers, 1, 1_000_000),
		checkNumber("--skus", c.SKUs, 1, 10_000),
		checkNumber("--paid", c.Paid, 0, 100),
		cli.CheckDuration("--payment-window", c.PaymentWindow, 0, 720*time.Hour),
		checkNumber("--max-open", c.MaxOpen, 1, 100_000),
		cli.CheckDuration("--settle", c.Settle, 0, time.Hour),
		cli.CheckDuration("--every", c.Every, time.Second, time.Hour),
	)
}

func checkNumber(flag string, n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("%s: must be %d to %d, is %d", flag, least, most, n)
	}
	return nil
}

// Run is the command.
func (c Command) Run(ctx context.Context, out cli.Output) (err error) {
	orders, err := connect.To(c.OrderService)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, orders.Close()) }()
	inventory, err := connect.To(c.InventoryService)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inventory.Close()) }()
	tally := newTally()
	l := &load{
		command: c, out: out, run: uuid.NewString()[:8], tally: tally,
		receiving: newCalls(tally), creating: newCalls(tally), paying: newCalls(tally), looking: newCalls(tally),
		orders: orderv1.NewOrderServiceClient(orders), inventory: inventoryv1.NewInventoryServiceClient(inventory),
		slots: make(chan struct{}, c.MaxOpen),
	}
	return l.do(ctx)
}

// load is one run.
type load struct {
	command   Command
	out       cli.Output
	run       string // tells this run's SKUs and keys from those of others
	orders    orderv1.OrderServiceClient
	inventory inventoryv1.InventoryServiceClient
	tally     *tally
	slots     chan struct{} // one for each order that is followed

	receiving, creating, paying, looking *calls // reading may work while the broker is down
}

// do places the orders and waits for all of them.
func (l *load) do(ctx context.Context) error {
	if err := l.receive(ctx); err != nil {
		return err
	}
	following, give := context.WithCancel(ctx)
	defer give()
	var open sync.WaitGroup
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		l.report(following)
	}()
	l.place(ctx, following, &open)

	ended := make(chan struct{})
	go func() { open.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	case <-time.After(l.command.Settle):
	}
	give()
	<-ended
	<-reported
	fmt.Fprint(l.out.Stdout, l.tally.total())
	if ctx.Err() != nil {
		return nil // what was open then is nobody's fault
	}
	return l.tally.verdict()
}

// place starts an order whenever one is due.
func (l *load) place(ctx, following context.Context, open *sync.WaitGroup) {
	begun := time.Now()
	for n := 0; ; n++ {
		after := time.Duration(float64(n) / l.command.Rate * float64(time.Second))
		if l.command.Duration > 0 && after >= l.command.Duration {
			return
		}
		due := begun.Add(after)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		select {
		case l.slots <- struct{}{}:
		default:
			l.tally.add(skipped)
			continue
		}
		o := l.draw(n, due)
		open.Go(func() {
			defer func() { <-l.slots }()
			l.tally.add(o.live(following))
		})
	}
}

// draw makes up an order.
func (l *load) draw(n int, due time.Time) *order {
	request := &orderv1.CreateOrderRequest{
		IdempotencyKey: fmt.Sprintf("load-%s-%d", l.run, n), CurrencyCode: "EUR",
		CustomerId:    fmt.Sprintf("load-%d", rand.IntN(l.command.Customers)),
		PaymentWindow: window(l.command.PaymentWindow),
	}
	first := rand.IntN(l.command.SKUs)
	for line := range min(1+rand.IntN(3), l.command.SKUs) {
		request.Lines = append(request.Lines, &orderv1.OrderLine{
			Sku: l.sku((first + line) % l.command.SKUs), Quantity: 1 + rand.Int64N(3), UnitPriceMinor: 1 + rand.Int64N(10_000),
		})
	}
	return &order{load: l, due: due, request: request, pays: rand.IntN(100) < l.command.Paid}
}

func (l *load) sku(n int) string { return fmt.Sprintf("load-%s-%d", l.run, n) }

// receive puts so much stock in that no order has to go without.
func (l *load) receive(ctx context.Context) error {
	const plenty = 1_000_000_000
	for n := range l.command.SKUs {
		err := l.receiving.insist(ctx, func(ctx context.Context) error {
			_, err := l.inventory.AddStock(ctx, &inventoryv1.AddStockRequest{ReceiptId: "receipt-" + l.sku(n), Sku: l.sku(n), Quantity: plenty})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// report says how it goes until the orders have ended.
func (l *load) report(ctx context.Context) {
	tick := time.NewTicker(l.command.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			fmt.Fprintln(l.out.Stdout, now.Format("15:04:05"), l.tally.interval(len(l.slots)))
		}
	}
}
