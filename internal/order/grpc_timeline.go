package order

import (
	"context"
	"math"

	orderv1 "orderflow/api/proto/order/v1"
)

// GetTimeline is documented in the proto.
func (g *grpcServer) GetTimeline(ctx context.Context, in *orderv1.GetTimelineRequest) (*orderv1.GetTimelineResponse, error) {
	if err := checkOrderID(in.GetOrderId()); err != nil {
		return nil, err
	}
	entries, truncated, err := g.service.Timeline(ctx, in.GetOrderId())
	if err != nil {
		return nil, err
	}
	out := &orderv1.GetTimelineResponse{Truncated: truncated}
	for _, e := range entries {
		out.Entries = append(out.Entries, entryToProto(e))
	}
	return out, nil
}

// entryToProto translates an entry. The stored numbers of the enums are those of the
// proto.
func entryToProto(e Entry) *orderv1.TimelineEntry {
	out := &orderv1.TimelineEntry{
		At:        timestamp(e.At),
		Kind:      orderv1.TimelineKind(e.Kind),
		Cause:     orderv1.Cause(e.Cause),
		Tag:       e.Tag,
		MessageId: e.MessageID,
		Attempt:   int32(min(e.Attempt, math.MaxInt32)),
		Detail:    e.Detail,
	}
	if e.Kind == KindChanged {
		out.Version = e.Version
		out.Status = orderv1.OrderStatus(e.Status)
		out.CloseReason = orderv1.CloseReason(e.CloseReason)
		out.StockState = orderv1.StockState(e.StockState)
		out.ExpiresAt = expiry(e.ExpiresAt)
	}
	return out
}
