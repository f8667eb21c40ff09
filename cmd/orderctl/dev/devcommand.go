package dev

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/internal/assembly"
	"orderflow/internal/cli"
	"orderflow/internal/mq/devbroker"
)

// Command runs the whole system in this process.
type Command struct {
	Data            string `default:"" placeholder:"DIR" help:"Folder for the databases and the broker's data; nothing is kept if empty."`
	BrokerListen    string `default:"127.0.0.1:9876" placeholder:"IP:PORT" help:"Address of the name server and the broker."`
	OrderListen     string `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Address of order-srv's API."`
	OrderAdmin      string `default:"127.0.0.1:7011" placeholder:"HOST:PORT" help:"Address of order-srv's health and metrics."`
	InventoryListen string `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Address of inventory-srv's API."`
	InventoryAdmin  string `default:"127.0.0.1:7012" placeholder:"HOST:PORT" help:"Address of inventory-srv's health and metrics."`
	BrokerFlags
	DevControlFlags
	NotifyFlags
	PaymentWindow time.Duration `default:"30m" help:"How long a customer has to pay unless the order says otherwise: one of the delay levels, 1s to 720h."`
	cli.Tracing
	cli.Log
}

// DevControlFlags are ControlFlags that are on.
type DevControlFlags struct {
	ControlListen string `default:"127.0.0.1:7000" placeholder:"HOST:PORT" help:"Address to look into the broker and to push the clock; empty for none."`
}

// drainTimeout is how long the services may take to end.
const drainTimeout = 30 * time.Second

// Validate checks the addresses; the embedded parts check themselves.
func (c Command) Validate() error {
	return errors.Join(checkBrokerListen("--broker-listen", c.BrokerListen), ControlFlags{c.ControlListen}.Validate())
}

// Help is more about it.
func (Command) Help() string {
	return `It says where each part listens: the broker at 127.0.0.1:9876, order-srv at 7001,
inventory-srv at 7002, with --notify the notifier at 7003, and what "orderctl clock" needs
at 7000, unless told otherwise.
The other commands look there by default. Ctrl-C ends it.

  orderctl dev
  orderctl dev --data ./dev-data --payment-window 1m`
}

// Run is the command: it returns when ctx has ended, or a service has failed.
func (c Command) Run(ctx context.Context, out cli.Output) (err error) {
	if err := c.checkSecret(); err != nil {
		return err
	}
	log, sink, stop := c.Start(out.Stderr)
	defer stop()
	assembly.UseLogger(log)
	s, err := Start(ctx, Options{
		Log: log, Sink: sink, Data: c.Data,
		Broker: append(c.BrokerFlags.options(), devbroker.WithListen(c.BrokerListen)),
		OrderFlags: append(c.Tracing.Flags(),
			"--listen="+c.OrderListen, "--admin-listen="+c.OrderAdmin, "--payment-window="+c.PaymentWindow.String()),
		InventoryFlags: append(c.Tracing.Flags(), "--listen="+c.InventoryListen, "--admin-listen="+c.InventoryAdmin),
		Notify:         c.NotifyFlags.wanted(), NotifyFlags: append(c.Tracing.Flags(), c.NotifyFlags.flags()...),
	})
	if err != nil {
		return err
	}
	defer func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err = errors.Join(err, s.Close(drain))
	}()
	control, err := ControlFlags{c.ControlListen}.serve(s.Broker())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.close()) }()
	fmt.Fprintf(out.Stdout, "order-srv      gRPC %s, health and metrics http://%s\n", s.OrderAddr(), s.OrderAdminAddr())
	fmt.Fprintf(out.Stdout, "inventory-srv  gRPC %s, health and metrics http://%s\n", s.InventoryAddr(), s.InventoryAdminAddr())
	fmt.Fprintf(out.Stdout, "broker         %s (name server, too)\n", s.Broker().Addr())
	c.NotifyFlags.describe(out.Stdout, s)
	control.describe(out.Stdout)
	fmt.Fprintf(out.Stdout, "data           %s\nready; Ctrl-C ends it\n", c.dataText())
	return s.Failed(ctx)
}

func (c Command) dataText() string {
	if c.Data == "" {
		return "ends with the process"
	}
	return c.Data
}
