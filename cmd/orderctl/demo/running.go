package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"orderflow/cmd/orderctl/replicas"
	"orderflow/internal/cli"
	"orderflow/internal/connect"
)

// Running tells the story with services that run already.
type Running struct {
	OrderService     []string      `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Address of order-srv, or of several of its replicas."`
	InventoryService []string      `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Addresses of all replicas of inventory-srv; of a name, all that it stands for."`
	PaymentWindow    time.Duration `default:"3s" help:"Payment window of the order that nobody pays: must be one of the broker's delay levels."`
	LongWindow       time.Duration `default:"1m" help:"Payment window of the order that waits for inventory-srv."`
	Wait             time.Duration `default:"1m" help:"How long the services may take to be ready, 0s to 1h."`
}

// Help is more about it.
func (Running) Help() string {
	return `It starts and stops nothing: the consumers of inventory-srv are suspended for a scene. So it
can be told with services in containers or in a cluster, and beside other customers. It
leaves its SKUs and orders behind.

  orderctl demo running --order-service order-srv:7001 --inventory-service inventory-srv:7002`
}

// Validate checks the addresses and the bounds.
func (c Running) Validate() error {
	if err := cli.CheckAddresses(c.OrderService); err != nil {
		return fmt.Errorf("--order-service: %w", err)
	}
	if err := cli.CheckAddresses(c.InventoryService); err != nil {
		return fmt.Errorf("--inventory-service: %w", err)
	}
	return cli.CheckDuration("--wait", c.Wait, 0, time.Hour)
}

// Run is the command. The error says which scene failed, or which sum does not hold.
func (c Running) Run(ctx context.Context, out cli.Output) error {
	return tell(ctx, &running{command: c}, windows{short: c.PaymentWindow, long: c.LongWindow}, out)
}

// running are services that somebody else has started.
type running struct {
	command   Running
	suspended *replicas.Inventory // nil while they handle messages
}

// Title says where they are.
func (r *running) Title() string {
	return fmt.Sprintf("order-srv at %s, inventory-srv at %s",
		strings.Join(r.command.OrderService, ", "), strings.Join(r.command.InventoryService, ", "))
}

// Start waits until they are ready.
func (r *running) Start(ctx context.Context) (orders, inventory string, err error) {
	c := r.command
	wait, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	for _, address := range append(append([]string{}, c.OrderService...), c.InventoryService...) {
		if err := untilReady(wait, address); err != nil {
			return "", "", err
		}
	}
	return strings.Join(c.OrderService, ","), strings.Join(c.InventoryService, ","), nil
}

// untilReady asks at least once.
func untilReady(ctx context.Context, address string) error {
	const patience = 3 * time.Second
	for {
		ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		err := connect.Ready(ask, address)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * pollInterval):
		}
	}
}

// Outage is how the scene without inventory is told.
func (r *running) Outage() outage {
	return outage{
		title: "decoupling: an order placed while inventory-srv handles no messages",
		begun: "an operator has suspended inventory's consumers: \"orderctl consumers suspend\"",
		ended: "the operator resumes them",
	}
}

// StopInventory suspends the consumers of all replicas. Should this process die, they
// resume by themselves.
func (r *running) StopInventory(ctx context.Context) error {
	found, err := replicas.Find(ctx, r.command.InventoryService...)
	if err != nil {
		return err
	}
	r.suspended = found
	_, err = found.Suspend(ctx, sceneTimeout)
	return err
}

// StartInventory resumes them.
func (r *running) StartInventory(ctx context.Context) (address string, err error) {
	return strings.Join(r.command.InventoryService, ","), r.resume(ctx)
}

// Close resumes what is suspended.
func (r *running) Close(ctx context.Context) error { return r.resume(ctx) }

func (r *running) resume(ctx context.Context) error {
	if r.suspended == nil {
		return nil
	}
	_, err := r.suspended.Resume(ctx)
	err = errors.Join(err, r.suspended.Close())
	r.suspended = nil
	return err
}
