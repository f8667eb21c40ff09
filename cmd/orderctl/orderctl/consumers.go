package orderctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"orderflow/cmd/orderctl/replicas"
	"orderflow/internal/cli"
)

// Replicas says where all replicas of inventory-srv are.
type Replicas struct {
	InventoryService []string `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Addresses of all replicas of inventory-srv; of a name, all that it stands for; ${default} if missing."`
	View
}

// Validate checks the addresses.
func (r Replicas) Validate() error {
	if err := cli.CheckAddresses(r.InventoryService); err != nil {
		return fmt.Errorf("--inventory-service: %w", err)
	}
	return r.View.Validate()
}

// call asks all replicas, and shows what those say that answer.
func (r Replicas) call(
	ctx context.Context, out cli.Output, ask func(context.Context, *replicas.Inventory) ([]replicas.State, error),
) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	inventory, err := replicas.Find(ctx, r.InventoryService...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inventory.Close()) }()
	states, err := ask(ctx, inventory)
	if len(states) > 0 {
		err = errors.Join(r.showStates(out, states), err)
	}
	return err
}

// showStates writes how the consumers stand: as JSON, an object per replica.
func (r Replicas) showStates(out cli.Output, states []replicas.State) error {
	if r.Output == "json" {
		all := map[string]json.RawMessage{}
		for _, s := range states {
			text, err := encoded(s.ConsumersState)
			if err != nil {
				return err
			}
			all[s.Address] = text
		}
		return writeJSON(out, all)
	}
	return drawTable(out, func(t *table) {
		t.row("REPLICA", "GROUP", "TOPIC", "LAG OF THE GROUP", "SUSPENDED UNTIL")
		for _, s := range states {
			for _, c := range s.GetConsumers() {
				lag := "-"
				if c.Lag != nil {
					lag = fmt.Sprint(c.GetLag())
				}
				t.row(s.Address, c.GetGroup(), c.GetTopic(), lag, moment(s.GetSuspendedUntil()))
			}
		}
	})
}

// SuspendConsumers makes inventory-srv handle no messages for a while.
type SuspendConsumers struct {
	Replicas
	For time.Duration `required:"" env:"-" placeholder:"DURATION" help:"After this time they resume by themselves: more than 0s, at most 1h."`
}

// Help is more about it.
func (SuspendConsumers) Help() string {
	return `Orders are placed as ever, and wait at the broker. It returns when the handlers that were
running have ended. Each replica answers for itself: name all of them. One that is not named
goes on with its share of the queues, and a suspended one keeps its own, whose orders wait.
A replica that is started anew is not suspended.

  orderctl consumers suspend --for 5m
  orderctl consumers suspend --for 5m --inventory-service 10.0.0.7:7002,10.0.0.8:7002`
}

// Validate checks the bounds.
func (c SuspendConsumers) Validate() error {
	if c.For <= 0 || c.For > time.Hour {
		return fmt.Errorf("--for: must be more than 0s and at most 1h, is %s", c.For)
	}
	return c.Replicas.Validate()
}

// Run is the command.
func (c SuspendConsumers) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, out, func(ctx context.Context, i *replicas.Inventory) ([]replicas.State, error) {
		states, err := i.Suspend(ctx, c.For)
		_, failed := fmt.Fprintf(out.Stderr, "replicas suspended: %d; any other one goes on with its share of the queues\n", len(states))
		return states, errors.Join(err, failed)
	})
}

// ResumeConsumers makes inventory-srv handle messages again.
type ResumeConsumers struct{ Replicas }

// Help is more about it.
func (ResumeConsumers) Help() string {
	return `It does nothing to a replica that is not suspended.

  orderctl consumers resume`
}

// Run is the command.
func (c ResumeConsumers) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, out, func(ctx context.Context, i *replicas.Inventory) ([]replicas.State, error) {
		return i.Resume(ctx)
	})
}

// ConsumersStatus shows how the consumers of inventory-srv stand.
type ConsumersStatus struct{ Replicas }

// Help is more about it.
func (ConsumersStatus) Help() string {
	return `Which replica is suspended until when, and how many messages wait: by what the broker
knows, which is told every few seconds how far the consumers are.

  orderctl consumers status
  orderctl consumers status -o json`
}

// Run is the command.
func (c ConsumersStatus) Run(ctx context.Context, out cli.Output) error {
	return c.call(ctx, out, func(ctx context.Context, i *replicas.Inventory) ([]replicas.State, error) {
		return i.Status(ctx)
	})
}
