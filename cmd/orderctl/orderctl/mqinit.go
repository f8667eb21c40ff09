package orderctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"orderflow/internal/assembly"
	"orderflow/internal/cli"
	"orderflow/internal/event"
	"orderflow/internal/mq"
)

// InitMQ creates topics and consumer groups. It changes nothing that is there as
// it should be, so it can be run before every start.
type InitMQ struct {
	cli.Broker
	Queues  int           `default:"4" help:"Queues per topic, 1 to 1024: at most so many processes of a service share the work."`
	Timeout time.Duration `default:"10s" help:"How long one try may take, 1ms to 10m."`
	cli.Wait
}

// Help is more about it.
func (InitMQ) Help() string {
	return `What is there already is left alone; what is there with another type is an error.

  orderctl mq init --name-servers mq1:9876,mq2:9876 --wait 1m`
}

// Validate checks the bounds.
func (c InitMQ) Validate() error {
	if c.Queues < 1 || c.Queues > 1024 {
		return fmt.Errorf("--queues: must be 1 to 1024, is %d", c.Queues)
	}
	return cli.CheckDuration("--timeout", c.Timeout, time.Millisecond, 10*time.Minute)
}

// Run is the command.
func (c InitMQ) Run(ctx context.Context, out cli.Output) (err error) {
	admin := mq.NewAdmin(c.NameServers)
	defer func() { err = errors.Join(err, admin.Close()) }()
	return c.Until(ctx, out, brokerStarts, func(ctx context.Context) error { return c.ensure(ctx, admin, out.Stdout) })
}

// brokerStarts tells whether err may go away when the broker has started. A
// setting that contradicts ours does not.
func brokerStarts(err error) bool {
	var mismatch *mq.MismatchError
	return !errors.As(err, &mismatch)
}

func (c InitMQ) ensure(ctx context.Context, t assembly.Topology, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return assembly.EnsureTopology(ctx, t, event.NewNames(c.TopicPrefix), c.Queues, func(kind, name string, created bool) {
		if kind == "group" {
			fmt.Fprintf(w, "consumer group     %s: %s\n", name, verb(created))
			return
		}
		fmt.Fprintf(w, "topic %-11s  %s: %s\n", kind, name, verb(created))
	})
}

func verb(created bool) string {
	if created {
		return "created"
	}
	return "already there"
}
