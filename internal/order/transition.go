package order

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// transition is the one path on which orders change: a half message with the
// event, whose local transaction is the change. It returns nil when the change is
// committed; else the error is apply's (nothing was committed), or that of the
// broker or the database.
//
// A change that is tried again has a new half message with a barrier id of its
// own: the old one may be aborted.
func (s *Service) transition(ctx context.Context, tag event.Tag, e *eventv1.OrderEvent, c change) error {
	body, err := event.EncodeOrderEvents(e)
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make barrier id: %w", err)
	}
	work := localTransaction{barrier: id.String(), timeout: s.config.LocalTransactionTimeout, change: c}
	_, err = s.transactions.SendInTransaction(ctx, message.Message{
		Topic:      s.names.OrderEvents,
		Tag:        string(tag),
		Keys:       []string{e.GetOrderId()},
		Body:       body,
		Properties: map[string]string{event.PropertyBarrier: work.barrier},
	}, &work)
	return err
}

// eventOf is the event of an order: all that a receiver needs which knows nothing
// of it.
func (s *Service) eventOf(o Order) *eventv1.OrderEvent {
	e := &eventv1.OrderEvent{
		OrderId:         o.ID,
		CustomerId:      o.CustomerID,
		ExpiresAtMs:     o.ExpiresAt,
		PaymentWindowMs: o.WindowMs,
		OccurredAtMs:    s.clock.Now().UnixMilli(),
	}
	for _, l := range o.Lines {
		e.Lines = append(e.Lines, &eventv1.Line{Sku: l.SKU, Quantity: l.Quantity})
	}
	return e
}
