package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"orderflow/internal/apierror"
	"orderflow/internal/database"
	"orderflow/internal/event"
)

// MaxRequestID is the most characters of the id of an extension.
const MaxRequestID = 64

// extension is an extension of an order's payment window, and its row: what makes it
// count once.
type extension struct {
	OrderID    string `gorm:"primaryKey"`
	RequestID  string `gorm:"primaryKey"`
	WindowMs   int64
	ExpiresAt  int64
	RecordedAt int64
}

// TableName is the table of the rows.
func (extension) TableName() string { return "payment_extensions" }

func keyExtension() database.Key {
	return database.Key{Index: "PRIMARY", Columns: []string{"order_id", "request_id"}}
}

// Extend gives the customer a new payment window that begins now. The new timer goes
// out before the order changes, as when an order is placed: the old one finds a later
// due time than its own, and does nothing. If the order does not change after all,
// the new timer finds it closed, or paid. No event tells of it: inventory asks before
// it acts, and learns the new due time then.
//
// It is idempotent by order and request id. The errors are those of ExtendPayment in
// the proto.
func (s *Service) Extend(ctx context.Context, id, requestID string, window time.Duration) (Order, error) {
	var v apierror.Violations
	checkID(&v, id)
	if !event.IsVisibleASCII(requestID, MaxRequestID) {
		v.Add("request_id", "must be 1 to %d visible ASCII characters", MaxRequestID)
	}
	if window <= 0 || window%time.Millisecond != 0 {
		v.Add("payment_window", "must be a positive number of whole milliseconds")
	}
	if err := v.Err(); err != nil {
		return Order{}, err
	}
	for range maxDecisions {
		done, err := s.tryExtend(ctx, id, requestID, window)
		switch {
		case errors.Is(err, errStale) || database.IsDuplicate(err, keyExtension()):
			continue // it changed meanwhile, or this very call is under way twice
		case err != nil:
			return Order{}, forClient(err)
		case done:
			return s.Get(ctx, id)
		}
	}
	return Order{}, errContention()
}

func (s *Service) tryExtend(ctx context.Context, id, requestID string, window time.Duration) (done bool, err error) {
	o, err := s.Get(ctx, id)
	if err != nil {
		return false, err
	}
	// Behind the order, so that what is not recorded yet is not in it either.
	known, found, err := s.store.findExtension(ctx, id, requestID)
	switch {
	case err != nil:
		return false, err
	case found && known.WindowMs != window.Milliseconds():
		return false, errRequestIDReused()
	case found:
		s.metrics.countAbsorbed(absorbedExtend)
		return true, nil
	}
	if err := s.checkOpen(o); err != nil {
		return false, err
	}
	if o.ExpiresAt == NoTimeout {
		return false, errTimeoutExempt()
	}
	if window, err = s.window(ctx, window); err != nil {
		return false, err
	}
	longer := o
	longer.ExpiresAt = s.clock.Now().Add(window).UnixMilli()
	if longer.ExpiresAt <= o.ExpiresAt {
		return false, errNotLater()
	}
	ctx, cancel := context.WithTimeout(ctx, share(ctx, s.config.LocalTransactionTimeout))
	defer cancel()
	timer, err := s.sendPaymentTimeout(ctx, longer, window)
	if err != nil {
		return false, err
	}
	sent := Entry{Cause: ByClient, Tag: string(event.TagTimeout), MessageID: timer}
	err = s.store.inTx(ctx, func(tx *Tx) error {
		x := extension{OrderID: id, RequestID: requestID, WindowMs: window.Milliseconds(), ExpiresAt: longer.ExpiresAt, RecordedAt: tx.now}
		if err := tx.db.Create(&x).Error; err != nil {
			return fmt.Errorf("record extension: %w", err)
		}
		return tx.save(o, longer, sent.because("payment window extended by request %s", requestID), tx.unexpired(), tx.payable(o))
	})
	return err == nil, err
}

// payable holds while an order waits for its payment until the time it was read with.
func (tx *Tx) payable(o Order) condition {
	return condition{"status IN ? AND expires_at = ?", []any{[]Status{Placed, Reserved}, o.ExpiresAt}}
}

// checkOpen says that an order does not wait for its payment any more, if so.
func (s *Service) checkOpen(o Order) error {
	if err := errEnded(o); err != nil {
		return err
	}
	if o.ExpiresAt <= s.clock.Now().UnixMilli() {
		return errWindowEnded()
	}
	return nil
}

func (s *Store) findExtension(ctx context.Context, id, requestID string) (x extension, found bool, err error) {
	err = s.db.With(ctx).Where("order_id = ? AND request_id = ?", id, requestID).Take(&x).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return x, false, nil
	}
	if err != nil {
		return x, false, fmt.Errorf("read extension: %w", err)
	}
	return x, true, nil
}
