package order

import (
	"context"
	"errors"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// MaxReason is the most characters of a reason that a person gives.
const MaxReason = 200

// Cancel closes an order that is not paid, because the customer wants it; reason is in
// the customer's words, and may be empty. An order that is cancelled already is
// returned as it is. The errors are those of CancelOrder in the proto.
func (s *Service) Cancel(ctx context.Context, id, reason string) (Order, error) {
	var v apierror.Violations
	checkID(&v, id)
	if reason != "" && !event.IsLine(reason, MaxReason) {
		v.Add("reason", "must be at most %d characters without control characters", MaxReason)
	}
	if err := v.Err(); err != nil {
		return Order{}, err
	}
	for range maxDecisions {
		o, err := s.Get(ctx, id)
		switch {
		case err != nil:
			return Order{}, err
		case o.Status == Closed && o.CloseReason == Cancelled:
			return o, nil
		}
		if err := errEnded(o); err != nil {
			return Order{}, err
		}
		err = s.cancel(ctx, o, reason)
		if err != nil && !errors.Is(err, errStale) { // stale: it changed meanwhile
			return Order{}, forClient(err)
		}
	}
	return Order{}, errContention()
}

func (s *Service) cancel(ctx context.Context, o Order, reason string) error {
	e := s.eventOf(o)
	e.CloseReason = eventv1.CloseReason_CLOSE_REASON_CANCELLED
	return s.transition(ctx, event.TagClosed, e, change{apply: func(tx *Tx, m message.Message) error {
		return tx.move(o.ID, transitionCancel(), sentBy(ByClient, m).because("%s", reason),
			func(after *Order) { after.CancelReason = reason })
	}})
}
