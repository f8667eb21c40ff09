package order

import (
	"context"
	"errors"
	"fmt"

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
	db    *database.DB
	clock clock.Clock
	hub   *hub // of those who watch orders
}

// NewStore makes a store over the order schema.
func NewStore(db *database.DB, clk clock.Clock) *Store {
	return &Store{db: db, clock: clk, hub: newHub(clk)}
}

// Tx is a transaction of the store.
type Tx struct {
	db      *gorm.DB
	now     int64    // when the transaction began, in milliseconds
	changed []string // the ids of the orders that it changes
}

// inTx runs fn in a transaction (see database.DB.InTx), and wakes those who watch
// the orders that it has changed.
func (s *Store) inTx(ctx context.Context, fn func(tx *Tx) error) error {
	var changed []string
	err := s.db.InTx(ctx, func(db *gorm.DB) error {
		tx := &Tx{db: db, now: s.clock.Now().UnixMilli()}
		defer func() { changed = tx.changed }()
		return fn(tx)
	})
	if err == nil {
		s.hub.changed(changed...)
	}
	return err
}

// find reads an order with its lines; found is false if there is none.
func (s *Store) find(ctx context.Context, id string) (o Order, found bool, err error) {
	return first(s.db.With(ctx), "id = ?", id)
}

// findByKey reads the order that a customer placed with an idempotency key.
func (s *Store) findByKey(ctx context.Context, customer, key string) (o Order, found bool, err error) {
	return first(s.db.With(ctx), "customer_id = ? AND idempotency_key = ?", customer, key)
}

// lock reads an order and keeps others from changing it until the transaction
// ends. SQLite has one writer at a time, and needs no lock.
func (tx *Tx) lock(id string) (o Order, found bool, err error) {
	return first(tx.db.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}), "id = ?", id)
}

func first(db *gorm.DB, query string, args ...any) (o Order, found bool, err error) {
	err = db.Where(query, args...).Take(&o).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return o, false, nil
	}
	if err != nil {
		return o, false, fmt.Errorf("read order: %w", err)
	}
	// The lines of an order never change but for their shortages, which are
	// written with the status.
	plain := db.Session(&gorm.Session{NewDB: true})
	if err := plain.Where("order_id = ?", o.ID).Order("sku").Find(&o.Lines).Error; err != nil {
		return o, false, fmt.Errorf("read order lines: %w", err)
	}
	return o, true, nil
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
	return nil
}

// condition is more that must hold of a row for a transition.
type condition struct {
	query string
	args  []any
}

// unexpired holds while the payment window is open, expired afterwards.
func (tx *Tx) unexpired() condition { return condition{"expires_at > ?", []any{tx.now}} }
func (tx *Tx) expired() condition   { return condition{"expires_at <= ?", []any{tx.now}} }

// olderStock holds if the row has not seen version of the reservation yet.
func olderStock(version int64) condition { return condition{"stock_version < ?", []any{version}} }

// move makes one transition: a single conditional UPDATE, whose row count says
// whether the order was still where the transition starts. If not, the error is
// errStale.
func (tx *Tx) move(id string, t Transition, set map[string]any, where ...condition) error {
	values := map[string]any{"status": t.To, "close_reason": t.Reason}
	for column, value := range set {
		values[column] = value
	}
	where = append(where, condition{"status IN ?", []any{t.From}})
	changed, err := tx.update(id, values, where...)
	if err != nil {
		return fmt.Errorf("%s order: %w", t.Name, err)
	}
	if !changed {
		return errStale
	}
	return nil
}

// update changes an order's row if every condition holds, and tells whether it did.
func (tx *Tx) update(id string, values map[string]any, where ...condition) (changed bool, err error) {
	values["version"] = gorm.Expr("version + 1")
	values["updated_at"] = tx.now
	query := tx.db.Table("orders").Where("id = ?", id)
	for _, c := range where {
		query = query.Where(c.query, c.args...)
	}
	result := query.Updates(values)
	if result.Error != nil {
		return false, result.Error
	}
	return result.RowsAffected == 1, nil
}

// recordStock notes what inventory confirmed, unless something newer is known.
func (tx *Tx) recordStock(id string, state StockState, version int64) (changed bool, err error) {
	changed, err = tx.update(id, map[string]any{"stock_state": state, "stock_version": version}, olderStock(version))
	if err != nil {
		return false, fmt.Errorf("record stock state: %w", err)
	}
	return changed, nil
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
