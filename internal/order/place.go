package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/internal/apierror"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

// Place places an order: it sends the timer and, at the same time, the half
// message "created"; when the broker has acknowledged both, the order is
// inserted in the half message's local transaction.
//
// It is idempotent by customer and idempotency key. The errors are those of
// CreateOrder in the proto.
func (s *Service) Place(ctx context.Context, d Draft) (Order, error) {
	if o, found, err := s.repeated(ctx, d); found || err != nil {
		return o, err
	}
	window, err := s.window(ctx, d.request.Window)
	if err != nil {
		return Order{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Order{}, fmt.Errorf("make order id: %w", err)
	}
	now := s.clock.Now()
	o := s.store.schedule.plan(d.order(id.String(), window, now), now.UnixMilli())
	o.Traceparent = tracing.Traceparent(ctx)
	tracing.About(ctx, o.ID)

	timer := s.sendTimer(ctx, o)
	defer timer.abandon()
	err = s.transition(ctx, event.TagCreated, s.eventOf(o), change{
		ready:  timer.acknowledged,
		before: o.latestCommit(),
		apply: func(tx *Tx, m message.Message) error {
			if err := tx.insert(o); err != nil {
				return err
			}
			sent := Entry{Cause: ByClient, Tag: string(event.TagTimeout), MessageID: timer.id}
			if err := tx.note(sent.of(KindSent, o.ID), sentBy(ByClient, m).changed(o)); err != nil {
				return err
			}
			if s.clock.Now().UnixMilli() >= o.latestCommit() {
				return errTooLate
			}
			return nil
		},
	})
	if database.IsDuplicate(err, keyIdempotency()) { // the same key at the same moment: the other one won
		if o, found, err := s.repeated(ctx, d); found || err != nil {
			return o, err
		}
		return Order{}, errContention()
	}
	if err != nil {
		return Order{}, forClient(err)
	}
	return o, nil
}

// repeated returns the order that was placed with the draft's key before, or
// IDEMPOTENCY_KEY_REUSED if that was another request.
func (s *Service) repeated(ctx context.Context, d Draft) (o Order, found bool, err error) {
	o, found, err = s.store.findByKey(ctx, d.request.CustomerID, d.request.IdempotencyKey)
	switch {
	case err != nil:
		return Order{}, false, forClient(err)
	case !found:
		return Order{}, false, nil
	case o.RequestHash != d.hash:
		return Order{}, true, errKeyReused()
	}
	s.metrics.countAbsorbed(absorbedCreate)
	return o, true, nil
}

// window is the payment window to use: the asked one if the broker can deliver
// after exactly that, and if it leaves room for the local transaction.
func (s *Service) window(ctx context.Context, asked time.Duration) (time.Duration, error) {
	window := asked
	if window == 0 {
		window = s.config.PaymentWindow
	}
	err := s.timers.CheckDelay(ctx, window)
	var unsupported *message.UnsupportedDelayError
	if err != nil && !errors.As(err, &unsupported) {
		return 0, forClient(err)
	}
	if unsupported != nil || window <= s.config.LocalTransactionTimeout {
		var v apierror.Violations
		if unsupported != nil {
			v.Add("payment_window", "%v", unsupported)
		} else {
			v.Add("payment_window", "must be longer than %s", s.config.LocalTransactionTimeout)
		}
		return 0, v.Err()
	}
	return window, nil
}
