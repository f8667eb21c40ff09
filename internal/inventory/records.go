package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"orderflow/internal/apierror"
	"orderflow/internal/database"
)

// This file is what receipts and adjustments have in common: a record whose id is
// chosen by the client and makes it count once, and units that come or go.

// maxReceived bounds what was ever received of one SKU.
const maxReceived = 1_000_000_000_000

// recordKey and stockKey are the primary keys.
func recordKey() database.Key { return database.Key{Index: "PRIMARY", Columns: []string{"id"}} }
func stockKey() database.Key  { return database.Key{Index: "PRIMARY", Columns: []string{"sku"}} }

// errRecorded says that a record's id is taken, by itself or by another.
var errRecorded = errors.New("id is taken")

// recordOnce runs record in a transaction and returns the SKU's stock as it is then.
// If the id is taken, check says whether by the very same record.
func (s *Store) recordOnce(
	ctx context.Context, sku string, record func(tx *gorm.DB, now time.Time) error, check func() error,
) (Stock, error) {
	now := s.clock.Now()
	var err error
	for range maxOvertaken {
		err = s.db.InTx(ctx, func(tx *gorm.DB) error { return record(tx, now) })
		if !errors.Is(err, errOvertaken) {
			break
		}
	}
	if errors.Is(err, errRecorded) {
		err = check()
	}
	if err != nil {
		return Stock{}, err
	}
	stocks, err := s.Stocks(ctx, []string{sku})
	if err != nil {
		return Stock{}, err
	}
	return stocks[0], nil
}

// insertRecord goes first in the transaction: whoever brings the same record waits
// for this transaction, and fails on the key if it commits.
func insertRecord(tx *gorm.DB, row any) error {
	if err := tx.Create(row).Error; database.IsDuplicate(err, recordKey()) {
		return errRecorded
	} else if err != nil {
		return fmt.Errorf("insert %T: %w", row, err)
	}
	return nil
}

// addUnits adds n units, or takes them away if n is negative. It is false if there is
// no stock row, or if its bounds do not allow it.
func addUnits(tx *gorm.DB, sku string, n int64, now time.Time) (bool, error) {
	result := tx.Exec("UPDATE stocks SET available = available + ?, received = received + ?, updated_at = ?"+
		" WHERE sku = ? AND available >= ? AND received <= ?", n, n, now.UnixMilli(), sku, -n, maxReceived-n)
	if result.Error != nil {
		return false, fmt.Errorf("add stock: %w", result.Error)
	}
	return result.RowsAffected == 1, nil
}

func overflow(stock Stock, n int64) error {
	return apierror.FailedPrecondition(ReasonStockOverflow, 0, "%d units of %s were received; with %d more it would be over %d",
		stock.Received, stock.SKU, n, int64(maxReceived))
}
