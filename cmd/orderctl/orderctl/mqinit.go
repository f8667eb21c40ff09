package orderctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

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

// Validate checks the bounds.
func (c InitMQ) Validate() error {
	if c.Queues < 1 || c.Queues > 1024 {
		return fmt.Errorf("--queues: must be 1 to 1024, is %d", c.Queues)
	}
	return cli.CheckDuration("--timeout", c.Timeout, time.Millisecond, 10*time.Minute)
}

// broker is what is needed of mq.Admin.
type broker interface {
	EnsureTopic(ctx context.Context, spec mq.TopicSpec) (created bool, err error)
	EnsureGroup(ctx context.Context, spec mq.GroupSpec) (created bool, err error)
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

func (c InitMQ) ensure(ctx context.Context, b broker, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	names := event.NewNames(c.TopicPrefix)
	for _, topic := range names.Topics() {
		created, err := b.EnsureTopic(ctx, mq.TopicSpec{Name: topic.Name, Type: string(topic.Type), Queues: c.Queues})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "topic %-11s  %s: %s\n", topic.Type, topic.Name, verb(created))
	}
	for _, group := range names.ConsumerGroups() {
		created, err := b.EnsureGroup(ctx, mq.GroupSpec{Name: group})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "consumer group     %s: %s\n", group, verb(created))
	}
	return nil
}

func verb(created bool) string {
	if created {
		return "created"
	}
	return "already there"
}
