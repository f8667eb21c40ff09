package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/internal/cli"
)

// Decoupling shows that orders are taken while inventory handles no messages.
type Decoupling struct {
	Crowd
	Orders    int `default:"1000" help:"How many orders are placed, 5 to 1000000: a fifth of them before inventory is suspended."`
	PerSecond int `default:"200" help:"How many orders are placed in a second at most, 1 to 100000."`
}

// Help is more about it.
func (Decoupling) Help() string {
	return `It places orders at a steady pace, suspends the consumers of inventory-srv after a fifth of
them, and resumes them when all are accepted: none is refused, none is reserved meanwhile, and
all are reserved in the end. Without addresses and databases everything runs in this process.
At the end every order and every SKU is checked, and the exit code says whether all sums hold.

  orderctl demo decoupling
  orderctl demo decoupling --order-service 127.0.0.1:7001 --inventory-service 127.0.0.1:7002,127.0.0.1:7102`
}

// Validate checks the bounds.
func (c Decoupling) Validate() error {
	if err := checkOrders(c.Orders, 5); err != nil {
		return err
	}
	if c.PerSecond < 1 || c.PerSecond > 100_000 {
		return fmt.Errorf("--per-second: must be 1 to 100000, is %d", c.PerSecond)
	}
	return c.Crowd.Validate()
}

// Run is the command.
func (c Decoupling) Run(ctx context.Context, out cli.Output) error {
	title := fmt.Sprintf("Decoupling: %s orders, %d per second, while inventory's consumers are suspended and resumed",
		grouped(int64(c.Orders)), c.PerSecond)
	return c.on(c.PaymentWindow, 0, out, func(on services) error {
		return c.perform(ctx, on, plan{title: title, total: c.Orders, second: c.PerSecond, play: c.play}, out)
	})
}

// longestSuspension is as long as the service takes.
const longestSuspension = time.Hour

func (c Decoupling) play(ctx context.Context, s *show) (err error) {
	first := s.total / 5
	if err := s.place(ctx, 0, first); err != nil {
		return err
	}
	suspended := false
	// Whatever comes, they are not left suspended.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		_, failed := s.operator.Resume(ctx)
		if failed == nil && suspended {
			s.mark("inventory's consumers are resumed")
		}
		err = errors.Join(err, failed)
	}()
	// Should nobody be left to resume them, they do so when the orders have ended.
	if _, err := s.operator.Suspend(ctx, min(c.PaymentWindow, longestSuspension)); err != nil {
		return fmt.Errorf("suspend inventory's consumers: %w", err)
	}
	suspended = true
	s.mark("inventory's consumers are suspended")
	before, err := s.reserved(ctx)
	if err != nil {
		return err
	}
	if err := s.place(ctx, first, s.total); err != nil {
		return err
	}
	after, err := s.reserved(ctx)
	if err != nil {
		return err
	}
	s.progress.say(fmt.Sprintf("         %s orders were accepted meanwhile, %s were reserved", grouped(int64(s.total-first)), grouped(after-before)))
	if after != before {
		return errors.New("orders were reserved while inventory was suspended: name all replicas with --inventory-service")
	}
	return nil
}
