package order

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
)

// fakeParked has what is parked of each order.
type fakeParked struct {
	entries map[string][]parking.Entry
	err     error
}

func (p *fakeParked) OfOrder(_ context.Context, id string) ([]parking.Entry, error) {
	return p.entries[id], p.err
}

func parkedAt(at time.Time, times int64, detail string) parking.Entry {
	return parking.Entry{
		ID: uuid.NewString(), Times: times, FirstAt: at, LastAt: at.Add(time.Hour),
		Parked: message.Parked{Reason: "SHORTAGE", Detail: detail, Message: message.Message{Tag: "sold", ID: "M7"}},
	}
}

// noteAt writes entries as if it were at.
func (w *world) noteAt(at time.Time, entries ...Entry) {
	w.t.Helper()
	err := w.store.inTx(w.t.Context(), func(tx *Tx) error {
		tx.now = at.UnixMilli()
		return tx.note(entries...)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// The timeline is what was written down and what is parked, by time.
func TestGetTimeline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		parked := &fakeParked{entries: map[string][]parking.Entry{}}
		w.service.parked = parked
		o := row("c", Placed, start.UnixMilli())
		w.insert(o)
		at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
		exempt := changeOf(o)
		exempt.Version, exempt.ExpiresAt, exempt.Cause, exempt.Detail = 2, NoTimeout, ByOperator, "pays offline"
		received := Entry{OrderID: o.ID, Kind: KindReceived, Cause: ByInventory, Version: 9, Status: Paid, ExpiresAt: 5,
			Tag: "reserved", MessageID: "M1", Attempt: 1 << 40}
		w.noteAt(at(5), received)
		w.noteAt(at(1), changeOf(o))
		w.noteAt(at(3), exempt, Entry{OrderID: o.ID, Kind: KindPayment, Detail: "a refund is due"})
		w.noteAt(at(2), Entry{OrderID: uuid.NewString(), Kind: KindSent})
		parked.entries[o.ID] = []parking.Entry{parkedAt(at(4), 3, "nothing there"), parkedAt(at(0), 1, strings.Repeat("x", 70_000))}
		out, err := NewGRPC(w.service).GetTimeline(t.Context(), &orderv1.GetTimelineRequest{OrderId: o.ID})
		if err != nil {
			t.Fatal(err)
		}
		stamp := func(seconds int) *timestamppb.Timestamp { return timestamppb.New(at(seconds)) }
		want := &orderv1.GetTimelineResponse{Entries: []*orderv1.TimelineEntry{
			{At: stamp(0), Kind: orderv1.TimelineKind_TIMELINE_KIND_PARKED, Tag: "sold", MessageId: "M7", Detail: "SHORTAGE: " + strings.Repeat("x", 502)},
			{At: stamp(1), Kind: orderv1.TimelineKind_TIMELINE_KIND_CHANGED, Cause: orderv1.Cause_CAUSE_CLIENT, Version: 1,
				Status: orderv1.OrderStatus_ORDER_STATUS_PLACED, ExpiresAt: timestamppb.New(time.UnixMilli(o.ExpiresAt))},
			{At: stamp(3), Kind: orderv1.TimelineKind_TIMELINE_KIND_CHANGED, Cause: orderv1.Cause_CAUSE_OPERATOR, Version: 2,
				Status: orderv1.OrderStatus_ORDER_STATUS_PLACED, Detail: "pays offline"},
			{At: stamp(3), Kind: orderv1.TimelineKind_TIMELINE_KIND_PAYMENT, Detail: "a refund is due"},
			{At: stamp(4), Kind: orderv1.TimelineKind_TIMELINE_KIND_PARKED, Tag: "sold", MessageId: "M7", Detail: "3 times, at last SHORTAGE: nothing there"},
			{At: stamp(5), Kind: orderv1.TimelineKind_TIMELINE_KIND_RECEIVED, Cause: orderv1.Cause_CAUSE_INVENTORY, Tag: "reserved", MessageId: "M1",
				Attempt: 1<<31 - 1},
		}}
		if diff := cmp.Diff(want, out, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	})
}

// There is a timeline of whatever was heard of: an order without entries, entries or
// parked messages without an order.
func TestGetTimelineOfWhatWasHeardOf(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		noted, parked, silent := uuid.NewString(), uuid.NewString(), row("c", Placed, 1)
		w.service.parked = &fakeParked{entries: map[string][]parking.Entry{parked: {parkedAt(start, 1, "")}}}
		w.noteAt(start, Entry{OrderID: noted, Kind: KindCheckBack, Cause: ByBroker, Detail: "rollback"})
		w.insert(silent)
		for id, want := range map[string]int{noted: 1, parked: 1, silent.ID: 0} {
			got, truncated, err := w.service.Timeline(t.Context(), id)
			if err != nil || len(got) != want || truncated {
				t.Errorf("%d entries, want %d, %v, %v", len(got), want, truncated, err)
			}
		}
		_, _, err := w.service.Timeline(t.Context(), uuid.NewString())
		wantError(t, err, codes.NotFound, ReasonOrderNotFound)
		w.service.parked = &fakeParked{err: fmt.Errorf("parked: %w", &net.OpError{Op: "dial", Err: errors.New("refused")})}
		_, _, err = w.service.Timeline(t.Context(), noted)
		wantError(t, err, codes.Unavailable, unavailable)
	})
}

// What is more than the answer may hold is left out, the newest of it, and said so.
func TestGetTimelineIsBounded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		id := uuid.NewString()
		entries := slices.Repeat([]Entry{{OrderID: id, Kind: KindCheckBack}}, 100)
		for i := range MaxTimeline / 100 {
			w.noteAt(start.Add(time.Duration(i)*time.Second), entries...)
		}
		check := func(truncated bool, last Kind) {
			t.Helper()
			got, cut, err := w.service.Timeline(t.Context(), id)
			if err != nil || len(got) != MaxTimeline || cut != truncated || got[len(got)-1].Kind != last {
				t.Errorf("%d entries, truncated: %v, %v", len(got), cut, err)
			}
		}
		check(false, KindCheckBack)
		w.service.parked = &fakeParked{entries: map[string][]parking.Entry{id: {parkedAt(start.Add(-time.Second), 1, "")}}}
		check(true, KindCheckBack)
		w.service.parked = &fakeParked{entries: map[string][]parking.Entry{id: {parkedAt(start.Add(time.Hour), 1, "")}}}
		check(true, KindCheckBack)
		w.service.parked = nil
		w.noteAt(start.Add(time.Hour), Entry{OrderID: id, Kind: KindSent})
		check(true, KindCheckBack)
	})
}
