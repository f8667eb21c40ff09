package order

import (
	"context"
	"errors"

	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// Pay records a payment that has already happened, and pays the order with it if
// that is possible. It is idempotent by the payment's id. The errors are those of
// PayOrder in the proto.
//
// The decision falls under the lock of the order's row. Because the event of a
// half message is fixed before that, a decision that turns out otherwise under
// the lock than it looked before rolls back, and is made anew.
func (s *Service) Pay(ctx context.Context, p Payment) (Payment, Order, error) {
	for range maxDecisions {
		recorded, err := s.tryPay(ctx, p)
		if errors.Is(err, errStale) || database.IsDuplicate(err, keyID()) {
			continue // overtaken by another payment, the timer, or a repetition of this call
		}
		if err != nil {
			return Payment{}, Order{}, forClient(err)
		}
		o, err := s.Get(ctx, p.OrderID)
		return recorded, o, err
	}
	return Payment{}, Order{}, errContention()
}

func (s *Service) tryPay(ctx context.Context, p Payment) (Payment, error) {
	recorded, found, err := findPayment(s.store.db.With(ctx), p.ID)
	if err != nil {
		return Payment{}, err
	}
	if found {
		if !recorded.same(p) {
			return Payment{}, errPaymentIDReused()
		}
		s.metrics.countAbsorbed(absorbedPay)
		return recorded, nil
	}
	o, found, err := s.store.find(ctx, p.OrderID)
	if err != nil {
		return Payment{}, err
	}
	if !found {
		return Payment{}, errOrderNotFound(p.OrderID)
	}
	expected, ok := p.decided(o, s.clock.Now().UnixMilli())
	if !ok {
		return Payment{}, errStockNotConfirmed()
	}
	if expected.Outcome == RefundDue {
		err = s.store.inTx(ctx, func(tx *Tx) error { return tx.recordRefundDue(&expected) })
		return expected, err
	}
	e := s.eventOf(o)
	e.PaymentId = p.ID
	err = s.transition(ctx, event.TagPaid, e, change{apply: func(tx *Tx, m message.Message) error {
		if err := tx.record(&expected); err != nil {
			return err
		}
		return tx.move(p.OrderID, transitionPay(), sentBy(ByClient, m).because("payment %s", p.ID), nil, tx.unexpired())
	}})
	return expected, err
}

// recordRefundDue writes down a payment that cannot pay for its order.
func (tx *Tx) recordRefundDue(expected *Payment) error {
	if err := tx.record(expected); err != nil {
		return err
	}
	e := Entry{Cause: ByClient}.because("payment %s is a refund due: %s", expected.ID, expected.RefundReason)
	return tx.note(e.of(KindPayment, expected.OrderID))
}

// record decides about the payment again, now under the order's lock, and writes
// it down if the decision is the expected one; else the error is errStale.
func (tx *Tx) record(expected *Payment) error {
	o, found, err := tx.lock(expected.OrderID)
	if err != nil {
		return err
	}
	if !found {
		return errOrderNotFound(expected.OrderID)
	}
	decided, ok := expected.decided(o, tx.now)
	if !ok || decided.Outcome != expected.Outcome {
		return errStale
	}
	*expected = decided
	return tx.insertPayment(decided)
}
