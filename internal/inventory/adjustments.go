package inventory

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"orderflow/internal/apierror"
	"orderflow/internal/event"
)

// The bounds of adjustments.
const (
	maxAdjustmentID = 128
	maxDifference   = 1_000_000_000
	maxReason       = 200 // characters
)

// Adjustment is a correction of what is available, and its row: what makes it count
// once.
type Adjustment struct {
	ID         string // chosen by the client
	SKU        string `gorm:"column:sku"`
	Difference int64  // units more, or less if negative
	Reason     string
	RecordedAt int64
}

// TableName is the table's name for gorm.
func (Adjustment) TableName() string { return "adjustments" }

// NewAdjustment checks an adjustment. The error is an InvalidArgument that names
// every field which is out of its bounds.
func NewAdjustment(id, sku string, difference int64, reason string) (Adjustment, error) {
	var wrong apierror.Violations
	if !event.IsVisibleASCII(id, maxAdjustmentID) {
		wrong.Add("adjustment_id", "must be 1 to %d visible ASCII characters", maxAdjustmentID)
	}
	checkSKU(&wrong, "sku", sku)
	if difference == 0 || difference < -maxDifference || difference > maxDifference {
		wrong.Add("difference", "must be 1 to %d or -1 to -%d, is %d", maxDifference, maxDifference, difference)
	}
	if !event.IsLine(reason, maxReason) {
		wrong.Add("reason", "must be 1 to %d characters, none of them a control character", maxReason)
	}
	return Adjustment{ID: id, SKU: sku, Difference: difference, Reason: reason}, wrong.Err()
}

// AdjustStock corrects what is available of a SKU, once, and returns the SKU's stock
// as it is then.
//
// Errors: ADJUSTMENT_ID_REUSED if the id came with something else before,
// SKU_NOT_FOUND if the SKU was never received, NOT_ENOUGH_AVAILABLE if less is
// available than is to be taken away, STOCK_OVERFLOW if too much would ever have been
// received, else the database's.
func (s *Store) AdjustStock(ctx context.Context, a Adjustment) (Stock, error) {
	record := func(tx *gorm.DB, now time.Time) error {
		a.RecordedAt = now.UnixMilli()
		if err := insertRecord(tx, &a); err != nil {
			return err
		}
		if done, err := addUnits(tx, a.SKU, a.Difference, now); done || err != nil {
			return err
		}
		return refuse(tx, a)
	}
	return s.recordOnce(ctx, a.SKU, record, func() error { return s.checkAdjustment(ctx, a) })
}

// refuse says why an adjustment cannot be made. If it could by now, it starts again.
func refuse(tx *gorm.DB, a Adjustment) error {
	stocks, err := lockStocks(tx, []Line{{SKU: a.SKU}})
	if err != nil {
		return err
	}
	stock, known := stocks[a.SKU]
	switch {
	case !known:
		return skuNotFound(a.SKU)
	case stock.Available < -a.Difference:
		return apierror.FailedPrecondition(ReasonNotEnoughAvailable, 0,
			"%d units of %s are available; %d cannot be taken away", stock.Available, a.SKU, -a.Difference)
	case stock.Received > maxReceived-a.Difference:
		return overflow(stock, a.Difference)
	default:
		return errOvertaken
	}
}

// checkAdjustment is nil if the adjustment that has the id is the same one.
func (s *Store) checkAdjustment(ctx context.Context, a Adjustment) error {
	var first Adjustment
	if err := s.db.With(ctx).Where("id = ?", a.ID).Take(&first).Error; err != nil {
		return fmt.Errorf("read adjustment: %w", err)
	}
	if first.SKU != a.SKU || first.Difference != a.Difference || first.Reason != a.Reason {
		return apierror.AlreadyExists(ReasonAdjustmentIDReused, "adjustment %s was recorded before, as %+d units of %s because of %q",
			a.ID, first.Difference, first.SKU, first.Reason)
	}
	return nil
}
