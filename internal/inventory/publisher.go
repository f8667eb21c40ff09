package inventory

import (
	"context"
	"fmt"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// publish tells order-srv where a reservation stands. An error means that it may
// not have been told.
func (s *Service) publish(ctx context.Context, r Reservation) error {
	tag, err := stockTag(r.Status)
	if err != nil {
		return err
	}
	body, err := event.EncodeStockEvents(stockEvent(r))
	if err != nil {
		return fmt.Errorf("order %s: %w", r.OrderID, err)
	}
	m := message.Message{Topic: s.names.StockEvents, Tag: string(tag), Keys: []string{r.OrderID}, Body: body}
	if err := s.stockEvents.Send(ctx, m); err != nil {
		return fmt.Errorf("order %s: send stock event %s: %w", r.OrderID, tag, err)
	}
	return nil
}

func stockTag(s Status) (event.Tag, error) {
	switch s {
	case StatusReserved:
		return event.TagReserved, nil
	case StatusRejected:
		return event.TagRejected, nil
	case StatusReleased:
		return event.TagReleased, nil
	case StatusSold:
		return event.TagSold, nil
	default:
		return "", fmt.Errorf("no stock event for status %s", s)
	}
}

func stockEvent(r Reservation) *eventv1.StockEvent {
	e := &eventv1.StockEvent{OrderId: r.OrderID, Version: r.Version, OccurredAtMs: r.UpdatedAt}
	if r.Status != StatusRejected {
		return e
	}
	for _, l := range r.Lines {
		if l.Shortage != ShortageNone {
			e.Shortages = append(e.Shortages, &eventv1.Shortage{
				Sku: l.SKU, Requested: l.Quantity, Available: l.Available, UnknownSku: l.Shortage == ShortageUnknown,
			})
		}
	}
	return e
}
