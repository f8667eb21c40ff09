package order

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/tracing"
)

// RedriveAction is what was done about an order that an operator wants to be driven
// on. The numbers are those of the proto.
type RedriveAction int

// The actions.
const (
	RedriveNothing RedriveAction = 0 // nothing could be done at the moment
	RedriveUnknown RedriveAction = 1 // there is no such order
	RedriveCreated RedriveAction = 2 // created was sent again
	RedrivePaid    RedriveAction = 3 // paid was sent again
	RedriveClosed  RedriveAction = 4 // closed was sent again
	RedriveExpired RedriveAction = 5 // it was past its payment window, and is closed now
)

// RedriveResult is what was done about one order.
type RedriveResult struct {
	OrderID string
	Action  RedriveAction
}

// Redrive drives orders on as the sweeper does, but at once and whether or not
// inventory has confirmed them: each order's present event is sent again, and one
// that is past its payment window is closed. The errors are those of RedriveOrders
// in the proto; an order about which nothing could be done is RedriveNothing.
func (s *Service) Redrive(ctx context.Context, ids []string) ([]RedriveResult, error) {
	if err := checkOrderIDs(ids); err != nil {
		return nil, err
	}
	results := make([]RedriveResult, len(ids))
	errs := forEach(ids, func(i int, id string) error {
		action, err := s.redrive(ctx, id)
		results[i] = RedriveResult{OrderID: id, Action: action}
		return err
	})
	failed := 0
	for i, err := range errs {
		if err != nil {
			results[i] = RedriveResult{OrderID: ids[i]}
			failed++
		}
	}
	if failed == len(ids) {
		return nil, forClient(errors.Join(errs...))
	}
	return results, nil
}

func (s *Service) redrive(ctx context.Context, id string) (action RedriveAction, err error) {
	ctx, span := tracing.Start(ctx, "redrive order", id)
	defer func() { tracing.End(span, err) }()
	for range maxDecisions {
		o, found, err := s.store.find(ctx, id)
		if err != nil {
			return RedriveNothing, err
		}
		if !found {
			return RedriveUnknown, nil
		}
		span.AddLink(trace.Link{SpanContext: tracing.Stored(o.Traceparent)}) // none if it is not valid
		action := redriveOf(o)
		if transitionExpire().CanLeave(o.Status) && o.ExpiresAt <= s.clock.Now().UnixMilli() {
			action, err = RedriveExpired, s.expire(ctx, o, ByOperator)
		} else {
			err = s.resend(ctx, o, ByOperator, func(tx *Tx) error { return tx.reschedule(o, o.SweepAt, o.SweepCount) })
		}
		if !errors.Is(err, errStale) {
			return action, err
		}
	}
	return RedriveNothing, errContention()
}

func redriveOf(o Order) RedriveAction {
	switch o.Status {
	case Paid:
		return RedrivePaid
	case Closed:
		return RedriveClosed
	default:
		return RedriveCreated
	}
}
