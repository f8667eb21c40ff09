package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/internal/cli"
)

// Peak shows peak shaving.
type Peak struct {
	Crowd
	Orders     int           `default:"20000" help:"How many orders the burst has, 1 to 1000000."`
	Handlers   int           `default:"0" help:"Bound inventory-srv to so many messages at once, 1 to 1000; 0: its default. Only where it is started for this."`
	SuspendFor time.Duration `default:"0s" help:"Suspend inventory's consumers for so long at the beginning, 0s to 1h; 0s: not at all."`
}

// Help is more about it.
func (Peak) Help() string {
	return `It places a burst of orders as fast as its callers can, and looks on while inventory
reserves them at its own pace: what it has not reserved yet waits at the broker. Without
addresses and databases everything runs in this process. What is shown comes from the services;
at the end every order and every SKU is checked, and the exit code says whether all sums hold.

  orderctl demo peak --chart peak.svg
  orderctl demo peak --orders 5000 --order-service 127.0.0.1:7001 --inventory-service 127.0.0.1:7002
  orderctl demo peak --order-database-url "mysql://me:pass@tcp(127.0.0.1:3306)/orders" --inventory-database-url "mysql://me:pass@tcp(127.0.0.1:3306)/inventory"`
}

// Validate checks the bounds.
func (c Peak) Validate() error {
	if err := checkOrders(c.Orders, 1); err != nil {
		return err
	}
	if c.Handlers < 0 || c.Handlers > 1000 {
		return fmt.Errorf("--handlers: must be 0 to 1000, is %d", c.Handlers)
	}
	if c.Handlers > 0 && c.running() {
		return errors.New("--handlers: is decided by the inventory-srv that runs")
	}
	if err := cli.CheckDuration("--suspend-for", c.SuspendFor, 0, time.Hour); err != nil {
		return err
	}
	return c.Crowd.Validate()
}

// Run is the command.
func (c Peak) Run(ctx context.Context, out cli.Output) error {
	return c.on(c.PaymentWindow, c.Handlers, out, func(on services) error {
		return c.perform(ctx, on, plan{title: c.title(), total: c.Orders, play: c.play}, out)
	})
}

// title says what is shown, and what was done to inventory for it.
func (c Peak) title() string {
	text := fmt.Sprintf("Peak shaving: a burst of %s orders by %d callers, inventory at its own pace", grouped(int64(c.Orders)), c.Callers)
	if c.Handlers > 0 {
		text += fmt.Sprintf(", bound to %d messages at once", c.Handlers)
	}
	if c.SuspendFor > 0 {
		text += fmt.Sprintf(", suspended for the first %s", c.SuspendFor)
	}
	return text
}

func (c Peak) play(ctx context.Context, s *show) error {
	if c.SuspendFor > 0 {
		if _, err := s.operator.Suspend(ctx, c.SuspendFor); err != nil {
			return fmt.Errorf("suspend inventory's consumers: %w", err)
		}
		s.mark(fmt.Sprintf("inventory's consumers are suspended for %s", c.SuspendFor))
	}
	return s.place(ctx, 0, s.total)
}
