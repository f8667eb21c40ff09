package order

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// MaxClose is the most orders that one CloseIfUnpaid may name.
const MaxClose = event.MaxEvents

// ordersAtOnce is how many orders of one call are decided about at the same time.
const ordersAtOnce = 8

// CloseOutcome is how an order stands after CloseIfUnpaid.
type CloseOutcome int

// The outcomes.
const (
	OutcomeUnknown CloseOutcome = iota // there is no such order
	OutcomeClosed                      // closed, now or before
	OutcomePaid                        // paid
	OutcomeNotDue                      // unpaid, and its window has not ended
)

// CloseResult is the answer for one order.
type CloseResult struct {
	OrderID string
	Outcome CloseOutcome
	Reason  CloseReason // if closed
	DueAt   int64       // milliseconds since the Unix epoch; 0 if unknown
}

// CloseIfUnpaid closes each of the orders whose payment window has ended and
// which is not paid, and says how each one stands, in the order of ids. One about
// which nothing could be decided is left out; only if that is so for all, the call
// fails. It is the
// one place where a timeout is decided, for the timer and for whoever else asks;
// by is who does. It can be repeated; the errors are those of the proto.
func (s *Service) CloseIfUnpaid(ctx context.Context, ids []string, by Cause) ([]CloseResult, error) {
	if err := checkOrderIDs(ids); err != nil {
		return nil, err
	}
	results := make([]CloseResult, len(ids))
	errs := forEach(ids, func(i int, id string) (err error) {
		results[i], err = s.closeIfUnpaid(ctx, id, by)
		return err
	})
	decided := results[:0]
	for i, err := range errs {
		if err == nil {
			decided = append(decided, results[i])
		}
	}
	if len(decided) == 0 {
		return nil, forClient(errors.Join(errs...))
	}
	return decided, nil
}

// checkOrderIDs checks the ids of a call that names up to MaxClose orders.
func checkOrderIDs(ids []string) error {
	var v apierror.Violations
	if len(ids) < 1 || len(ids) > MaxClose {
		v.Add("order_ids", "must be 1 to %d ids, got %d", MaxClose, len(ids))
	}
	for i, id := range ids {
		if !event.IsOrderID(id) && len(ids) <= MaxClose {
			v.Add(fieldAt("order_ids", i), "must be a UUID in its canonical form")
		}
	}
	return v.Err()
}

// forEach runs f for all items, some at the same time, and returns the error of each:
// one order must not fail for another's sake.
func forEach[T any](items []T, f func(i int, item T) error) []error {
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(ordersAtOnce)
	for i, item := range items {
		group.Go(func() error {
			errs[i] = safely(func() error { return f(i, item) })
			return nil
		})
	}
	_ = group.Wait()
	return errs
}

// safely turns a panic on a goroutine of our own into an error: there the server's
// recovery does not reach.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

func (s *Service) closeIfUnpaid(ctx context.Context, id string, by Cause) (CloseResult, error) {
	for range maxDecisions {
		o, found, err := s.store.find(ctx, id)
		if err != nil {
			return CloseResult{}, err
		}
		if !found {
			return CloseResult{OrderID: id, Outcome: OutcomeUnknown}, nil
		}
		result := CloseResult{OrderID: id, DueAt: o.ExpiresAt, Reason: o.CloseReason}
		switch {
		case o.Status == Closed:
			result.Outcome = OutcomeClosed
			return result, nil
		case o.Status == Paid:
			result.Outcome = OutcomePaid
			return result, nil
		case s.clock.Now().UnixMilli() < o.ExpiresAt:
			result.Outcome = OutcomeNotDue
			return result, nil
		}
		err = s.expire(ctx, o, by)
		if err == nil {
			result.Outcome, result.Reason = OutcomeClosed, Timeout
			return result, nil
		}
		if !errors.Is(err, errStale) { // stale: it was paid, closed or extended meanwhile
			return CloseResult{}, err
		}
	}
	return CloseResult{}, errContention()
}

// expire closes an order whose window has ended.
func (s *Service) expire(ctx context.Context, o Order, by Cause) error {
	e := s.eventOf(o)
	e.CloseReason = eventv1.CloseReason_CLOSE_REASON_TIMEOUT
	return s.transition(ctx, event.TagClosed, e, change{apply: func(tx *Tx, m message.Message) error {
		return tx.move(o.ID, transitionExpire(), sentBy(by, m), nil, tx.expired())
	}})
}
