package inventory

import (
	"context"
	"errors"
	"time"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/crashpoint"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// HandleOrderEvents is the message.Handler of the topic order-events. It returns nil
// when every event of the envelope is done or parked, a *message.PermanentError if
// the body cannot be read at all, and any other error if the message must come
// again.
func (s *Service) HandleOrderEvents(ctx context.Context, m message.Message) error {
	tag := event.Tag(m.Tag)
	items, err := event.DecodeOrderEvents(tag, m.Body)
	if err != nil {
		return event.Permanent(err)
	}
	late := answers{}
	if tag == event.TagCreated {
		late = s.ask(ctx, s.expired(items), orderv1.CloseTrigger_CLOSE_TRIGGER_LATE_EVENT)
	}
	return event.Each(ctx, s.names.InventoryOrderEvents, m, items, s.parker,
		func(ctx context.Context, e *eventv1.OrderEvent) error {
			in, err := incidentOf(tag, e, arrivalOf(m), late)
			if err != nil {
				return err
			}
			return s.handle(ctx, in)
		})
}

// HandlePaymentTimeouts is the message.Handler of the topic order-timeouts. What it
// returns means the same as of HandleOrderEvents. What touches no reservation, because
// the order is paid or has more time, goes into the timeline at the end, for all
// orders of the message at once.
func (s *Service) HandlePaymentTimeouts(ctx context.Context, m message.Message) error {
	items, dueAt, err := event.DecodePaymentTimeouts(event.Tag(m.Tag), m.Body)
	if err != nil {
		return event.Permanent(err)
	}
	if err := s.waitUntilDue(ctx, dueAt); err != nil {
		return err
	}
	verdicts := s.closeIfUnpaid(ctx, dueAt, soundIDs(items))
	var absorbed []incident
	err = event.Each(ctx, s.names.InventoryOrderTimeouts, m, items, s.parker,
		func(ctx context.Context, e *eventv1.PaymentTimeout) error {
			in, err := timeoutIncident(e.GetOrderId(), dueAt, arrivalOf(m), verdicts)
			if err != nil {
				return err
			}
			if in.what == untouched {
				absorbed = append(absorbed, in)
				return nil
			}
			return s.handle(ctx, in)
		})
	if err := errors.Join(err, s.store.noteAbsorbed(ctx, absorbed)); err != nil {
		return err
	}
	s.store.metrics.observeTimer(len(items), s.clock.Now().Sub(time.UnixMilli(dueAt)))
	return nil
}

// handle brings the reservation to where the incident leads and tells order-srv.
// Between the commit and the end of the send the message is not acknowledged: a
// crash there, or a failed send, brings it again, and it then finds its work
// done and tells the state once more.
func (s *Service) handle(ctx context.Context, in incident) error {
	after, err := s.store.transition(ctx, in)
	if err != nil || after == nil {
		return err
	}
	s.crash.Hit(crashpoint.InventoryAfterCommit)
	return s.publish(ctx, *after)
}

// incidentOf is what an order event says has happened. For a `created` that came
// after its due time the order service's answer goes before it.
func incidentOf(tag event.Tag, e *eventv1.OrderEvent, by arrival, late answers) (incident, error) {
	in := incident{
		orderID: e.GetOrderId(), customerID: e.GetCustomerId(), expiresAt: e.GetExpiresAtMs(),
		lines: e.GetLines(), arrived: by,
	}
	switch tag {
	case event.TagClosed:
		in.what, in.arrived = orderClosed, by.with(closedDetail(e.GetCloseReason()))
	case event.TagPaid:
		in.what = orderPaid
	default: // the decoder knows no fourth tag
		in.what = orderCreated
		if late.asked(in.orderID) {
			return expiredIncident(in, late)
		}
	}
	return in, nil
}

// soundIDs are the order ids of the events that could be read, each once.
func soundIDs(items []event.Item[*eventv1.PaymentTimeout]) []string {
	var ids uniqueIDs
	for _, item := range items {
		if item.Err == nil {
			ids.add(item.OrderID)
		}
	}
	return ids.list
}
