package order

import (
	"context"
	"fmt"

	"orderflow/internal/apierror"
	"orderflow/internal/event"
)

// Reasons of the errors of ResolveRefund.
const (
	ReasonPaymentNotFound       = "PAYMENT_NOT_FOUND"
	ReasonNoRefundDue           = "NO_REFUND_DUE"
	ReasonRefundAlreadyResolved = "REFUND_ALREADY_RESOLVED"
)

// MaxRefundLength is how long the provider's id of a refund may be.
const MaxRefundLength = MaxPaymentLength

// Refund says that a payment was refunded. Only NewRefund makes one.
type Refund struct {
	paymentID, refundID string
}

// NewRefund checks a refund that is to be recorded. The error is an InvalidArgument
// that names every field that is out of its bounds.
func NewRefund(paymentID, refundID string) (Refund, error) {
	var v apierror.Violations
	if !event.IsVisibleASCII(paymentID, MaxPaymentLength) {
		v.Add("payment_id", "must be 1 to %d visible ASCII characters", MaxPaymentLength)
	}
	if !event.IsVisibleASCII(refundID, MaxRefundLength) {
		v.Add("refund_id", "must be 1 to %d visible ASCII characters", MaxRefundLength)
	}
	if err := v.Err(); err != nil {
		return Refund{}, err
	}
	return Refund{paymentID: paymentID, refundID: refundID}, nil
}

// RefundPosition is where a payment stands in the list of refunds that are due, of
// which the oldest is the first. The zero value is before all of them.
type RefundPosition struct {
	RecordedAt int64  `json:"at"`
	ID         string `json:"id"`
}

func (p Payment) position() RefundPosition { return RefundPosition{p.RecordedAt, p.ID} }

// RefundsDue returns up to size payments behind a position that have to be refunded
// and are not, the oldest first, and whether there are more. The error is that the
// database is not available.
func (s *Service) RefundsDue(ctx context.Context, behind RefundPosition, size int) (due []Payment, more bool, err error) {
	due, err = s.store.refundsDue(ctx, behind, size+1)
	if err != nil {
		return nil, false, forClient(err)
	}
	if len(due) > size {
		return due[:size], true, nil
	}
	return due, false, nil
}

func (s *Store) refundsDue(ctx context.Context, behind RefundPosition, limit int) (due []Payment, err error) {
	err = s.db.With(ctx).Where("outcome = ? AND refunded_at = 0", RefundDue).
		Where("recorded_at >= ? AND (recorded_at > ? OR id > ?)", behind.RecordedAt, behind.RecordedAt, behind.ID).
		Order("recorded_at, id").Limit(limit).Find(&due).Error
	if err != nil {
		return nil, fmt.Errorf("list refunds due: %w", err)
	}
	return due, nil
}

// ResolveRefund records that a payment was refunded. It is idempotent by both ids;
// the errors are those of ResolveRefund in the proto.
func (s *Service) ResolveRefund(ctx context.Context, r Refund) (p Payment, err error) {
	err = s.store.inTx(ctx, func(tx *Tx) (err error) {
		p, err = tx.resolveRefund(r)
		return err
	})
	return p, forClient(err)
}

// resolveRefund is one conditional UPDATE, whose row count says whether the refund was
// due. If it was not, the row says why.
func (tx *Tx) resolveRefund(r Refund) (Payment, error) {
	result := tx.db.Table("payments").Where("id = ? AND outcome = ? AND refunded_at = 0", r.paymentID, RefundDue).
		Updates(map[string]any{"refund_id": r.refundID, "refunded_at": tx.now})
	if result.Error != nil {
		return Payment{}, fmt.Errorf("resolve refund: %w", result.Error)
	}
	p, found, err := findPayment(tx.db, r.paymentID)
	switch {
	case err != nil:
		return Payment{}, err
	case !found:
		return Payment{}, apierror.NotFound(ReasonPaymentNotFound, "there is no payment %s", r.paymentID)
	case result.RowsAffected == 1:
		return p, tx.note(Entry{
			OrderID: p.OrderID, Kind: KindPayment, Cause: ByClient,
			Detail: fmt.Sprintf("payment %s was refunded: refund %s", p.ID, p.RefundID),
		})
	case p.Outcome != RefundDue:
		return Payment{}, apierror.FailedPrecondition(ReasonNoRefundDue, 0, "the payment has paid for its order")
	case p.RefundedAt == 0: // it was recorded since the update
		return Payment{}, errContention()
	case p.RefundID != r.refundID:
		return Payment{}, apierror.AlreadyExists(ReasonRefundAlreadyResolved, "the payment was refunded under another refund id")
	}
	return p, nil
}
