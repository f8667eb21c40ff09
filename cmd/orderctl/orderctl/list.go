package orderctl

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
)

// Pages says how much of a list is shown.
type Pages struct {
	PageSize  int32  `env:"-" placeholder:"N" help:"How many at once, 1 to 500; 50 if missing, and 500 with --all."`
	PageToken string `env:"-" placeholder:"TOKEN" help:"Begin where an earlier page ended: the token that it printed, with the other flags as they were."`
	All       bool   `env:"-" help:"Show page after page to the end. In JSON each page is a document of its own."`
}

// largestPage saves calls where all is asked for.
const largestPage = 500

// each reads and shows a page, or with --all every one. read returns the token of
// the page behind the one it has shown.
func (p Pages) each(
	ctx context.Context, timeout time.Duration, out cli.Output, read func(ctx context.Context, size int32, token string) (next string, err error),
) error {
	if p.All && p.PageSize == 0 {
		p.PageSize = largestPage
	}
	for token := p.PageToken; ; {
		next, err := p.one(ctx, timeout, token, read)
		if err != nil {
			if token != p.PageToken {
				fmt.Fprintf(out.Stderr, "the list ends before its end; go on with --page-token=%s\n", token)
			}
			return err
		}
		if next == "" {
			return nil
		}
		if !p.All {
			fmt.Fprintf(out.Stderr, "there is more: --page-token=%s, or --all\n", next)
			return nil
		}
		token = next
	}
}

// one reads a page under a deadline of its own.
func (p Pages) one(
	ctx context.Context, timeout time.Duration, token string, read func(context.Context, int32, string) (string, error),
) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return read(ctx, p.PageSize, token)
}

// Period is when something was created.
type Period struct {
	From   *Moment `env:"-" placeholder:"TIME" help:"Only those created at this time or later: 2026-01-31 (midnight here) or 2026-01-31T15:04:05Z."`
	Before *Moment `env:"-" placeholder:"TIME" help:"Only those created before this time."`
}

// Moment is a time on the command line.
type Moment struct{ time.Time }

// UnmarshalText reads a date, which stands for its midnight here, or a time with
// its zone.
func (m *Moment) UnmarshalText(text []byte) error {
	t, err := time.ParseInLocation(time.DateOnly, string(text), time.Local)
	if err != nil {
		t, err = time.Parse(time.RFC3339, string(text))
	}
	if err != nil {
		return fmt.Errorf("%q must look like 2026-01-31 or 2026-01-31T15:04:05Z", text)
	}
	m.Time = t
	return nil
}

func (m *Moment) timestamp() *timestamppb.Timestamp {
	if m == nil {
		return nil
	}
	return timestamppb.New(m.Time)
}

// ListOrders lists orders.
type ListOrders struct {
	Orders
	Customer string        `env:"-" help:"Only those of this customer."`
	Status   []OrderStatus `env:"-" placeholder:"STATUS" help:"Only those in this status: PLACED, RESERVED, PAID or CLOSED. Can be repeated."`
	Period
	Pages
}

// OrderStatus is a status on the command line.
type OrderStatus orderv1.OrderStatus

// UnmarshalText reads the name of a status.
func (s *OrderStatus) UnmarshalText(text []byte) error {
	number, err := numberOf(orderv1.OrderStatus_value, "ORDER_STATUS_", string(text))
	*s = OrderStatus(number)
	return err
}

// numberOf is the number of a name in an enum, which the command line has without
// its prefix and in any case.
func numberOf(values map[string]int32, prefix, text string) (int32, error) {
	number := values[prefix+strings.ToUpper(text)]
	if number != 0 {
		return number, nil
	}
	var names []string
	for name, n := range values {
		if n != 0 {
			names = append(names, strings.TrimPrefix(name, prefix))
		}
	}
	slices.SortFunc(names, func(a, b string) int { return int(values[prefix+a] - values[prefix+b]) })
	return 0, fmt.Errorf("%q must be one of %s", text, strings.Join(names, ", "))
}

// Help is more about it.
func (ListOrders) Help() string {
	return `Ann's orders, all that wait for payment, and those that were closed in January:

  orderctl order list --customer ann
  orderctl order list --status PLACED --status RESERVED --all
  orderctl order list --status CLOSED --from 2026-01-01 --before 2026-02-01`
}

// Run is the command.
func (c ListOrders) Run(ctx context.Context, out cli.Output) error {
	req := &orderv1.ListOrdersRequest{CustomerId: c.Customer, CreatedFrom: c.From.timestamp(), CreatedBefore: c.Before.timestamp()}
	for _, s := range c.Status {
		req.Statuses = append(req.Statuses, orderv1.OrderStatus(s))
	}
	return c.calls(func(orders orderv1.OrderServiceClient) error {
		return c.each(ctx, c.Timeout, out, func(ctx context.Context, size int32, token string) (string, error) {
			req.PageSize, req.PageToken = size, token
			resp, err := orders.ListOrders(ctx, req)
			if err != nil {
				return "", err
			}
			return resp.GetNextPageToken(), c.show(out, resp, func(t *table) { t.orders(resp.GetOrders()) })
		})
	})
}
