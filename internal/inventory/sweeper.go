package inventory

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/sweep"
	"orderflow/internal/tracing"
)

// How long a step of a round may take: the order service's answer about up to 64
// orders, and what is done about one of them. The whole round has the lease's time.
const (
	sweepAskTimeout = 5 * time.Second
	sweepRowTimeout = 5 * time.Second
)

// Sweeper looks for reservations that are still RESERVED past their due time, because
// their timer, their `closed` or their `paid` was lost or has failed, asks the order
// service how their orders stand, and does what the message would have done. So stock
// is held no longer than the grace period beyond its time, whatever becomes of the
// broker. Any number of them work side by side: each reservation is leased by one.
//
// What it cannot settle it looks at again, later and later: the order service does not
// answer, or its clock is behind, or it does not know the order; the last one is parked
// too, as its timer would be.
type Sweeper struct {
	service  *Service
	interval time.Duration
	metrics  *SweepMetrics
}

// NewSweeper returns a sweeper that looks every interval, or at once while there is
// more to do. It starts nothing; metrics may be nil.
func NewSweeper(s *Service, interval time.Duration, metrics *SweepMetrics) *Sweeper {
	return &Sweeper{service: s, interval: interval, metrics: metrics}
}

// Run makes rounds until ctx ends.
func (w *Sweeper) Run(ctx context.Context) {
	sweep.Run(ctx, w.service.clock, w.interval, w.Round, func(err error) { sweep.Report(ctx, w.service.log, err) })
}

// Round takes up to sweep.Batch reservations, settles them, and tells whether there
// may be more. The error says what could not be settled: all of it comes again. What
// is under way when the round's time is up comes again when its lease ends.
func (w *Sweeper) Round(ctx context.Context) (full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweep.Lease)
	defer cancel()
	began := w.service.clock.Now()
	defer func() { w.metrics.observe(w.service.clock.Now().Sub(began)) }()
	got, err := w.service.store.lease(ctx)
	if err != nil {
		return false, err
	}
	w.metrics.countFound(foundOutdated, got.corrected)
	w.metrics.countHealed(healedCorrected, got.corrected)
	w.metrics.countFound(foundOverdue, len(got.overdue))
	var failed []error
	for some := range slices.Chunk(got.overdue, event.MaxEvents) {
		failed = append(failed, w.settle(ctx, some)...)
	}
	return got.full(), errors.Join(failed...)
}

// settle asks about leased reservations in one call and settles them one by one.
func (w *Sweeper) settle(ctx context.Context, overdue []Reservation) (failed []error) {
	ids, made := make([]string, len(overdue)), make([]trace.SpanContext, len(overdue))
	for i, r := range overdue {
		ids[i], made[i] = r.OrderID, tracing.Stored(r.Traceparent)
	}
	ctx, span := tracing.Root(ctx, w.service.tracer, "sweep reservations", "", made...)
	defer func() { tracing.End(span, errors.Join(failed...)) }()
	asking, cancel := context.WithTimeout(ctx, sweepAskTimeout)
	verdicts := w.service.ask(asking, ids, orderv1.CloseTrigger_CLOSE_TRIGGER_INVENTORY_SWEEPER)
	cancel()
	if verdicts.err != nil { // once, and not for each of them
		failed = append(failed, sweep.Unhealed(ctx, verdicts.err, ids...))
	}
	for _, r := range overdue {
		if err := w.settleOne(ctx, r, verdicts); err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// settleOne does what the answer means for one reservation, or postpones it.
func (w *Sweeper) settleOne(ctx context.Context, r Reservation, verdicts answers) (err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepRowTimeout)
	defer cancel()
	ctx, span := tracing.Start(ctx, "sweep reservation", r.OrderID, tracing.LinkTo(tracing.Stored(r.Traceparent)))
	defer func() {
		tracing.End(span, err)
		err = sweep.Unhealed(ctx, err, r.OrderID)
	}()
	result, err := verdicts.of(r.OrderID)
	if err != nil {
		w.metrics.countFailed(failedNoAnswer)
		if verdicts.err != nil {
			err = nil // said already
		}
		return errors.Join(err, w.postpone(ctx, r))
	}
	in, err := w.incidentOf(r, result)
	if err != nil {
		w.metrics.countFailed(failedAnswer)
		return errors.Join(err, w.postpone(ctx, r))
	}
	if in.what == untouched {
		extended, err := w.service.store.extend(ctx, r, in)
		if extended {
			w.metrics.countHealed(healedExtended, 1)
		}
		return err
	}
	return w.act(ctx, r, in)
}

// incidentOf is what has happened to an order, by the order service's answer.
func (w *Sweeper) incidentOf(r Reservation, result *orderv1.CloseIfUnpaidResult) (incident, error) {
	by := arrival{what: arrivedSweep}
	in := incident{orderID: r.OrderID, customerID: r.CustomerID, expiresAt: r.ExpiresAt}
	switch result.GetOutcome() {
	case orderv1.CloseOutcome_CLOSE_OUTCOME_CLOSED:
		in.what, in.arrived = orderClosed, by.with(closedDetail(result.GetCloseReason()))
	case orderv1.CloseOutcome_CLOSE_OUTCOME_PAID:
		in.what, in.arrived = orderPaid, by.with(detailPaid)
	case orderv1.CloseOutcome_CLOSE_OUTCOME_UNKNOWN:
		in.what, in.arrived = orderUnknown, by
	case orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE: // its window was extended
		if isBehind(result, w.service.clock.Now().UnixMilli()) {
			return incident{}, errors.New("the order service's clock is behind")
		}
		in.what, in.expiresAt, in.arrived = untouched, dueAt(result), by.with(notDueDetail(result))
	default:
		return incident{}, unreadableAnswer(result)
	}
	return in, nil
}

// act handles the incident as if its message had come. If only the send failed, the
// reservation has ended, and is none of ours any more: order-srv, which has not heard
// of it, asks by sending its event again.
func (w *Sweeper) act(ctx context.Context, r Reservation, in incident) error {
	err := w.service.handle(ctx, in)
	var permanent *message.PermanentError
	switch {
	case err == nil && in.what == orderUnknown: // it has ended meanwhile
		return nil
	case err == nil:
		w.metrics.countHealed(healedBy(in.what), 1)
		return nil
	case errors.As(err, &permanent):
		w.metrics.countFailed(failedParked)
		return errors.Join(w.park(ctx, r, permanent), w.postpone(ctx, r))
	default:
		w.metrics.countFailed(failedError)
		return errors.Join(err, w.postpone(ctx, r))
	}
}

// park puts a contradiction aside as the reservation's timer, which would have met
// the same: both are one row, and a replay asks again.
func (w *Sweeper) park(ctx context.Context, r Reservation, why *message.PermanentError) error {
	body, err := event.EncodePaymentTimeouts(r.ExpiresAt, &eventv1.PaymentTimeout{OrderId: r.OrderID})
	if err != nil {
		return err
	}
	names := w.service.names
	return w.service.parker.Park(ctx, message.Parked{
		Group: names.InventoryOrderTimeouts, OrderID: r.OrderID, Reason: why.Reason, Detail: why.Error(),
		Message: message.Message{Topic: names.OrderTimeouts, Tag: string(event.TagTimeout), Keys: []string{r.OrderID}, Body: body},
	})
}

// postpone lets a reservation wait, twice as long as before.
func (w *Sweeper) postpone(ctx context.Context, r Reservation) error {
	wait := sweep.Backoff(w.interval, r.SweepCount)
	_, err := w.service.store.postpone(ctx, r, w.service.clock.Now().Add(wait))
	return err
}
