package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"orderflow/cmd/orderctl/dev"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// embedded are both services and the broker in this process.
type embedded struct {
	log            *slog.Logger
	inventoryFlags []string // more settings of inventory-srv
	system         *dev.System
}

// Title says what they run on.
func (e *embedded) Title() string {
	return "everything in this process: broker, order-srv, inventory-srv, SQLite"
}

// Start starts everything.
func (e *embedded) Start(ctx context.Context) (orders, inventory string, err error) {
	if e.system, err = dev.Start(ctx, dev.Options{Log: e.log, InventoryFlags: e.inventoryFlags}); err != nil {
		return "", "", err
	}
	return e.system.OrderAddr(), e.system.InventoryAddr(), nil
}

// StartInventory starts inventory-srv.
func (e *embedded) StartInventory(ctx context.Context) (address string, err error) {
	err = e.system.StartInventory(ctx)
	return e.system.InventoryAddr(), err
}

// StopInventory drains inventory-srv.
func (e *embedded) StopInventory(ctx context.Context) error { return e.system.StopInventory(ctx) }

// Close ends everything.
func (e *embedded) Close(ctx context.Context) error {
	if e.system == nil {
		return nil
	}
	return e.system.Close(ctx)
}

// Advance pushes the clock of all of them.
func (e *embedded) Advance(d time.Duration) { e.system.Advance(d) }

// LoseEvent has the broker lose the next half message after its commit was on the way.
func (e *embedded) LoseEvent() (lost func(ctx context.Context) error) {
	broker := e.system.Broker()
	fault := broker.Inject(devbroker.Fault{Code: remoting.RequestEndTransaction, Times: 1, Action: devbroker.Drop()})
	return func(ctx context.Context) error {
		defer fault.Cancel()
		for {
			if halves := broker.Inspect().Halves; fault.Fired() > 0 && len(halves) == 1 {
				broker.ForgetHalf(halves[0].UniqueKey)
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the broker has lost nothing: %w", ctx.Err())
			case <-time.After(pollInterval):
			}
		}
	}
}
