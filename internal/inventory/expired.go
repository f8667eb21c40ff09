package inventory

import (
	"fmt"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// expired are the orders of `created` events whose due time has passed. They are
// asked about before anything is held, so that a backlog of dead orders takes
// nothing from live ones.
func (s *Service) expired(items []event.Item[*eventv1.OrderEvent]) []string {
	now := s.clock.Now().UnixMilli()
	var ids uniqueIDs
	for _, item := range items {
		if item.Err == nil && item.Event.GetExpiresAtMs() <= now {
			ids.add(item.OrderID)
		}
	}
	return ids.list
}

// expiredIncident is what has really happened to an order whose `created` came
// after its due time.
func expiredIncident(created incident, late answers) (incident, error) {
	result, err := late.of(created.orderID)
	if err != nil {
		return incident{}, err
	}
	detail := ""
	switch result.GetOutcome() {
	case orderv1.CloseOutcome_CLOSE_OUTCOME_CLOSED:
		created.what, detail = orderClosed, closedDetail(result.GetCloseReason())
	case orderv1.CloseOutcome_CLOSE_OUTCOME_PAID:
		created.what, detail = orderPaid, detailPaid
	case orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE: // its window was extended
		created.expiresAt, detail = dueAt(result), notDueDetail(result)
	case orderv1.CloseOutcome_CLOSE_OUTCOME_UNKNOWN:
		return incident{}, message.Permanent(ReasonCreatedOrderUnknown,
			"order %s is created, but the order service does not know it", created.orderID)
	default:
		return incident{}, unreadableAnswer(result)
	}
	created.arrived = created.arrived.with("came late").with(detail)
	return created, nil
}

// unreadableAnswer is for an outcome that this program does not know: a newer
// order service. A redelivery may meet a newer program.
func unreadableAnswer(result *orderv1.CloseIfUnpaidResult) error {
	return fmt.Errorf("order %s: the order service answered %s", result.GetOrderId(), result.GetOutcome())
}
