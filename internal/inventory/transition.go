package inventory

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/database"
	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

// maxCustomerID is the size of the column: the text is foreign, and a row must not
// fail for it.
const maxCustomerID = 64

// incident is something that has happened to one order.
type incident struct {
	what       trigger
	orderID    string
	customerID string          // who placed the order; empty if what arrived does not say so
	expiresAt  int64           // the order's due time, in epoch milliseconds
	lines      []*eventv1.Line // the order's lines, unsorted; none if what needs none
	arrived    arrival         // for the timeline

	traceparent *string // the span that handles it; nil if none is recorded
}

// arrival is how an incident became known.
type arrival struct {
	what      string // created, paid, closed, timeout or sweep
	messageID string
	attempt   int
	detail    string // what else is known, for people
}

// arrivalOf is that of a message.
func arrivalOf(m message.Message) arrival {
	return arrival{what: m.Tag, messageID: m.ID, attempt: m.Attempt}
}

// with is the arrival with more about it.
func (a arrival) with(detail string) arrival {
	a.detail = joinDetails(a.detail, detail)
	return a
}

// transition does what the table says about the incident, in one transaction. It
// returns the reservation as it is afterwards, ready to be told to order-srv
// (a rejected one has its lines), or nil if there is nothing to tell.
//
// A *message.PermanentError says that the incident contradicts the reservation; on
// every error nothing has changed, except on database.ErrUnknownOutcome, where
// it may have: the redelivery finds out.
func (s *Store) transition(ctx context.Context, in incident) (after *Reservation, err error) {
	ctx, span := tracing.Start(ctx, "change reservation", in.orderID)
	defer func() { tracing.End(span, err) }()
	in.traceparent = tracing.Traceparent(ctx)
	for range maxOvertaken {
		var before Reservation
		err = s.db.InTx(ctx, func(tx *gorm.DB) error {
			current, err := lockReservation(tx, in.orderID)
			if err != nil {
				return err
			}
			span.SetName(decide(in.what, current.Status).action.String())
			before = current
			after, err = s.act(tx, in, current)
			if err != nil {
				return err
			}
			return s.note(tx, s.entryOf(in, current, after))
		})
		if err == nil {
			describe(span, after)
			s.metrics.countTransition(in, before, after)
			return after, nil
		}
		if !errors.Is(err, errOvertaken) {
			break
		}
	}
	return nil, fmt.Errorf("order %s, %s: %w", in.orderID, in.what, err)
}

// describe says in the span where the reservation stands.
func describe(span trace.Span, r *Reservation) {
	if r != nil && span.IsRecording() {
		span.SetAttributes(attribute.String("orderflow.reservation.status", r.Status.String()),
			attribute.Int64("orderflow.reservation.version", r.Version))
	}
}

// act carries out the decision about a reservation that is locked, or absent.
func (s *Store) act(tx *gorm.DB, in incident, current Reservation) (*Reservation, error) {
	verdict := decide(in.what, current.Status)
	switch verdict.action {
	case doReserve:
		return s.reserve(tx, in)
	case doSellAtOnce:
		return s.sellAtOnce(tx, in, verdict.reason)
	case doEntomb:
		return s.entomb(tx, in)
	case doRelease:
		return s.release(tx, current)
	case doSell:
		return s.settle(tx, current)
	case doRepeat:
		return repeated(tx, current)
	case doIgnore:
		return nil, nil
	default:
		return nil, message.Permanent(verdict.reason, "order %s is %s, but its reservation is %s (version %d)",
			in.orderID, in.what, current.Status, current.Version)
	}
}

// repeated is the reservation as it was already. Only a rejection is told with
// its lines.
func repeated(tx *gorm.DB, current Reservation) (*Reservation, error) {
	if current.Status != StatusRejected {
		return &current, nil
	}
	lines, err := findLines(tx, current.OrderID)
	current.Lines = lines
	return &current, err
}

// newReservation is the first version of an order's reservation.
func (s *Store) newReservation(in incident, status Status) Reservation {
	now := s.clock.Now().UnixMilli()
	return Reservation{
		OrderID: in.orderID, CustomerID: database.Cut(in.customerID, maxCustomerID), Status: status, Version: 1,
		ExpiresAt: in.expiresAt, SweepAt: s.sweepAt(status, in.expiresAt), CreatedAt: now, UpdatedAt: now,
		Traceparent: in.traceparent,
	}
}
