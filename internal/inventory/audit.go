package inventory

import (
	"context"
	"fmt"
)

// Reservations that hold or sold something have lines, and lines a reservation.
const linesQuery = `SELECT o.order_id AS id, 'no lines' AS what FROM reservations o
WHERE o.status <> ? AND NOT EXISTS (SELECT 1 FROM reservation_lines l WHERE l.order_id = o.order_id)
UNION ALL
SELECT l.order_id, 'lines without a reservation' FROM reservation_lines l
WHERE NOT EXISTS (SELECT 1 FROM reservations o WHERE o.order_id = l.order_id)`

// Audit checks that the books balance and returns what does not, one sentence
// per violation; none means that all is well. Per SKU, at one moment: received =
// available + reserved + sold = the sum of its receipts and adjustments, nothing is
// negative, reserved = the lines of RESERVED reservations, and sold = those of SOLD
// ones (the first sum alone would hide what is returned twice). The error is the
// database's.
func (s *Store) Audit(ctx context.Context) ([]string, error) {
	var violations []string
	err := s.eachPageOfBooks(ctx, "", func(page []books) error {
		for _, b := range page {
			violations = append(violations, b.violations()...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var found []struct{ ID, What string }
	if err := s.db.With(ctx).Raw(linesQuery, StatusReleased).Scan(&found).Error; err != nil {
		return nil, fmt.Errorf("audit the reservations: %w", err)
	}
	for _, f := range found {
		violations = append(violations, "order "+f.ID+": "+f.What)
	}
	return violations, nil
}
