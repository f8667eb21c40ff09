package order

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"orderflow/internal/database"
	"orderflow/internal/parking"
)

// MaxTimeline is how many entries of a timeline are shown.
const MaxTimeline = 1000

// parkedMessages finds what is parked of an order; see parking.Store.
type parkedMessages interface {
	OfOrder(ctx context.Context, orderID string) ([]parking.Entry, error)
}

// Timeline returns what happened to an order, the oldest first: up to MaxTimeline
// entries, and whether there are more. The error is ORDER_NOT_FOUND if there is no
// such order and nothing was heard of one, or that the database is not available.
func (s *Service) Timeline(ctx context.Context, id string) (entries []Entry, truncated bool, err error) {
	entries, err = s.store.timeline(ctx, id, MaxTimeline+1)
	if err != nil {
		return nil, false, forClient(err)
	}
	parked, err := s.parkedOf(ctx, id)
	if err != nil {
		return nil, false, forClient(err)
	}
	if len(entries)+len(parked) == 0 { // an order from before there were timelines has none
		_, err := s.Get(ctx, id)
		return nil, false, err
	}
	// Rows that were not read are newer than all that were, so that what is left
	// below the bound is complete.
	entries = append(entries, parked...)
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(a.At, b.At) })
	if len(entries) > MaxTimeline {
		return entries[:MaxTimeline], true, nil
	}
	return entries, false, nil
}

// timeline reads the rows of an order's timeline, the oldest first.
func (s *Store) timeline(ctx context.Context, id string, limit int) (entries []Entry, err error) {
	err = s.db.With(ctx).Where("order_id = ?", id).Order("at, id").Limit(limit).Find(&entries).Error
	if err != nil {
		return nil, fmt.Errorf("read timeline: %w", err)
	}
	return entries, nil
}

// parkedOf are the order's parked messages, as entries of its timeline. A message
// stands where it was parked first.
func (s *Service) parkedOf(ctx context.Context, id string) (entries []Entry, err error) {
	if s.parked == nil {
		return nil, nil
	}
	parked, err := s.parked.OfOrder(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read parked messages: %w", err)
	}
	for _, p := range parked {
		detail := p.Parked.Reason + ": " + p.Parked.Detail
		if p.Times > 1 {
			detail = fmt.Sprintf("%d times, at last %s", p.Times, detail)
		}
		entries = append(entries, Entry{
			OrderID: id, At: p.FirstAt.UnixMilli(), Kind: KindParked,
			Tag: p.Parked.Message.Tag, MessageID: p.Parked.Message.ID, Detail: database.Cut(detail, maxDetail),
		})
	}
	return entries, nil
}
