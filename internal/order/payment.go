package order

import (
	"errors"
	"fmt"

	"gorm.io/gorm"

	"orderflow/internal/apierror"
	"orderflow/internal/event"
)

// PaymentOutcome is what became of a payment. The numbers are stored.
type PaymentOutcome int16

// The outcomes.
const (
	PaymentAccepted PaymentOutcome = 1 // it paid for the order
	RefundDue       PaymentOutcome = 2 // it could not, and has to be refunded
)

// RefundReason says why a payment has to be refunded. The numbers are stored.
type RefundReason int16

// The reasons.
const (
	NoRefund       RefundReason = 0
	OrderClosed    RefundReason = 1 // the order was closed before
	PastDue        RefundReason = 2 // the payment window had ended
	AlreadyPaid    RefundReason = 3 // another payment had paid
	AmountMismatch RefundReason = 4 // not the order's amount or currency
)

// String is the reason in timelines and logs.
func (r RefundReason) String() string {
	switch r {
	case NoRefund:
		return ""
	case OrderClosed:
		return "ORDER_CLOSED"
	case PastDue:
		return "PAST_DUE"
	case AlreadyPaid:
		return "ALREADY_PAID"
	case AmountMismatch:
		return "AMOUNT_MISMATCH"
	}
	return "UNKNOWN"
}

// Payment is a payment that has happened at the provider, and what became of it.
type Payment struct {
	ID           string `gorm:"primaryKey"` // the provider's
	OrderID      string
	AmountMinor  int64
	Currency     string
	Outcome      PaymentOutcome
	RefundReason RefundReason
	RecordedAt   int64
	RefundID     string // the provider's, once it is refunded
	RefundedAt   int64  // 0 while it is not
}

// TableName is the table of the rows.
func (Payment) TableName() string { return "payments" }

// NewPayment checks a payment that is to be recorded. The error is an
// InvalidArgument that names every field that is out of its bounds.
func NewPayment(id, orderID string, amountMinor int64, currencyCode string) (Payment, error) {
	var v apierror.Violations
	checkID(&v, orderID)
	if !event.IsVisibleASCII(id, MaxPaymentLength) {
		v.Add("payment_id", "must be 1 to %d visible ASCII characters", MaxPaymentLength)
	}
	if amountMinor < 0 {
		v.Add("amount.minor_units", "must be 0 or more, got %d", amountMinor)
	}
	if !isCurrency(currencyCode) {
		v.Add("amount.currency_code", "must be an ISO 4217 code of three upper-case letters")
	}
	if err := v.Err(); err != nil {
		return Payment{}, err
	}
	return Payment{ID: id, OrderID: orderID, AmountMinor: amountMinor, Currency: currencyCode}, nil
}

// same tells whether both are the one payment, and not two with one id.
func (p Payment) same(other Payment) bool {
	return p.ID == other.ID && p.OrderID == other.OrderID &&
		p.AmountMinor == other.AmountMinor && p.Currency == other.Currency
}

// decided is the payment with what becomes of it, given the order as it is at
// now (milliseconds). ok is false while the order's stock is not confirmed:
// nothing is decided then, and nothing recorded.
func (p Payment) decided(o Order, now int64) (_ Payment, ok bool) {
	p.Outcome, p.RefundReason, p.RecordedAt = RefundDue, NoRefund, now
	switch {
	case o.Status == Placed:
		return p, false
	case o.Status == Paid:
		p.RefundReason = AlreadyPaid
	case o.Status == Closed:
		p.RefundReason = OrderClosed
	case now >= o.ExpiresAt: // even if the timer is late
		p.RefundReason = PastDue
	case p.AmountMinor != o.TotalMinor || p.Currency != o.Currency:
		p.RefundReason = AmountMismatch
	default:
		p.Outcome = PaymentAccepted
	}
	return p, true
}

// findPayment reads a payment; found is false if its id was never recorded.
func findPayment(db *gorm.DB, id string) (p Payment, found bool, err error) {
	err = db.Where("id = ?", id).Take(&p).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("read payment: %w", err)
	}
	return p, true, nil
}

// insertPayment records a payment. The error is a duplicate of the primary key if
// its id was recorded before.
func (tx *Tx) insertPayment(p Payment) error {
	if err := tx.db.Create(&p).Error; err != nil {
		return fmt.Errorf("record payment: %w", err)
	}
	return nil
}
