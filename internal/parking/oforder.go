package parking

import (
	"context"
	"fmt"
)

// OfOrder returns what is parked for an order, the oldest first.
func (s *Store) OfOrder(ctx context.Context, orderID string) ([]Entry, error) {
	var rows []row
	err := s.db.With(ctx).Where("order_id = ?", cutKey(orderID, maxOrderID)).Order("first_at, id").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list parked messages of order %s: %w", orderID, err)
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		if entries[i], err = r.entry(); err != nil {
			return nil, err
		}
	}
	return entries, nil
}
