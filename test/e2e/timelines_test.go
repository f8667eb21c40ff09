package e2e

import (
	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// timeline is what order-srv says to have happened to an order.
func (s *system) timeline(o *orderv1.Order) []*orderv1.TimelineEntry {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	answer, err := s.orderClient.GetTimeline(ctx, &orderv1.GetTimelineRequest{OrderId: o.GetOrderId()})
	s.must(err)
	return answer.GetEntries()
}

// closedBy is who closed the order.
func (s *system) closedBy(o *orderv1.Order) orderv1.Cause {
	s.t.Helper()
	for _, e := range s.timeline(o) {
		if e.GetKind() == orderv1.TimelineKind_TIMELINE_KIND_CHANGED && e.GetStatus() == closed {
			return e.GetCause()
		}
	}
	return orderv1.Cause_CAUSE_UNSPECIFIED
}

// reservationTimeline is what inventory-srv says to have happened to its reservation.
func (s *system) reservationTimeline(o *orderv1.Order) []*inventoryv1.ReservationEntry {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	answer, err := s.stockClient.GetReservationTimeline(ctx, &inventoryv1.GetReservationTimelineRequest{OrderId: o.GetOrderId()})
	s.must(err)
	return answer.GetEntries()
}
