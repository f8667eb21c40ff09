package order

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"orderflow/internal/clock"
	"orderflow/internal/database"
)

// The keys whose duplicates mean something. Functions, so that nobody can change
// them.
func keyID() database.Key { return database.Key{Index: "PRIMARY", Columns: []string{"id"}} }
func keyIdempotency() database.Key {
	return database.Key{Index: "orders_idempotency_key", Columns: []string{"customer_id", "idempotency_key"}}
}

// Store keeps orders, payments and barriers.
type Store struct {
	db       *database.DB
	clock    clock.Clock
	schedule Schedule
	hub      *hub // of those who watch orders
	metrics  *Metrics
	suspects suspects // for the gauges
}

// NewStore makes a store over the order schema. The schedule says when the sweeper
// has to look at what is written; metrics may be nil.
func NewStore(db *database.DB, clk clock.Clock, schedule Schedule, metrics *Metrics) *Store {
	return &Store{db: db, clock: clk, schedule: schedule, hub: newHub(clk), metrics: metrics}
}

// Tx is a transaction of the store.
type Tx struct {
	db       *gorm.DB
	now      int64 // when the transaction began, in milliseconds
	schedule Schedule
	changed  []string // the ids of the orders that it changes
	moved    []Order  // those that it brings into another status, as they are then
}

// inTx runs fn in a transaction (see database.DB.InTx), wakes those who watch the
// orders that it has changed, and counts those that are in another status now.
func (s *Store) inTx(ctx context.Context, fn func(tx *Tx) error) error {
	var done *Tx
	err := s.db.InTx(ctx, func(db *gorm.DB) error {
		done = &Tx{db: db, now: s.clock.Now().UnixMilli(), schedule: s.schedule}
		return fn(done)
	})
	if err == nil {
		s.hub.changed(done.changed...)
		s.metrics.countMoves(done.moved, done.now)
	}
	return err
}

// find reads an order with its lines; found is false if there is none.
func (s *Store) find(ctx context.Context, id string) (o Order, found bool, err error) {
	return first(s.db.With(ctx), "id = ?", id)
}

// findRow reads an order without its lines.
func (s *Store) findRow(ctx context.Context, id string) (o Order, found bool, err error) {
	return firstRow(s.db.With(ctx), "id = ?", id)
}

// findByKey reads the order that a customer placed with an idempotency key.
func (s *Store) findByKey(ctx context.Context, customer, key string) (o Order, found bool, err error) {
	return first(s.db.With(ctx), "customer_id = ? AND idempotency_key = ?", customer, key)
}

// lock reads an order's row, without its lines, and keeps others from changing it
// until the transaction ends. SQLite has one writer at a time, and needs no lock.
func (tx *Tx) lock(id string) (o Order, found bool, err error) {
	return firstRow(tx.db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}), "id = ?", id)
}

func first(db *gorm.DB, query string, args ...any) (o Order, found bool, err error) {
	o, found, err = firstRow(db, query, args...)
	if err != nil || !found {
		return o, found, err
	}
	// The lines of an order never change but for their shortages, which are
	// written with the status.
	plain := db.Session(&gorm.Session{NewDB: true})
	if err := plain.Where("order_id = ?", o.ID).Order("sku").Find(&o.Lines).Error; err != nil {
		return o, false, fmt.Errorf("read order lines: %w", err)
	}
	return o, true, nil
}

func firstRow(db *gorm.DB, query string, args ...any) (o Order, found bool, err error) {
	err = db.Where(query, args...).Take(&o).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return o, false, nil
	}
	if err != nil {
		return o, false, fmt.Errorf("read order: %w", err)
	}
	return o, true, nil
}

