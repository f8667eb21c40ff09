package order

import (
	"context"
	"time"

	"github.com/google/uuid"

	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
)

// redriver drives an order on; found is false if there is no such order.
type redriver func(ctx context.Context, orderID string) (found bool, err error)

// Replays are how order-srv's parked messages are handled once more: stock events, and
// half messages that the broker gave up.
func (s *Service) Replays() parking.Replays {
	return s.replays(func(ctx context.Context, orderID string) (bool, error) {
		action, err := s.redrive(ctx, orderID)
		return action != RedriveUnknown, err
	})
}

func (s *Service) replays(redrive redriver) parking.Replays {
	return parking.Replays{
		s.names.OrderStockEvents: {Guard: s.guardStockEvent, Handler: s.HandleStockEvents},
		s.names.OrderTransactions: {Guard: s.guardHalfMessage, Handler: func(ctx context.Context, m message.Message) error {
			return redriveAll(ctx, redrive, m.Keys)
		}},
	}
}

// guardStockEvent refuses what is about no order.
func (s *Service) guardStockEvent(ctx context.Context, orderID string, _ parking.Entry) error {
	if !event.IsOrderID(orderID) {
		return nil
	}
	_, found, err := s.store.find(ctx, orderID)
	if err != nil {
		return forClient(err)
	}
	if !found {
		return parking.Refuse("there is no order %s", orderID)
	}
	return nil
}

// guardHalfMessage asks the barrier what became of the local transaction, and makes
// sure that it stays so, as a check-back does. It refuses what never committed.
//
// Where the barrier cannot say it, the order decides, whose present status is sent:
// when the barrier may be purged, for one that is gone looks like one that never was;
// and when several half messages share the row, for it has the barrier of the first.
func (s *Service) guardHalfMessage(ctx context.Context, _ string, e parking.Entry) error {
	id, err := uuid.Parse(e.Parked.Message.Properties[event.PropertyBarrier])
	if err != nil || s.clock.Now().Sub(madeAt(id)) >= barrierAge {
		return nil
	}
	result, err := s.store.resolveBarrier(ctx, id.String())
	if err != nil {
		return forClient(err)
	}
	if result == aborted && e.Times == 1 {
		return parking.Refuse("its local transaction never committed")
	}
	return nil
}

// madeAt is when a UUIDv7 was made.
func madeAt(id uuid.UUID) time.Time { return time.Unix(id.Time().UnixTime()) }

// redriveAll does for the orders of a half message what it was sent for. Their present
// status is what counts: the event itself may be overtaken.
func redriveAll(ctx context.Context, redrive redriver, orderIDs []string) error {
	for _, id := range orderIDs {
		found, err := redrive(ctx, id)
		if err != nil {
			return err
		}
		if !found {
			return parking.Refuse("there is no order %s", id)
		}
	}
	return nil
}
