package orderctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/cli"
)

// WatchOrder follows an order.
type WatchOrder struct {
	Orders
	OrderID      string `arg:"" help:"The order."`
	AfterVersion int64  `env:"-" placeholder:"N" help:"Begin behind this version; with the first if missing."`
}

// Help is more about it.
func (WatchOrder) Help() string {
	return `It ends when nothing can change any more: the order is paid or closed, and
inventory has confirmed what became of its stock. A stream that breaks is resumed
behind the last line, as long as that takes no longer than --timeout. In JSON each
change is one line.

  orderctl order watch 01a1fd7d-c416-767a-b6d3-dd402129614f
  orderctl order watch 01a1fd7d-c416-767a-b6d3-dd402129614f --after-version 2 --timeout 5m -o json`
}

// Run is the command.
func (c WatchOrder) Run(ctx context.Context, out cli.Output) error {
	return c.calls(func(orders orderv1.OrderServiceClient) error {
		w := watch{command: c, orders: orders, out: out, version: c.AfterVersion}
		err := w.run(ctx)
		if ctx.Err() != nil {
			return nil // Ctrl-C is how one stops looking
		}
		return err
	})
}

// watch is what is known while an order is followed.
type watch struct {
	command  WatchOrder
	orders   orderv1.OrderServiceClient
	out      cli.Output
	version  int64 // that was shown last
	headed   bool  // the head of the table was written
	answered bool  // the service was there once
}

// longestPause is between two tries to get a stream back, unless the service says more.
const longestPause = 5 * time.Second

// run follows the order over any number of streams.
func (w *watch) run(ctx context.Context) error {
	var broken time.Time // since when there is no stream; zero while there is one
	pauses := apierror.NewBackoff(longestPause)
	for {
		begun, version := time.Now(), w.version
		opened, err := w.follow(ctx)
		if err == nil || !w.answered {
			return err
		}
		if opened && (w.version > version || time.Since(begun) > longestPause) { // it has worked
			broken, pauses = time.Time{}, apierror.NewBackoff(longestPause)
		}
		pause, again := pauses.Next(err)
		if !again {
			return err
		}
		if broken.IsZero() {
			broken = time.Now()
			fmt.Fprintf(w.out.Stderr, "the stream broke behind version %d: %s\n", w.version, explain(err))
		}
		if time.Since(broken)+pause > w.command.Timeout {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// follow shows what one stream sends; opened says that the service was there.
func (w *watch) follow(ctx context.Context) (opened bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.orders.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: w.command.OrderID, AfterVersion: w.version})
	if err != nil {
		return false, err
	}
	w.answered = true
	for {
		change, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		if err := w.show(change); err != nil {
			return true, err
		}
		w.version = change.GetVersion()
	}
}

// show writes a change at once. Its columns have fixed widths, because what will
// come is not known.
func (w *watch) show(c *orderv1.WatchOrderResponse) error {
	if w.command.Output == "json" {
		text, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(c)
		if err != nil {
			return fmt.Errorf("write change: %w", err)
		}
		_, err = fmt.Fprintln(w.out.Stdout, string(text))
		return err
	}
	const columns = "%-25s  %-7v  %-21s  %-8s  %-25s  %s\n"
	if !w.headed {
		w.headed = true
		fmt.Fprintf(w.out.Stdout, columns, "TIME", "VERSION", "STATUS", "STOCK", "EXPIRES", "BY")
	}
	_, err := fmt.Fprintf(w.out.Stdout, columns, moment(c.GetChangedAt()), c.GetVersion(), state(c.GetStatus(), c.GetCloseReason()),
		name(c.GetStockState(), "STOCK_STATE_"), end(c.GetExpiresAt()), words(c.GetCause(), "CAUSE_"))
	return err
}
