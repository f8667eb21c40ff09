package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	// maxBooks is how many SKUs may be asked for, and are listed at once.
	maxBooks = 100
	// booksPage is how many SKUs are added up in one statement: one of 100 SKUs with
	// 10,000 orders each would take longer than a statement may.
	booksPage = 10
)

// books are the sums about one SKU, from all the places where they are kept.
type books struct {
	Stock
	missing  bool  // the SKU has no stock row
	recorded bool  // it has receipts or adjustments
	receipts int64 // sum of its receipts and adjustments
	held     int64 // sum of its lines in RESERVED reservations
	bought   int64 // sum of its lines in SOLD reservations
}

// nothing tells whether there is nothing to balance: a SKU that was never received,
// but asked for by orders that were rejected.
func (b books) nothing() bool { return b.missing && !b.recorded && b.held == 0 && b.bought == 0 }

// violations is what does not balance, one sentence each.
func (b books) violations() []string {
	if b.missing {
		return []string{fmt.Sprintf("no stock row of SKU: %s, but its receipts say %d, and reservations hold %d and say sold %d",
			b.SKU, b.receipts, b.held, b.bought)}
	}
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
	check(b.Received == b.receipts, "received %d, but its receipts say %d", b.Received, b.receipts)
	check(b.Reserved == b.held, "reserved %d, but RESERVED reservations hold %d", b.Reserved, b.held)
	check(b.Sold == b.bought, "sold %d, but SOLD reservations say %d", b.Sold, b.bought)
	return found
}

// skusAfter returns the next SKUs that have a row anywhere, sorted. Each table is read
// no further than the page reaches.
func (s *Store) skusAfter(ctx context.Context, after string) ([]string, error) {
	var parts []string
	var args []any
	for _, table := range []string{"stocks", "receipts", "adjustments", "reservation_lines"} {
		parts = append(parts, "SELECT sku FROM (SELECT DISTINCT sku FROM "+table+" WHERE sku > ? ORDER BY sku LIMIT ?) "+table)
		args = append(args, after, maxBooks)
	}
	var skus []string
	query := strings.Join(parts, " UNION ") + " ORDER BY sku LIMIT ?"
	if err := s.db.With(ctx).Raw(query, append(args, maxBooks)...).Scan(&skus).Error; err != nil {
		return nil, fmt.Errorf("list the SKUs: %w", err)
	}
	return skus, nil
}

// What a row of booksQuery is.
const (
	sumStock   = "stock"
	sumRecords = "records"
	sumHeld    = "held"
	sumBought  = "bought"
)

// One statement reads one moment, also while orders are running. It begins with the
// SKUs and not with the stock, and so finds units of those without a stock row. The
// join is a left one, without a condition on its right side, so that databases read
// the lines of these SKUs first, and not all reservations of a status.
const booksQuery = `SELECT ? AS kind, sku, available, reserved, sold, received, 0 AS units FROM stocks WHERE sku IN ?
UNION ALL SELECT ?, sku, 0, 0, 0, 0, SUM(quantity) FROM receipts WHERE sku IN ? GROUP BY sku
UNION ALL SELECT ?, sku, 0, 0, 0, 0, SUM(difference) FROM adjustments WHERE sku IN ? GROUP BY sku
UNION ALL SELECT CASE o.status WHEN ? THEN ? WHEN ? THEN ? ELSE '' END, l.sku, 0, 0, 0, 0, SUM(l.quantity)
FROM reservation_lines l LEFT JOIN reservations o ON o.order_id = l.order_id WHERE l.sku IN ? GROUP BY l.sku, o.status`

// booksOf adds up SKUs, up to booksPage of them, and sorts them. Those about which there is nothing to
// say are left out.
func (s *Store) booksOf(ctx context.Context, skus []string) ([]books, error) {
	var rows []struct {
		Kind  string
		Stock `gorm:"embedded"`
		Units int64
	}
	err := s.db.With(ctx).Raw(booksQuery, sumStock, skus, sumRecords, skus, sumRecords, skus,
		StatusReserved, sumHeld, StatusSold, sumBought, skus).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("add up the books: %w", err)
	}
	found := map[string]*books{}
	for _, r := range rows {
		b, ok := found[r.SKU]
		if !ok {
			b = &books{Stock: Stock{SKU: r.SKU}, missing: true}
			found[r.SKU] = b
		}
		switch r.Kind {
		case sumStock:
			b.Stock, b.missing = r.Stock, false
		case sumRecords:
			b.receipts, b.recorded = b.receipts+r.Units, true
		case sumHeld:
			b.held = r.Units
		case sumBought:
			b.bought = r.Units
		}
	}
	var all []books
	for _, sku := range slices.Sorted(maps.Keys(found)) {
		if !found[sku].nothing() {
			all = append(all, *found[sku])
		}
	}
	return all, nil
}

// eachPageOfBooks hands all books behind a SKU to do, page by page; no page is read
// before the one before it is done with, and nothing is held in between.
func (s *Store) eachPageOfBooks(ctx context.Context, after string, do func([]books) error) error {
	for {
		skus, err := s.skusAfter(ctx, after)
		if err != nil || len(skus) == 0 {
			return err
		}
		if err := s.eachPageOf(ctx, skus, do); err != nil || len(skus) < maxBooks {
			return err
		}
		after = skus[len(skus)-1]
	}
}

// eachPageOf does that with the books of some SKUs, which are sorted.
func (s *Store) eachPageOf(ctx context.Context, skus []string, do func([]books) error) error {
	for some := range slices.Chunk(skus, booksPage) {
		page, err := s.booksOf(ctx, some)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			continue
		}
		if err := do(page); err != nil {
			return err
		}
	}
	return nil
}
