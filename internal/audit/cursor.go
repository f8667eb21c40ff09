package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// cursor reads rows in the order of their ids, one at a time, of a stream of pages. A
// stream that breaks is resumed behind the last row.
type cursor[R any] struct {
	run  *run
	what string // for errors
	id   func(row R) string
	open func(ctx context.Context, after string) (pages[R], error)

	page   []R // what is left of the present page
	after  string
	read   pages[R] // nil: not open
	cancel context.CancelFunc
	ended  bool
}

// pages gives the next page of an open stream; io.EOF behind the last one.
type pages[R any] func() ([]R, error)

// peek is the row that the cursor is at; more is false behind the last one.
func (c *cursor[R]) peek(ctx context.Context) (row R, more bool, err error) {
	for len(c.page) == 0 && !c.ended {
		if err := c.run.retry(ctx, "read "+c.what, func() error { return c.fill(ctx) }); err != nil {
			return row, false, err
		}
	}
	if c.ended {
		return row, false, nil
	}
	return c.page[0], true, nil
}

// next steps over the row that peek has shown.
func (c *cursor[R]) next() { c.page = c.page[1:] }

// close ends the stream.
func (c *cursor[R]) close() {
	if c.cancel != nil {
		c.cancel()
	}
	c.read, c.cancel = nil, nil
}

// fill reads a page. After an error the stream is closed, and the next try opens it
// behind the last row.
func (c *cursor[R]) fill(ctx context.Context) error {
	rows, err := c.receive(ctx)
	if errors.Is(err, io.EOF) {
		c.close()
		c.ended = true
		return nil
	}
	if err != nil {
		c.close()
		return fmt.Errorf("behind %q: %w", c.after, err)
	}
	for _, row := range rows {
		if id := c.id(row); id <= c.after {
			return fmt.Errorf("%w: %q comes behind %q", errOrder, id, c.after)
		}
		c.after = c.id(row)
	}
	c.page = rows
	return nil
}

// errOrder says that a stream is not sorted: to go on would mean to compare the wrong
// rows, or never to end.
var errOrder = errors.New("the stream is not in the order of its ids")

// receive waits for a page, but not for ever: a service may hang.
func (c *cursor[R]) receive(ctx context.Context) ([]R, error) {
	if c.read == nil {
		stream, cancel := context.WithCancel(ctx)
		c.cancel = cancel
		if err := c.bounded(func() (err error) { c.read, err = c.open(stream, c.after); return err }); err != nil {
			return nil, err
		}
	}
	var rows []R
	err := c.bounded(func() (err error) { rows, err = c.read(); return err })
	return rows, err
}

// bounded cancels the stream if f takes longer than a call may take. Time that the
// audit itself spends between two pages does not count.
func (c *cursor[R]) bounded(f func() error) error {
	timer := time.AfterFunc(c.run.config.CallTimeout, c.cancel)
	err := f()
	if !timer.Stop() && err != nil && !errors.Is(err, io.EOF) {
		return status.Errorf(codes.DeadlineExceeded, "no answer within %v", c.run.config.CallTimeout)
	}
	return err
}

// receiver makes pages out of a gRPC stream.
func receiver[M any, R any](stream grpc.ServerStreamingClient[M], err error, rows func(*M) []R) (pages[R], error) {
	if err != nil {
		return nil, err
	}
	return func() ([]R, error) {
		m, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return rows(m), nil
	}, nil
}

// span is a range of ids, or some ids that are sorted. The zero value is all.
type span struct {
	after, until string
	ids          []string
}

// behind is what is left of the ids once a stream has broken behind one of them.
func (s span) behind(after string) span {
	if s.ids == nil {
		return span{after: max(after, s.after), until: s.until}
	}
	at, found := slices.BinarySearch(s.ids, after)
	if found {
		at++
	}
	return span{ids: s.ids[at:]}
}

func (r *run) ordersCursor(s span) *cursor[*orderv1.AuditedOrder] {
	return &cursor[*orderv1.AuditedOrder]{
		run: r, what: "orders", id: (*orderv1.AuditedOrder).GetOrderId,
		open: func(ctx context.Context, after string) (pages[*orderv1.AuditedOrder], error) {
			left := s.behind(after)
			if s.ids != nil && len(left.ids) == 0 {
				return nothing[*orderv1.AuditedOrder], nil
			}
			stream, err := r.services.Orders.StreamOrders(ctx, &orderv1.StreamOrdersRequest{
				AfterOrderId: left.after, UntilOrderId: left.until, OrderIds: left.ids,
			})
			return receiver(stream, err, (*orderv1.StreamOrdersResponse).GetOrders)
		},
	}
}

func (r *run) reservationsCursor(s span) *cursor[*inventoryv1.AuditedReservation] {
	return &cursor[*inventoryv1.AuditedReservation]{
		run: r, what: "reservations", id: (*inventoryv1.AuditedReservation).GetOrderId,
		open: func(ctx context.Context, after string) (pages[*inventoryv1.AuditedReservation], error) {
			left := s.behind(after)
			if s.ids != nil && len(left.ids) == 0 {
				return nothing[*inventoryv1.AuditedReservation], nil
			}
			stream, err := r.services.Inventory.StreamReservations(ctx, &inventoryv1.StreamReservationsRequest{
				AfterOrderId: left.after, UntilOrderId: left.until, OrderIds: left.ids,
			})
			return receiver(stream, err, (*inventoryv1.StreamReservationsResponse).GetReservations)
		},
	}
}

func (r *run) booksCursor() *cursor[*inventoryv1.Books] {
	return &cursor[*inventoryv1.Books]{
		run: r, what: "books", id: func(b *inventoryv1.Books) string { return b.GetStock().GetSku() },
		open: func(ctx context.Context, after string) (pages[*inventoryv1.Books], error) {
			stream, err := r.services.Inventory.StreamBooks(ctx, &inventoryv1.StreamBooksRequest{AfterSku: after})
			return receiver(stream, err, (*inventoryv1.StreamBooksResponse).GetBooks)
		},
	}
}

// nothing has no pages: an empty list of ids would ask for all.
func nothing[R any]() ([]R, error) { return nil, io.EOF }
