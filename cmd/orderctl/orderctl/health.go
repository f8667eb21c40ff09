package orderctl

import (
	"context"
	"errors"
	"fmt"

	"orderflow/internal/cli"
	"orderflow/internal/connect"
)

// Health asks each replica whether it is ready.
type Health struct {
	Addresses        []string `arg:"" optional:"" name:"address" help:"The replicas; those of both services if missing."`
	OrderService     []string `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Address of order-srv, or of several of its replicas."`
	InventoryService []string `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Address of inventory-srv, or of several of its replicas."`
	cli.HealthTimeout
}

// Help is more about it.
func (Health) Help() string {
	return `One line for each address. The exit code is 0 if all of them are ready.

  orderctl health
  orderctl health 127.0.0.1:7003`
}

// Validate checks the addresses.
func (c Health) Validate() error {
	for _, address := range c.all() {
		if err := cli.CheckAddress(address); err != nil {
			return err
		}
	}
	return c.HealthTimeout.Validate()
}

func (c Health) all() []string {
	if len(c.Addresses) > 0 {
		return c.Addresses
	}
	return append(append([]string{}, c.OrderService...), c.InventoryService...)
}

// Run is the command.
func (c Health) Run(ctx context.Context, out cli.Output) error {
	t, unready := newTable(out), 0
	t.row("ADDRESS", "STATUS")
	for _, address := range c.all() {
		status := c.ask(ctx, address)
		if status != "ready" {
			unready++
		}
		t.row(address, status)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if unready > 0 {
		return fmt.Errorf("%d of %d are not ready", unready, len(c.all()))
	}
	return nil
}

// ask gives each replica a time of its own.
func (c Health) ask(ctx context.Context, address string) (status string) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	err := connect.Ready(ctx, address)
	switch {
	case err == nil:
		return "ready"
	case errors.Is(err, connect.ErrNotReady):
		return "not ready"
	default:
		return "no answer"
	}
}
