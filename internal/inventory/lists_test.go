package inventory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/event"
	"orderflow/internal/page"
)

// allStock reads every page; between two pages meanwhile is called.
func (w *world) allStock(prefix string, size int32, meanwhile func()) (skus []string) {
	w.t.Helper()
	in := &inventoryv1.ListStockRequest{SkuPrefix: prefix, PageSize: size}
	for {
		out, err := w.api().ListStock(w.t.Context(), in)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(out.GetStocks()) > int(size) {
			w.t.Errorf("a page of %d", len(out.GetStocks()))
		}
		for _, s := range out.GetStocks() {
			skus = append(skus, s.GetSku())
		}
		if in.PageToken = out.GetNextPageToken(); in.PageToken == "" {
			return skus
		}
		meanwhile()
	}
}

func TestListStock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, sku := range []string{"a", "A", "a_1", "ab1", "a.1", "az", "b"} {
			w.receive(sku, 1)
		}
		if got := strings.Join(w.allStock("", 2, func() {}), " "); got != "A a a.1 a_1 ab1 az b" {
			t.Errorf("all: %s", got)
		}
		if got := strings.Join(w.allStock("a", 2, func() {}), " "); got != "a a.1 a_1 ab1 az" {
			t.Errorf("those that begin with a: %s", got)
		}
		if got := strings.Join(w.allStock("a_", 7, func() {}), " "); got != "a_1" {
			t.Errorf("no character stands for another one: %s", got)
		}
		if got := w.allStock("c", 7, func() {}); len(got) > 0 {
			t.Errorf("none: %s", got)
		}
		// SKUs that come meanwhile shift nothing.
		n := 0
		got := w.allStock("", 2, func() { n++; w.receive(fmt.Sprint("0", n), 1) })
		if strings.Join(got, " ") != "A a a.1 a_1 ab1 az b" {
			t.Errorf("with inserts: %s", got)
		}
	})
}

// allReservations reads every page.
func (w *world) allReservations(in *inventoryv1.ListReservationsRequest, meanwhile func()) (ids []string) {
	w.t.Helper()
	for {
		out, err := w.api().ListReservations(w.t.Context(), in)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range out.GetReservations() {
			ids = append(ids, r.GetOrderId())
			if len(r.GetLines()) == 0 {
				w.t.Errorf("no lines: %v", r)
			}
		}
		if in.PageToken = out.GetNextPageToken(); in.PageToken == "" {
			return ids
		}
		meanwhile()
	}
}

// Pages survive inserts, and reservations of one millisecond stand in one order.
func TestListReservationsInPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		want := w.rejections(100) // three each millisecond
		slices.Reverse(want)
		w.receive("A", 100)
		w.clock.Advance(time.Minute)
		got := w.allReservations(&inventoryv1.ListReservationsRequest{PageSize: 7}, func() { w.reservedOrder("A", 1) })
		if !slices.Equal(got, want) {
			t.Errorf("got %d of %d, or in another order", len(got), len(want))
		}
		out, err := w.api().ListReservations(t.Context(), &inventoryv1.ListReservationsRequest{})
		if err != nil || len(out.GetReservations()) != page.DefaultSize || out.GetNextPageToken() == "" {
			t.Errorf("%d without a page size, %v", len(out.GetReservations()), err)
		}
	})
}

func TestListReservationsByFilter(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 100)
		begin := w.clock.Now()
		first := w.reservedOrder("A", 1)
		w.clock.Advance(time.Second)
		sold := w.reservedOrder("A", 1)
		w.must(w.orderEvents(event.TagPaid, sold))
		w.clock.Advance(time.Second)
		other := w.newOrder(line("A", 1))
		w.must(edit(t, w.orderEvents(event.TagCreated, other), func(events []map[string]any) { events[0]["customerId"] = "d" }))
		at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(begin.Add(d)) }
		type request = inventoryv1.ListReservationsRequest
		const reserved, isSold = inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED, inventoryv1.ReservationStatus_RESERVATION_STATUS_SOLD
		for name, c := range map[string]struct {
			in   *request
			want []*order
		}{
			"all":               {&request{}, []*order{other, sold, first}},
			"of a customer":     {&request{CustomerId: "c"}, []*order{sold, first}},
			"of nobody":         {&request{CustomerId: "C"}, nil},
			"in a status":       {&request{Statuses: []inventoryv1.ReservationStatus{isSold}}, []*order{sold}},
			"in two statuses":   {&request{Statuses: []inventoryv1.ReservationStatus{isSold, reserved, isSold}}, []*order{other, sold, first}},
			"both":              {&request{CustomerId: "c", Statuses: []inventoryv1.ReservationStatus{reserved}}, []*order{first}},
			"from":              {&request{CreatedFrom: at(time.Second)}, []*order{other, sold}},
			"from just behind":  {&request{CreatedFrom: at(time.Second + 1)}, []*order{other}},
			"before":            {&request{CreatedBefore: at(time.Second)}, []*order{first}},
			"before and behind": {&request{CreatedBefore: at(time.Second + 1)}, []*order{sold, first}},
			"between":           {&request{CreatedFrom: at(1), CreatedBefore: at(2 * time.Second)}, []*order{sold}},
			"long ago":          {&request{CreatedBefore: &timestamppb.Timestamp{}}, nil},
		} {
			c.in.PageSize = 1
			var want []string
			for _, o := range c.want {
				want = append(want, o.id)
			}
			if got := w.allReservations(c.in, func() {}); !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
	})
}

// Who placed an order is known from its events; a tombstone of a timer does not know.
func TestReservationsKnowTheirCustomer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		for tag, want := range map[event.Tag]string{event.TagCreated: "c", event.TagPaid: "c", event.TagClosed: "c", event.TagTimeout: ""} {
			o := w.newOrder(line("A", 1))
			if tag == event.TagTimeout {
				w.orders.set(o, closedOutcome)
				w.clock.Advance(window)
				w.must(w.timer(o))
			} else {
				w.must(w.orderEvents(tag, o))
			}
			out, err := w.api().GetReservation(t.Context(), &inventoryv1.GetReservationRequest{OrderId: o.id})
			if err != nil || out.GetReservation().GetCustomerId() != want {
				t.Errorf("%s: %v, %v", tag, out, err)
			}
		}
		long := w.newOrder(line("A", 1)) // a foreign text must not fail the row
		w.must(edit(t, w.orderEvents(event.TagClosed, long), func(events []map[string]any) {
			events[0]["customerId"] = strings.Repeat("ü", 100)
		}))
		if r := w.row(long); r.CustomerID != strings.Repeat("ü", 32) {
			t.Errorf("customer %q", r.CustomerID)
		}
	})
}
