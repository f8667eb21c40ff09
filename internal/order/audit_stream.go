package order

import (
	"context"
	"fmt"
	"time"

	"orderflow/internal/apierror"
	"orderflow/internal/event"
)

const (
	// MaxAudited is how many orders a page of an audit has, and how many an audit may
	// name.
	MaxAudited = 500
	// auditTimeout bounds the reading of a page: a stream has no deadline that would.
	auditTimeout = 10 * time.Second
)

// Range says which orders an audit has. Only NewRange makes one.
type Range struct {
	after, until string   // ids; empty: no bound
	ids          []string // only these
}

// NewRange checks a range: the orders behind one id up to another, either of which may
// be empty, or those with given ids. The error is an InvalidArgument that names every
// field that is out of its bounds.
func NewRange(after, until string, ids []string) (Range, error) {
	var v apierror.Violations
	bound := func(field, id string) {
		switch {
		case id == "":
		case len(ids) > 0:
			v.Add(field, "must be empty if order_ids are given")
		case !event.IsOrderID(id):
			v.Add(field, "must be a UUID in its canonical form, or empty")
		}
	}
	bound("after_order_id", after)
	bound("until_order_id", until)
	if len(ids) > MaxAudited {
		v.Add("order_ids", "must be at most %d ids, got %d", MaxAudited, len(ids))
	} else {
		for i, id := range ids {
			if !event.IsOrderID(id) {
				v.Add(fieldAt("order_ids", i), "must be a UUID in its canonical form")
			}
		}
	}
	return Range{after: after, until: until, ids: ids}, v.Err()
}

// Audit sends the orders of a range in the order of their ids, a page at a time, and
// locks nothing. An order's row and its lines fit together: lines are written with the
// row, and nothing but their shortages changes. The error is send's, or that the
// database is not available.
func (s *Service) Audit(ctx context.Context, r Range, send func([]Order) error) error {
	for {
		orders, err := s.store.audited(ctx, r)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err() // whatever the driver has made of it
			}
			return forClient(err)
		}
		if len(orders) > 0 {
			if err := send(orders); err != nil {
				return err
			}
		}
		if len(orders) < MaxAudited || len(r.ids) > 0 {
			return nil
		}
		r.after = orders[len(orders)-1].ID
	}
}

// audited reads the first page of a range.
func (s *Store) audited(ctx context.Context, r Range) (orders []Order, err error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	query := s.db.With(ctx).Order("id").Limit(MaxAudited)
	if len(r.ids) > 0 {
		query = query.Where("id IN ?", r.ids)
	}
	if r.after != "" {
		query = query.Where("id > ?", r.after)
	}
	if r.until != "" {
		query = query.Where("id <= ?", r.until)
	}
	if err := query.Find(&orders).Error; err != nil {
		return nil, fmt.Errorf("read orders for an audit: %w", err)
	}
	return orders, s.readLines(ctx, orders)
}
