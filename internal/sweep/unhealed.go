package sweep

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/mq/message"
)

// maxLines is how many lines about orders a round writes at most: with the broker down
// it can heal none of them, and all for the same reason.
const maxLines = 10

// unhealed is the error about orders that a round could not heal.
type unhealed struct {
	orders []string
	span   trace.SpanContext // of what was tried
	err    error
}

// Unhealed says which orders an error is about, and in which trace it happened; nil
// stays nil.
func Unhealed(ctx context.Context, err error, orders ...string) error {
	if err == nil {
		return nil
	}
	return &unhealed{orders: orders, span: trace.SpanContextFromContext(ctx), err: err}
}

// Error says about one order which it is.
func (u *unhealed) Error() string {
	if len(u.orders) == 1 {
		return fmt.Sprintf("order %s: %s", u.orders[0], u.err)
	}
	return fmt.Sprintf("%d orders: %s", len(u.orders), u.err)
}

// Unwrap is the error itself.
func (u *unhealed) Unwrap() error { return u.err }

// Report logs the error of a round: a line for each of its Unhealed, up to some, and
// one for whatever else went wrong.
func Report(ctx context.Context, log *slog.Logger, err error) {
	lines, more := 0, 0
	for _, err := range parts(err) {
		about, is := err.(*unhealed)
		switch {
		case !is:
			log.WarnContext(ctx, "the sweeper could not do all of its work; it tries again", "error", err)
		case lines == maxLines:
			more += len(about.orders)
		default:
			lines++
			log.WarnContext(trace.ContextWithSpanContext(ctx, about.span), "the sweeper could not heal an order; it looks again",
				message.OrderAttr(about.orders), "error", about.err)
		}
	}
	if more > 0 {
		log.WarnContext(ctx, "the sweeper could not heal more orders; it looks again", "orders", more)
	}
}

// parts are the errors that were joined.
func parts(err error) []error {
	joined, is := err.(interface{ Unwrap() []error })
	if !is {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, parts(err)...)
	}
	return all
}
