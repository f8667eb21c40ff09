package inventory

import (
	"context"
	"fmt"
)

// books are the sums about one SKU, from all the places where they are kept.
type books struct {
	Stock    `gorm:"embedded"`
	Receipts int64 // sum of its receipts
	Held     int64 // sum of its lines in RESERVED reservations
	Bought   int64 // sum of its lines in SOLD reservations
}

// One statement reads one moment, also while orders are running.
const booksQuery = `SELECT s.*, COALESCE(r.units, 0) AS receipts, COALESCE(h.units, 0) AS held, COALESCE(b.units, 0) AS bought
FROM stocks s
LEFT JOIN (SELECT sku, SUM(quantity) AS units FROM receipts GROUP BY sku) r ON r.sku = s.sku
LEFT JOIN (SELECT l.sku, SUM(l.quantity) AS units FROM reservation_lines l
	JOIN reservations o ON o.order_id = l.order_id WHERE o.status = ? GROUP BY l.sku) h ON h.sku = s.sku
LEFT JOIN (SELECT l.sku, SUM(l.quantity) AS units FROM reservation_lines l
	JOIN reservations o ON o.order_id = l.order_id WHERE o.status = ? GROUP BY l.sku) b ON b.sku = s.sku
ORDER BY s.sku`

// Units of a SKU that has no stock row, which the first query cannot see.
const homelessQuery = `SELECT 'receipt ' AS kind, r.id AS id, r.sku AS sku FROM receipts r
WHERE NOT EXISTS (SELECT 1 FROM stocks s WHERE s.sku = r.sku)
UNION ALL
SELECT 'order ', l.order_id, l.sku FROM reservation_lines l
JOIN reservations o ON o.order_id = l.order_id
WHERE o.status IN (?, ?) AND NOT EXISTS (SELECT 1 FROM stocks s WHERE s.sku = l.sku)`

// Reservations that hold or sold something have lines, and lines a reservation.
const linesQuery = `SELECT 'order ' AS kind, o.order_id AS id, 'no lines' AS sku FROM reservations o
WHERE o.status <> ? AND NOT EXISTS (SELECT 1 FROM reservation_lines l WHERE l.order_id = o.order_id)
UNION ALL
SELECT 'order ', l.order_id, 'lines without a reservation' FROM reservation_lines l
WHERE NOT EXISTS (SELECT 1 FROM reservations o WHERE o.order_id = l.order_id)`

// Audit checks that the books balance and returns what does not, one sentence
// per violation; none means that all is well. Per SKU: received = available +
// reserved + sold = the sum of its receipts, nothing is negative, reserved = the
// lines of RESERVED reservations, and sold = those of SOLD ones (the first sum
// alone would hide what is returned twice). The error is the database's.
func (s *Store) Audit(ctx context.Context) ([]string, error) {
	var all []books
	if err := s.db.With(ctx).Raw(booksQuery, StatusReserved, StatusSold).Scan(&all).Error; err != nil {
		return nil, fmt.Errorf("audit the stock: %w", err)
	}
	var violations []string
	for _, b := range all {
		violations = append(violations, b.violations()...)
	}
	for _, q := range []struct {
		sql  string
		args []any
	}{{homelessQuery, []any{StatusReserved, StatusSold}}, {linesQuery, []any{StatusReleased}}} {
		var found []struct{ Kind, ID, SKU string }
		if err := s.db.With(ctx).Raw(q.sql, q.args...).Scan(&found).Error; err != nil {
			return nil, fmt.Errorf("audit the reservations: %w", err)
		}
		for _, f := range found {
			violations = append(violations, f.Kind+f.ID+": "+f.SKU)
		}
	}
	return violations, nil
}

func (b books) violations() []string {
	var found []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			found = append(found, b.SKU+": "+fmt.Sprintf(format, args...))
		}
	}
	check(b.Available >= 0 && b.Reserved >= 0 && b.Sold >= 0,
		"negative: available %d, reserved %d, sold %d", b.Available, b.Reserved, b.Sold)
	check(b.Received == b.Available+b.Reserved+b.Sold,
		"received %d is not available %d + reserved %d + sold %d", b.Received, b.Available, b.Reserved, b.Sold)
	check(b.Received == b.Receipts, "received %d, but its receipts say %d", b.Received, b.Receipts)
	check(b.Reserved == b.Held, "reserved %d, but RESERVED reservations hold %d", b.Reserved, b.Held)
	check(b.Sold == b.Bought, "sold %d, but SOLD reservations say %d", b.Sold, b.Bought)
	return found
}
