package order

import (
	"context"
	"errors"

	"orderflow/internal/apierror"
	"orderflow/internal/event"
)

// Exempt takes an order out of the payment timeout, for a reason that goes into its
// timeline: it waits until it is paid or cancelled. Its timer finds a later due time
// than its own, and does nothing. An order that is exempt already is returned as it
// is. The errors are those of ExemptFromTimeout in the proto.
func (s *Service) Exempt(ctx context.Context, id, reason string) (Order, error) {
	var v apierror.Violations
	checkID(&v, id)
	if !event.IsLine(reason, MaxReason) {
		v.Add("reason", "must be 1 to %d characters without control characters", MaxReason)
	}
	if err := v.Err(); err != nil {
		return Order{}, err
	}
	for range maxDecisions {
		o, err := s.Get(ctx, id)
		if err != nil {
			return Order{}, err
		}
		if err := s.checkOpen(o); err != nil {
			return Order{}, err
		}
		if o.ExpiresAt == NoTimeout {
			return o, nil
		}
		exempt := o
		exempt.ExpiresAt = NoTimeout
		err = s.store.inTx(ctx, func(tx *Tx) error {
			e := Entry{Cause: ByClient}.because("exempt from the timeout: %s", reason)
			return tx.save(o, exempt, e, tx.unexpired(), tx.payable(o))
		})
		if err != nil && !errors.Is(err, errStale) { // stale: it changed meanwhile
			return Order{}, forClient(err)
		}
	}
	return Order{}, errContention()
}
