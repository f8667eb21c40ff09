package inventory

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

// afterSKU is a character behind all that a SKU may have: everything that begins with
// a prefix lies between the prefix and the prefix with it.
const afterSKU = "{"

// ListStock returns the stock of up to limit SKUs that begin with the prefix and lie
// behind after, sorted, read in one statement.
func (s *Store) ListStock(ctx context.Context, prefix, after string, limit int) ([]Stock, error) {
	var rows []Stock
	err := s.db.With(ctx).Where("sku >= ? AND sku < ? AND sku > ?", prefix, prefix+afterSKU, after).
		Order("sku").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list stock: %w", err)
	}
	return rows, nil
}

// Filter says which reservations a list has. Times are epoch milliseconds.
type Filter struct {
	CustomerID    string   // empty: of all
	Statuses      []Status // none: in any
	CreatedFrom   *int64   // nil: from the first one on
	CreatedBefore *int64   // nil: up to the last one
}

// Position is where a reservation stands in a list: the newest comes first.
type Position struct {
	CreatedAt int64
	OrderID   string
}

// ListReservations returns up to limit reservations with their lines: those that
// match the filter and lie behind after, or the first ones if after is nil. Neither
// columns of a position ever change, so that pages do not shift.
func (s *Store) ListReservations(ctx context.Context, f Filter, after *Position, limit int) ([]Reservation, error) {
	query := s.db.With(ctx)
	if f.CustomerID != "" {
		query = query.Where("customer_id = ?", f.CustomerID)
	}
	if len(f.Statuses) > 0 {
		query = query.Where("status IN ?", f.Statuses)
	}
	if f.CreatedFrom != nil {
		query = query.Where("created_at >= ?", *f.CreatedFrom)
	}
	if f.CreatedBefore != nil {
		query = query.Where("created_at < ?", *f.CreatedBefore)
	}
	if after != nil {
		query = query.Where("created_at <= ? AND (created_at < ? OR order_id < ?)", after.CreatedAt, after.CreatedAt, after.OrderID)
	}
	return s.page(ctx, query.Order("created_at DESC, order_id DESC").Limit(limit))
}

// Span says which reservations an audit reads: those of the orders, or those between
// two order ids.
type Span struct {
	After    string // behind this order id; empty: from the first one on
	Until    string // up to this order id; empty: to the last one
	OrderIDs []string
}

// reservationsOf returns up to limit reservations of a span with their lines, sorted
// by order id.
func (s *Store) reservationsOf(ctx context.Context, span Span, limit int) ([]Reservation, error) {
	query := s.db.With(ctx).Where("order_id > ?", span.After)
	if span.Until != "" {
		query = query.Where("order_id <= ?", span.Until)
	}
	if len(span.OrderIDs) > 0 {
		query = query.Where("order_id IN ?", span.OrderIDs)
	}
	return s.page(ctx, query.Order("order_id").Limit(limit))
}

// page reads the rows of a query in one statement, and their lines in another: lines
// never change once their row is there.
func (s *Store) page(ctx context.Context, query *gorm.DB) ([]Reservation, error) {
	var rows []Reservation
	if err := query.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list reservations: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.OrderID
	}
	var lines []Line
	if err := s.db.With(ctx).Where("order_id IN ?", ids).Order("order_id, sku").Find(&lines).Error; err != nil {
		return nil, fmt.Errorf("list the reservations' lines: %w", err)
	}
	of := map[string][]Line{}
	for _, l := range lines {
		of[l.OrderID] = append(of[l.OrderID], l)
	}
	for i := range rows {
		rows[i].Lines = of[rows[i].OrderID]
	}
	return rows, nil
}
