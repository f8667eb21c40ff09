package dev

import (
	"context"
	"errors"
	"fmt"

	"orderflow/internal/cli"
	"orderflow/internal/mq/devbroker"
)

// BrokerCommand runs the embedded broker alone.
type BrokerCommand struct {
	Listen string `default:"127.0.0.1:9876" placeholder:"IP:PORT" help:"Address of the name server and the broker, which clients are told to connect to; port 0 takes a free one."`
	Data   string `default:"" placeholder:"DIR" help:"Folder for the data; in memory if empty."`
	BrokerFlags
	SecurityFlags
	ControlFlags
	cli.Log
}

// Validate checks the address; the embedded parts check themselves.
func (c BrokerCommand) Validate() error { return checkBrokerListen("--listen", c.Listen) }

// Help is more about it.
func (BrokerCommand) Help() string {
	return `For order-srv and inventory-srv, or any other client of RocketMQ 4 and 5 that speaks
its remoting protocol. It listens at 127.0.0.1:9876 unless told otherwise; Ctrl-C ends it.

  orderctl broker --data ./broker-data --control-listen 127.0.0.1:7000`
}

// Run is the command.
func (c BrokerCommand) Run(ctx context.Context, out cli.Output) (err error) {
	log := c.Logger(out.Stderr).With("service", "broker")
	security, err := c.SecurityFlags.options()
	if err != nil {
		return err
	}
	options := append(c.BrokerFlags.options(), security...)
	options = append(options, devbroker.WithListen(c.Listen), devbroker.WithDataDir(c.Data), devbroker.WithLogger(log))
	b, err := devbroker.Start(options...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	control, err := c.ControlFlags.serve(b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.close()) }()
	fmt.Fprintf(out.Stdout, "name server and broker  %s\n", b.Addr())
	control.describe(out.Stdout)
	log.Info("listening", "broker", b.Addr(), "control", control.addr())
	select {
	case <-ctx.Done():
		return nil
	case <-b.Failed():
		return b.Err()
	}
}
