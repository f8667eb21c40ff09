package inventory

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"orderflow/internal/apierror"
	"orderflow/internal/database"
	"orderflow/internal/event"
)

// The bounds of receipts.
const (
	maxReceiptID       = 128
	maxReceiptQuantity = 1_000_000_000
)

// Receipt is a receipt of goods, and its row: what makes it count once.
type Receipt struct {
	ID         string // chosen by the client
	SKU        string `gorm:"column:sku"`
	Quantity   int64
	RecordedAt int64
}

// TableName is the table's name for gorm.
func (Receipt) TableName() string { return "receipts" }

// NewReceipt checks a receipt. The error is an InvalidArgument that names every
// field which is out of its bounds.
func NewReceipt(id, sku string, quantity int64) (Receipt, error) {
	var wrong apierror.Violations
	if !event.IsVisibleASCII(id, maxReceiptID) {
		wrong.Add("receipt_id", "must be 1 to %d visible ASCII characters", maxReceiptID)
	}
	checkSKU(&wrong, "sku", sku)
	if quantity < 1 || quantity > maxReceiptQuantity {
		wrong.Add("quantity", "must be 1 to %d, is %d", maxReceiptQuantity, quantity)
	}
	return Receipt{ID: id, SKU: sku, Quantity: quantity}, wrong.Err()
}

func checkSKU(wrong *apierror.Violations, path, sku string) {
	if !event.IsSKU(sku) {
		wrong.Add(path, `must be 1 to %d characters out of letters, digits, "-", "_", "." and ":"`, event.MaxSKULength)
	}
}

// AddStock records a receipt, once, and returns the SKU's stock as it is then.
//
// Errors: RECEIPT_ID_REUSED if the id came with another SKU or quantity before,
// STOCK_OVERFLOW if too much would ever have been received, else the database's.
func (s *Store) AddStock(ctx context.Context, r Receipt) (Stock, error) {
	record := func(tx *gorm.DB, now time.Time) error {
		r.RecordedAt = now.UnixMilli()
		if err := insertRecord(tx, &r); err != nil {
			return err
		}
		if done, err := addUnits(tx, r.SKU, r.Quantity, now); done || err != nil {
			return err
		}
		return receiveFirst(tx, r, now)
	}
	return s.recordOnce(ctx, r.SKU, record, func() error { return s.checkReceipt(ctx, r) })
}

// receiveFirst makes the stock row of a SKU. It is there already if the update
// met its bound, or if another first receipt was faster: a row that appears
// between the update and the insert makes this one start again.
func receiveFirst(tx *gorm.DB, r Receipt, now time.Time) error {
	stocks, err := lockStocks(tx, []Line{{SKU: r.SKU}})
	if err != nil {
		return err
	}
	if stock, known := stocks[r.SKU]; known {
		if stock.Received <= maxReceived-r.Quantity {
			return errOvertaken
		}
		return overflow(stock, r.Quantity)
	}
	row := Stock{
		SKU: r.SKU, Available: r.Quantity, Received: r.Quantity,
		CreatedAt: now.UnixMilli(), UpdatedAt: now.UnixMilli(),
	}
	if err := tx.Create(&row).Error; database.IsDuplicate(err, stockKey()) {
		return errOvertaken
	} else if err != nil {
		return fmt.Errorf("insert stock: %w", err)
	}
	return nil
}

// checkReceipt is nil if the receipt that has the id is the same one.
func (s *Store) checkReceipt(ctx context.Context, r Receipt) error {
	var first Receipt
	if err := s.db.With(ctx).Where("id = ?", r.ID).Take(&first).Error; err != nil {
		return fmt.Errorf("read receipt: %w", err)
	}
	if first.SKU != r.SKU || first.Quantity != r.Quantity {
		return apierror.AlreadyExists(ReasonReceiptIDReused, "receipt %s was recorded before, as %d units of %s",
			r.ID, first.Quantity, first.SKU)
	}
	return nil
}
