package order

import (
	"context"
	"fmt"
	"strings"
)

// maxListedLines bounds the lines of a page, which ends early rather than grow
// beyond what a client takes: at most 20,000 lines of 90 bytes and 500 orders of 1 KiB.
const maxListedLines = 20_000

// Filter says which orders a list has. The zero value of a field lets all pass.
type Filter struct {
	CustomerID string
	Statuses   []Status // sorted, each once
	From       int64    // placed at this time or later, in milliseconds since the Unix epoch
	Before     int64    // placed before this time; 0: whenever
}

// Position is where an order stands in a list, of which the newest is the first.
type Position struct {
	CreatedAt int64  `json:"at"`
	ID        string `json:"id"`
}

// position is the order's own.
func (o Order) position() Position { return Position{o.CreatedAt, o.ID} }

// List returns up to size orders behind a position, the newest first, and whether
// there are more. A nil position is before the first. The error is that the database
// is not available.
func (s *Service) List(ctx context.Context, f Filter, behind *Position, size int) (orders []Order, more bool, err error) {
	orders, err = s.store.list(ctx, f, behind, size+1)
	if err != nil {
		return nil, false, forClient(err)
	}
	if len(orders) > size {
		orders, more = orders[:size], true
	}
	if err := s.store.readLines(ctx, orders); err != nil {
		return nil, false, forClient(err)
	}
	whole := len(orders)
	orders = withinLines(orders)
	return orders, more || len(orders) < whole, nil
}

// withinLines are the first orders that have maxListedLines together.
func withinLines(orders []Order) []Order {
	lines := 0
	for i, o := range orders {
		if lines += len(o.Lines); lines > maxListedLines {
			return orders[:i]
		}
	}
	return orders
}

// list reads the rows of a page, in one statement.
//
// There is an index for each shape: (created_at, id) for all orders, and the same
// behind customer_id and behind status. So a page is a range of one of them, read
// backwards, and nothing is sorted. Of one customer's orders in some statuses, the
// customer's range is read and what has another status is skipped. For several
// statuses no single range has the order: the pages of each status are merged, which
// are at most 500 rows each. Several statements instead could show an order twice, or
// not at all, that goes from one status to another in between.
func (s *Store) list(ctx context.Context, f Filter, behind *Position, limit int) (orders []Order, err error) {
	query, args := f.query(behind, limit)
	if err := s.db.With(ctx).Raw(query, args...).Scan(&orders).Error; err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return orders, nil
}

const newestFirst = " ORDER BY created_at DESC, id DESC LIMIT ?"

func (f Filter) query(behind *Position, limit int) (query string, args []any) {
	if f.CustomerID != "" || len(f.Statuses) <= 1 || len(f.Statuses) == len(statuses()) {
		where, args := f.where(behind)
		return "SELECT * FROM orders" + where + newestFirst, append(args, limit)
	}
	var parts []string
	for _, status := range f.Statuses {
		one := f
		one.Statuses = []Status{status}
		where, more := one.where(behind)
		// SQLite takes ORDER BY in a part of a UNION only if it is a table.
		parts = append(parts, fmt.Sprintf("SELECT * FROM (SELECT * FROM orders%s%s) AS s%d", where, newestFirst, status))
		args = append(append(args, more...), limit)
	}
	return strings.Join(parts, " UNION ALL ") + newestFirst, append(args, limit)
}

// where is the condition of a page. Databases turn a comparison of pairs into no
// range, but the first half of its long form.
func (f Filter) where(behind *Position) (where string, args []any) {
	var conditions []string
	add := func(condition string, values ...any) {
		conditions, args = append(conditions, condition), append(args, values...)
	}
	if f.CustomerID != "" {
		add("customer_id = ?", f.CustomerID)
	}
	switch len(f.Statuses) {
	case 0, len(statuses()):
	case 1:
		add("status = ?", f.Statuses[0])
	default:
		add("status IN ?", f.Statuses)
	}
	if f.From > 0 {
		add("created_at >= ?", f.From)
	}
	if f.Before > 0 {
		add("created_at < ?", f.Before)
	}
	if behind != nil {
		add("created_at <= ? AND (created_at < ? OR id < ?)", behind.CreatedAt, behind.CreatedAt, behind.ID)
	}
	if len(conditions) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}

// statuses are all there are.
func statuses() []Status { return []Status{Placed, Reserved, Paid, Closed} }
