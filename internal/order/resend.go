package order

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// tag is the event that brought an order into its status, or, where the status has
// none of its own, the one before it: what inventory has to know.
func (s Status) tag() event.Tag {
	switch s {
	case Paid:
		return event.TagPaid
	case Closed:
		return event.TagClosed
	default:
		return event.TagCreated
	}
}

// resend sends the event of an order's present status again. It is a half message
// like every event; its local transaction claims the order's row, so that of several
// who want to send one does, and nobody sends what is not true any more: errStale
// says that the order has changed, or another was faster. Whoever gets the event
// absorbs it if it is known.
func (s *Service) resend(ctx context.Context, o Order, by Cause, claim func(tx *Tx) error) error {
	e, err := s.eventAgain(ctx, o)
	if err != nil {
		return err
	}
	return s.transition(ctx, o.Status.tag(), e, change{apply: func(tx *Tx, m message.Message) error {
		if err := claim(tx); err != nil {
			return err
		}
		entry := sentBy(by, m).because("sent again: the order is %s, inventory has confirmed %s", o.Status, o.StockState)
		return tx.note(entry.of(KindSent, o.ID))
	}})
}

// eventAgain is the event of the order's present status as it was at its time.
func (s *Service) eventAgain(ctx context.Context, o Order) (*eventv1.OrderEvent, error) {
	e := s.eventOf(o)
	e.OccurredAtMs = o.CreatedAt
	switch o.Status {
	case Paid:
		p, found, err := s.store.findAccepted(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		if found {
			e.PaymentId, e.OccurredAtMs = p.ID, p.RecordedAt
		}
	case Closed:
		at, err := s.store.closedAt(ctx, o)
		if err != nil {
			return nil, err
		}
		e.OccurredAtMs, e.CloseReason = at, eventv1.CloseReason(o.CloseReason) // the numbers are the same
	case Placed, Reserved:
	}
	return e, nil
}

// findAccepted reads the payment that has paid for an order.
func (s *Store) findAccepted(ctx context.Context, orderID string) (p Payment, found bool, err error) {
	err = s.db.With(ctx).Where("order_id = ? AND outcome = ?", orderID, PaymentAccepted).Take(&p).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("read payment: %w", err)
	}
	return p, true, nil
}

// closedAt is when an order was closed, in milliseconds; its row changes once more
// afterwards, when inventory confirms.
func (s *Store) closedAt(ctx context.Context, o Order) (int64, error) {
	var e Entry
	err := s.db.With(ctx).Where("order_id = ? AND kind = ? AND status = ?", o.ID, KindChanged, Closed).
		Order("version").Limit(1).Find(&e).Error
	if err != nil {
		return 0, fmt.Errorf("read timeline: %w", err)
	}
	if e.ID == "" { // closed by a program that wrote no timeline
		return o.UpdatedAt, nil
	}
	return e.At, nil
}
