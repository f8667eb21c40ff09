package inventory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/parking"
)

// maxTimeline is how many entries an answer holds.
const maxTimeline = 1000

// parkedReader finds what is parked for an order; *parking.Store is one.
type parkedReader interface {
	OfOrder(ctx context.Context, orderID string) ([]parking.Entry, error)
}

// GetReservationTimeline returns what happened to an order's reservation.
func (a *api) GetReservationTimeline(
	ctx context.Context, in *inventoryv1.GetReservationTimelineRequest,
) (*inventoryv1.GetReservationTimelineResponse, error) {
	if err := checkOrderID(in.GetOrderId()); err != nil {
		return nil, err
	}
	entries, err := a.store.timeline(ctx, in.GetOrderId(), maxTimeline+1)
	if err != nil {
		return nil, forClient(err)
	}
	parked, err := a.parked.OfOrder(ctx, in.GetOrderId())
	if err != nil {
		return nil, forClient(err)
	}
	if len(entries)+len(parked) == 0 { // a program without a timeline may have made one
		if _, err := a.store.Reservation(ctx, in.GetOrderId()); err != nil {
			return nil, forClient(err)
		}
	}
	all := merge(entries, parked)
	out := &inventoryv1.GetReservationTimelineResponse{Truncated: len(all) > maxTimeline}
	for _, e := range all[:min(len(all), maxTimeline)] {
		out.Entries = append(out.Entries, entryMessage(e))
	}
	return out, nil
}

// merge puts what is parked where it belongs by the time when it was parked first; it
// found the reservation as the entry before it says.
func merge(entries []Entry, parked []parking.Entry) []Entry {
	for _, p := range parked {
		entries = append(entries, parkedEntry(p))
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.At, b.At) })
	for i := range entries {
		if i > 0 && entries[i].What == arrivedParked {
			entries[i].Version, entries[i].Status = entries[i-1].Version, entries[i-1].Status
		}
	}
	return entries
}

func parkedEntry(p parking.Entry) Entry {
	m := p.Parked.Message
	detail := m.Tag + ": " + p.Parked.Detail
	if p.Times > 1 {
		detail = joinDetails(detail, fmt.Sprintf("parked %d times, the last time at %s", p.Times, p.LastAt.UTC().Format(time.RFC3339)))
	}
	return Entry{
		OrderID: p.Parked.OrderID, At: p.FirstAt.UnixMilli(), What: arrivedParked,
		MessageID: m.ID, Attempt: int64(m.Attempt), Detail: detail,
	}
}

func entryMessage(e Entry) *inventoryv1.ReservationEntry {
	return &inventoryv1.ReservationEntry{
		At: timestamp(e.At), Trigger: e.What, Changed: e.Changed, Version: e.Version,
		Status: inventoryv1.ReservationStatus(e.Status), MessageId: e.MessageID, Attempt: int32(e.Attempt), Detail: e.Detail,
	}
}
