package order

import (
	"context"
	"errors"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// HandleStockEvents is the consumer of stock-events: what inventory says of an
// order's reservation. Every event carries the reservation's version, and an
// older one than the row knows changes nothing.
func (s *Service) HandleStockEvents(ctx context.Context, m message.Message) error {
	tag := event.Tag(m.Tag)
	items, err := event.DecodeStockEvents(tag, m.Body)
	if err != nil {
		return event.Permanent(err)
	}
	return event.Each(ctx, s.names.OrderStockEvents, m, items, s.parker, func(ctx context.Context, e *eventv1.StockEvent) error {
		return s.onStockEvent(ctx, tag, e)
	})
}

func (s *Service) onStockEvent(ctx context.Context, tag event.Tag, e *eventv1.StockEvent) error {
	switch tag {
	case event.TagReserved:
		return s.onReserved(ctx, e)
	case event.TagRejected:
		return s.onRejected(ctx, e)
	case event.TagReleased:
		return s.confirmStock(ctx, e, StockReleased)
	case event.TagSold:
		return s.confirmStock(ctx, e, StockSold)
	default:
		return message.Permanent(event.ReasonUnknownTag, "no handler for tag %q", tag)
	}
}

// onReserved makes a PLACED order RESERVED. The change has no event of its own:
// stock-events says it already.
func (s *Service) onReserved(ctx context.Context, e *eventv1.StockEvent) error {
	err := s.store.inTx(ctx, func(tx *Tx) error {
		return tx.move(e.GetOrderId(), transitionReserve(), stockColumns(StockReserved, e), olderStock(e.GetVersion()))
	})
	if errors.Is(err, errStale) {
		return s.confirmStock(ctx, e, StockReserved)
	}
	return err
}

// onRejected closes a PLACED order as out of stock, and names the lines.
func (s *Service) onRejected(ctx context.Context, e *eventv1.StockEvent) error {
	o, found, err := s.store.find(ctx, e.GetOrderId())
	if err != nil {
		return err
	}
	if !found || !transitionReject().CanLeave(o.Status) || o.StockVersion >= e.GetVersion() {
		return s.confirmStock(ctx, e, StockRejected)
	}
	closed := s.eventOf(o)
	closed.CloseReason = eventv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK
	err = s.transition(ctx, event.TagClosed, closed, change{apply: func(tx *Tx) error {
		err := tx.move(o.ID, transitionReject(), stockColumns(StockRejected, e), olderStock(e.GetVersion()))
		if err != nil {
			return err
		}
		for _, line := range shortLines(o, e) {
			if err := tx.recordShortage(o.ID, line); err != nil {
				return err
			}
		}
		return nil
	}})
	if errors.Is(err, errStale) {
		return s.confirmStock(ctx, e, StockRejected)
	}
	return err
}

// confirmStock notes what inventory says, on an order whose status does not
// change by it. A duplicate or an older version changes nothing.
func (s *Service) confirmStock(ctx context.Context, e *eventv1.StockEvent, state StockState) error {
	var changed bool
	err := s.store.inTx(ctx, func(tx *Tx) (err error) {
		changed, err = tx.recordStock(e.GetOrderId(), state, e.GetVersion())
		return err
	})
	if err != nil || changed {
		return err
	}
	_, found, err := s.store.find(ctx, e.GetOrderId())
	if err != nil {
		return err
	}
	if !found {
		return message.Permanent(ReasonUnknownOrder, "inventory holds a reservation for order %s, which does not exist", e.GetOrderId())
	}
	return nil
}

func stockColumns(state StockState, e *eventv1.StockEvent) map[string]any {
	return map[string]any{"stock_state": state, "stock_version": e.GetVersion()}
}

// shortLines are the order's lines that the event names as short.
func shortLines(o Order, e *eventv1.StockEvent) []Line {
	var short []Line
	for _, shortage := range e.GetShortages() {
		for _, line := range o.Lines {
			if line.SKU != shortage.GetSku() {
				continue
			}
			line.Shortage, line.Available = TooFew, shortage.GetAvailable()
			if shortage.GetUnknownSku() {
				line.Shortage = UnknownSKU
			}
			short = append(short, line)
		}
	}
	return short
}