// readLines reads the lines of orders, in one statement.
func (s *Store) readLines(ctx context.Context, orders []Order) error {
	if len(orders) == 0 {
		return nil
	}
	index := make(map[string]int, len(orders))
	for i, o := range orders {
		index[o.ID] = i
	}
	var lines []Line
	err := s.db.With(ctx).Where("order_id IN ?", slices.Sorted(maps.Keys(index))).Order("order_id, sku").Find(&lines).Error
	if err != nil {
		return fmt.Errorf("read order lines: %w", err)
	}
	for _, l := range lines {
		o := &orders[index[l.OrderID]]
		o.Lines = append(o.Lines, l)
	}
	return nil
}

// insert writes a new order with its lines. The error is a duplicate of
// keyIdempotency if the customer has used the key before.
func (tx *Tx) insert(o Order) error {
	if err := tx.db.Create(&o).Error; err != nil {
		return fmt.Errorf("insert order: %w", err)
	}
	if err := tx.db.Create(&o.Lines).Error; err != nil {
		return fmt.Errorf("insert order lines: %w", err)
	}
	tx.moved = append(tx.moved, o)
	return nil
}

// condition is more that must hold of a row for a change.
type condition struct {
	query string
	args  []any
}

// unexpired holds while the payment window is open, expired afterwards.
func (tx *Tx) unexpired() condition { return condition{"expires_at > ?", []any{tx.now}} }
func (tx *Tx) expired() condition   { return condition{"expires_at <= ?", []any{tx.now}} }

// move makes one transition: a single conditional UPDATE, whose row count says
// whether the order was still where the transition starts. If not, the error is
// errStale. with changes what else changes, and e says in the timeline how it came
// to that.
func (tx *Tx) move(id string, t Transition, e Entry, with func(*Order), where ...condition) error {
	before, found, err := tx.lock(id)
	if err != nil {
		return err
	}
	if !found || !t.CanLeave(before.Status) {
		return errStale
	}
	after := before
	after.Status, after.CloseReason = t.To, t.Reason
	if with != nil {
		with(&after)
	}
	after.SweepCount = 0
	if err := tx.save(before, after, e, append(where, condition{"status IN ?", []any{t.From}})...); err != nil {
		return fmt.Errorf("%s order: %w", t.Name, err)
	}
	return nil
}

// save is the one statement that changes an order: from the row that was locked as
// before to after, if every condition holds; else the error is errStale. It writes
// the change into the timeline, and when the sweeper has to look.
func (tx *Tx) save(before, after Order, e Entry, where ...condition) error {
	after.Version, after.UpdatedAt = before.Version+1, tx.now
	after = tx.schedule.plan(after, tx.now)
	query := tx.db.Table("orders").Where("id = ? AND version = ?", before.ID, before.Version)
	for _, c := range where {
		query = query.Where(c.query, c.args...)
	}
	result := query.Updates(map[string]any{
		"status": after.Status, "close_reason": after.CloseReason, "cancel_reason": after.CancelReason,
		"expires_at": after.ExpiresAt, "version": after.Version, "updated_at": after.UpdatedAt,
		"stock_state": after.StockState, "stock_version": after.StockVersion, "stock_wanted": after.StockWanted,
		"sweep_at": after.SweepAt, "sweep_count": after.SweepCount,
	})
	if result.Error != nil {
		return result.Error
	}
	if result.RowsAffected != 1 {
		return errStale
	}
	if after.Status != before.Status {
		tx.moved = append(tx.moved, after)
	}
	return tx.note(e.changed(after))
}

// recordShortage marks a line as the reason for a rejection.
func (tx *Tx) recordShortage(id string, line Line) error {
	result := tx.db.Table("order_lines").Where("order_id = ? AND sku = ?", id, line.SKU).
		Updates(map[string]any{"shortage": line.Shortage, "available": line.Available})
	if result.Error != nil {
		return fmt.Errorf("record shortage: %w", result.Error)
	}
	if result.RowsAffected != 1 {
		return fmt.Errorf("record shortage: order %s has no line %q", id, line.SKU)
	}
	return nil
}
