package inventory

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"orderflow/internal/apierror"
	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/mq/message"
)

// Store is inventory's database: stock, receipts and reservations. It is safe
// for concurrent use.
type Store struct {
	db      *database.DB
	clock   clock.Clock
	grace   time.Duration // see NewStore
	metrics *Metrics
}

// NewStore returns the store on inventory's database. A reservation that is still
// RESERVED when grace has passed since the end of its payment window is the sweeper's.
// The metrics may be nil.
func NewStore(db *database.DB, clk clock.Clock, grace time.Duration, metrics *Metrics) *Store {
	return &Store{db: db, clock: clk, grace: grace, metrics: metrics}
}

// Stocks returns the stock of the SKUs in the order asked, read in one
// statement. The error is SKU_NOT_FOUND if one was never received, or that of
// the database.
func (s *Store) Stocks(ctx context.Context, skus []string) ([]Stock, error) {
	var rows []Stock
	if err := s.db.With(ctx).Where("sku IN ?", skus).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read stock: %w", err)
	}
	found := bySKU(rows)
	stocks := make([]Stock, len(skus))
	for i, sku := range skus {
		stock, ok := found[sku]
		if !ok {
			return nil, skuNotFound(sku)
		}
		stocks[i] = stock
	}
	return stocks, nil
}

func skuNotFound(sku string) error {
	return apierror.NotFound(ReasonSKUNotFound, "SKU %s was never received", sku)
}

// Reservation returns the reservation of an order with its lines. The error is
// RESERVATION_NOT_FOUND if no event of the order has arrived yet, or that of the
// database.
func (s *Store) Reservation(ctx context.Context, orderID string) (Reservation, error) {
	// Two statements and no transaction: lines never change once their row is
	// there, so they belong to every state that the first one can see.
	r, err := findReservation(s.db.With(ctx), orderID)
	if err != nil {
		return Reservation{}, err
	}
	if r.Status == statusNone {
		return Reservation{}, apierror.NotFound(ReasonReservationNotFound, "no event of order %s has arrived yet", orderID)
	}
	r.Lines, err = findLines(s.db.With(ctx), orderID)
	return r, err
}

// lockReservation locks an order's reservation row until the transaction ends.
// The zero Reservation, with statusNone, says that there is none; nothing is
// locked then. (SQLite has no row locks: BEGIN IMMEDIATE has locked everything.)
func lockReservation(tx *gorm.DB, orderID string) (Reservation, error) {
	return findReservation(tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}), orderID)
}

func findReservation(tx *gorm.DB, orderID string) (Reservation, error) {
	var r Reservation
	if err := tx.Where("order_id = ?", orderID).Limit(1).Find(&r).Error; err != nil {
		return Reservation{}, fmt.Errorf("read the reservation: %w", err)
	}
	return r, nil
}

func findLines(tx *gorm.DB, orderID string) ([]Line, error) {
	var lines []Line
	if err := tx.Where("order_id = ?", orderID).Order("sku").Find(&lines).Error; err != nil {
		return nil, fmt.Errorf("read the reservation's lines: %w", err)
	}
	return lines, nil
}

// insertReservation inserts the row of r, without its lines. errOvertaken says
// that the order has a reservation by now.
func insertReservation(tx *gorm.DB, r Reservation) error {
	err := tx.Create(&r).Error
	if database.IsDuplicate(err, reservationKey()) {
		return fmt.Errorf("insert the reservation: %w", errOvertaken)
	}
	if err != nil {
		return fmt.Errorf("insert the reservation: %w", err)
	}
	return nil
}

func insertLines(tx *gorm.DB, lines []Line) error {
	if err := tx.Create(&lines).Error; err != nil {
		return fmt.Errorf("insert the reservation's lines: %w", err)
	}
	return nil
}

// changeStatus moves the row that was read as r to another status and gives it
// the next version. The condition repeats what the lock promises.
func (s *Store) changeStatus(tx *gorm.DB, r Reservation, to Status, now time.Time) (Reservation, error) {
	result := tx.Exec("UPDATE reservations SET status = ?, version = ?, sweep_at = ?, sweep_count = 0, updated_at = ?"+
		" WHERE order_id = ? AND status = ? AND version = ?",
		to, r.Version+1, s.sweepAt(to, r.ExpiresAt), now.UnixMilli(), r.OrderID, r.Status, r.Version)
	if result.Error != nil {
		return Reservation{}, fmt.Errorf("change the reservation: %w", result.Error)
	}
	if result.RowsAffected != 1 {
		return Reservation{}, fmt.Errorf("change the reservation from %s: %w", r.Status, errOvertaken)
	}
	r.Status, r.Version, r.UpdatedAt = to, r.Version+1, now.UnixMilli()
	return r, nil
}

// lockStocks locks the stock rows of the lines, in the order of their SKUs, and
// returns those that exist.
func lockStocks(tx *gorm.DB, lines []Line) (map[string]Stock, error) {
	skus := make([]string, len(lines))
	for i, l := range lines {
		skus[i] = l.SKU
	}
	var rows []Stock
	err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
		Where("sku IN ?", skus).Order("sku").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("lock the stock: %w", err)
	}
	return bySKU(rows), nil
}

// moveStock moves the units of every line; lines are sorted by SKU, which is the
// order of the locks. No part of a stock can become negative. Where what is
// available would, somebody changed it in spite of the lock, and the transaction
// starts again; where what is held would, the books contradict the reservation,
// and a human must look.
func moveStock(tx *gorm.DB, lines []Line, move func(n int64) shift, now time.Time) error {
	for _, l := range lines {
		by := move(l.Quantity)
		result := tx.Exec("UPDATE stocks SET available = available + ?, reserved = reserved + ?, sold = sold + ?, updated_at = ?"+
			" WHERE sku = ? AND available >= ? AND reserved >= ? AND sold >= ?",
			by.available, by.reserved, by.sold, now.UnixMilli(), l.SKU, -by.available, -by.reserved, -by.sold)
		if result.Error != nil {
			return fmt.Errorf("move stock of %s: %w", l.SKU, result.Error)
		}
		if result.RowsAffected != 1 && by.available < 0 {
			return fmt.Errorf("take %d units of %s: %w", l.Quantity, l.SKU, errOvertaken)
		}
		if result.RowsAffected != 1 {
			return message.Permanent(ReasonStockContradiction, "order %s: stock of %s cannot give %d units", l.OrderID, l.SKU, l.Quantity)
		}
	}
	return nil
}

func bySKU(rows []Stock) map[string]Stock {
	found := make(map[string]Stock, len(rows))
	for _, r := range rows {
		found[r.SKU] = r
	}
	return found
}
