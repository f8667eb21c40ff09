package order

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"

	orderv1 "orderflow/api/proto/order/v1"
)

// audit reads a stream to its end.
func (w *world) audit(in *orderv1.StreamOrdersRequest) (ids []string, pages []int) {
	w.t.Helper()
	stream := &received[orderv1.StreamOrdersResponse]{ctx: w.t.Context()}
	if err := NewAuditGRPC(w.service).StreamOrders(in, stream); err != nil {
		w.t.Fatal(err)
	}
	for _, page := range stream.got {
		pages = append(pages, len(page.GetOrders()))
		for _, o := range page.GetOrders() {
			ids = append(ids, o.GetOrderId())
			if len(o.GetLines()) != 2 || o.GetLines()[0].GetSku() != "cup" || o.GetLines()[1].GetQuantity() != 2 {
				w.t.Errorf("order %s has the lines %v", o.GetOrderId(), o.GetLines())
			}
		}
	}
	return ids, pages
}

func TestStreamOrders(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		if _, pages := w.audit(nil); pages != nil {
			t.Errorf("pages of nothing: %v", pages)
		}
		orders := many(1, 2*MaxAudited+1)
		w.insert(orders...)
		var all []string
		for _, o := range orders {
			all = append(all, o.ID)
		}
		slices.Sort(all)
		none := uuid.Nil.String()
		for name, c := range map[string]struct {
			in    *orderv1.StreamOrdersRequest
			want  []string
			pages []int
		}{
			"all":             {nil, all, []int{500, 500, 1}},
			"after":           {&orderv1.StreamOrdersRequest{AfterOrderId: all[0]}, all[1:], []int{500, 500}},
			"until":           {&orderv1.StreamOrdersRequest{UntilOrderId: all[600]}, all[:601], []int{500, 101}},
			"after and until": {&orderv1.StreamOrdersRequest{AfterOrderId: all[10], UntilOrderId: all[20]}, all[11:21], []int{10}},
			"after the last":  {&orderv1.StreamOrdersRequest{AfterOrderId: all[1000]}, nil, nil},
			"after the end":   {&orderv1.StreamOrdersRequest{AfterOrderId: all[5], UntilOrderId: all[5]}, nil, nil},
			"ids":             {&orderv1.StreamOrdersRequest{OrderIds: []string{all[9], none, all[3], all[9]}}, []string{all[3], all[9]}, []int{2}},
			"500 ids":         {&orderv1.StreamOrdersRequest{OrderIds: all[7:507]}, all[7:507], []int{500}},
			"unknown ids":     {&orderv1.StreamOrdersRequest{OrderIds: []string{none}}, nil, nil},
		} {
			got, pages := w.audit(c.in)
			if !slices.Equal(got, c.want) || !slices.Equal(pages, c.pages) {
				t.Errorf("%s: %d orders in pages of %v, want %d in %v", name, len(got), pages, len(c.want), c.pages)
			}
		}
	})
}

func TestStreamOrdersShowsWhatIsStored(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		o, exempt := row("c", Closed, 1000), row("c", Placed, 1000)
		o.ID, exempt.ID = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"
		o.CloseReason, o.StockState, o.Version, o.UpdatedAt = Cancelled, StockReleased, 4, 2000
		exempt.ExpiresAt, exempt.Lines, o.Lines = NoTimeout, []Line{{OrderID: exempt.ID, SKU: "b", Quantity: 1}}, []Line{{OrderID: o.ID, SKU: "a", Quantity: 3}}
		w.insert(o, exempt)
		stream := &received[orderv1.StreamOrdersResponse]{ctx: t.Context()}
		if err := NewAuditGRPC(w.service).StreamOrders(nil, stream); err != nil {
			t.Fatal(err)
		}
		want := []*orderv1.StreamOrdersResponse{{Orders: []*orderv1.AuditedOrder{
			{OrderId: o.ID, Status: orderv1.OrderStatus_ORDER_STATUS_CLOSED, CloseReason: orderv1.CloseReason_CLOSE_REASON_CANCELLED,
				StockState: orderv1.StockState_STOCK_STATE_RELEASED, Settled: true, Version: 4, ExpiresAtMs: o.ExpiresAt, UpdatedAtMs: 2000, ReadAtMs: start.UnixMilli(),
				Lines: []*orderv1.AuditedLine{{Sku: "a", Quantity: 3}}},
			{OrderId: exempt.ID, Status: orderv1.OrderStatus_ORDER_STATUS_PLACED, Version: 1, UpdatedAtMs: 1000, ReadAtMs: start.UnixMilli(),
				Lines: []*orderv1.AuditedLine{{Sku: "b", Quantity: 1}}},
		}}}
		if diff := cmp.Diff(want, stream.got, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	})
}

// A stream whose client goes away ends between two pages.
func TestStreamOrdersOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.insert(many(1, MaxAudited+1)...)
		ctx, leave := context.WithCancel(t.Context())
		stream := &received[orderv1.StreamOrdersResponse]{ctx: ctx, send: func(*orderv1.StreamOrdersResponse) error { leave(); return nil }}
		err := NewAuditGRPC(w.service).StreamOrders(nil, stream)
		if !errors.Is(err, context.Canceled) || len(stream.got) != 1 {
			t.Errorf("%v after %d pages", err, len(stream.got))
		}
		errGone := errors.New("gone")
		stream = &received[orderv1.StreamOrdersResponse]{ctx: t.Context(), send: func(*orderv1.StreamOrdersResponse) error { return errGone }}
		if err := NewAuditGRPC(w.service).StreamOrders(nil, stream); !errors.Is(err, errGone) {
			t.Error(err)
		}
	})
}
