package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// readPage reads a page of a list: the ids on it, and the token of the next one.
type readPage func(ctx context.Context, size int32, token string) (ids []string, next string, err error)

// readAll reads page after page, and calls between before each page but the first.
func (s *system) readAll(size int32, read readPage, between func()) (ids []string) {
	s.t.Helper()
	for token := ""; ; between() {
		ctx, cancel := s.call()
		page, next, err := read(ctx, size, token)
		cancel()
		s.must(err)
		if len(page) > int(size) || len(page) == 0 && next != "" {
			s.t.Fatalf("a page of %d has %d rows, and behind it %q", size, len(page), next)
		}
		ids = append(ids, page...)
		if next == "" {
			return ids
		}
		token = next
	}
}

// listOrders reads pages of the customer's orders with more filters.
func (s *system) listOrders(more func(r *orderv1.ListOrdersRequest)) readPage {
	return func(ctx context.Context, size int32, token string) (ids []string, next string, err error) {
		r := &orderv1.ListOrdersRequest{CustomerId: s.customer}
		more(r)
		r.PageSize, r.PageToken = size, token
		answer, err := s.orderClient.ListOrders(ctx, r)
		for _, o := range answer.GetOrders() {
			ids = append(ids, o.GetOrderId())
		}
		return ids, answer.GetNextPageToken(), err
	}
}

// listReservations reads pages of the customer's reservations with more filters.
func (s *system) listReservations(more func(r *inventoryv1.ListReservationsRequest)) readPage {
	return func(ctx context.Context, size int32, token string) (ids []string, next string, err error) {
		r := &inventoryv1.ListReservationsRequest{CustomerId: s.customer}
		more(r)
		r.PageSize, r.PageToken = size, token
		answer, err := s.stockClient.ListReservations(ctx, r)
		for _, v := range answer.GetReservations() {
			ids = append(ids, v.GetOrderId())
		}
		return ids, answer.GetNextPageToken(), err
	}
}

// Orders and reservations are read page by page while more are placed: what was there
// at first is seen once each, the newest first. Filters tell them apart, and a token is
// good for its own query only.
func TestListsWhileOrdersArePlaced(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 100)
		var all []*orderv1.Order
		for range 7 { // one after the other, so that they have an order
			all = append(all, s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved))
		}
		s.wantPaid(s.pay(all[1]))
		_, err := s.cancel(all[2], "")
		s.must(err)
		short := s.waitClosed(s.place(tenMinutes, line(tea, 1000)), outOfStock)
		s.waitStock(tea, 94, 5, 1)
		idsOf := func(orders ...*orderv1.Order) (ids []string) {
			for _, o := range slices.Backward(orders) {
				ids = append(ids, o.GetOrderId())
			}
			return ids
		}
		everything := idsOf(append(slices.Clone(all), short)...)
		more := func() { s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved) }
		nothing := func() {}

		s.wantIDs("orders", everything, s.readAll(3, s.listOrders(func(*orderv1.ListOrdersRequest) {}), more))
		s.wantReservationIDs(everything, s.readAll(2, s.listReservations(func(*inventoryv1.ListReservationsRequest) {}), more), all)

		from, before := all[3].GetCreatedAt(), timestamppb.New(all[6].GetCreatedAt().AsTime())
		for name, c := range map[string]struct {
			filter func(r *orderv1.ListOrdersRequest)
			want   []string
		}{
			"paid":   {func(r *orderv1.ListOrdersRequest) { r.Statuses = []orderv1.OrderStatus{paid} }, idsOf(all[1])},
			"ended":  {func(r *orderv1.ListOrdersRequest) { r.Statuses = []orderv1.OrderStatus{closed, paid} }, idsOf(all[1], all[2], short)},
			"period": {func(r *orderv1.ListOrdersRequest) { r.CreatedFrom, r.CreatedBefore = from, before }, idsOf(all[3:6]...)},
			"future": {func(r *orderv1.ListOrdersRequest) { r.CreatedFrom = timestamppb.New(s.now().Add(time.Hour)) }, nil},
			"both": {func(r *orderv1.ListOrdersRequest) {
				r.Statuses, r.CreatedBefore = []orderv1.OrderStatus{reserved}, before
			}, idsOf(all[0], all[3], all[4], all[5])},
			"nobody's": {func(r *orderv1.ListOrdersRequest) { r.CustomerId = s.customer + "x" }, nil},
		} {
			s.wantIDs(name, c.want, s.readAll(2, s.listOrders(c.filter), nothing))
		}
		for name, c := range map[string]struct {
			status inventoryv1.ReservationStatus
			want   []string
		}{"sold": {soldForGood, idsOf(all[1])}, "given back": {givenBack, idsOf(all[2])}, "refused": {refused, idsOf(short)}} {
			s.wantIDs(name, c.want, s.readAll(1, s.listReservations(func(r *inventoryv1.ListReservationsRequest) {
				r.Statuses = []inventoryv1.ReservationStatus{c.status}
			}), nothing))
		}
		s.wantTokensRefused()
		s.audit()
	})
}

func (s *system) wantIDs(what string, want, got []string) {
	s.t.Helper()
	if !slices.Equal(got, want) {
		s.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// wantReservationIDs checks a list of reservations. Two messages of different queues
// are handled in any order, so only what was waited for is known to be sorted.
func (s *system) wantReservationIDs(want, got []string, sorted []*orderv1.Order) {
	s.t.Helper()
	at := -1
	for _, o := range slices.Backward(sorted) {
		i := slices.Index(got, o.GetOrderId())
		if i <= at {
			s.t.Errorf("reservation of %s is row %d, behind row %d", o.GetOrderId(), i, at)
		}
		at = i
	}
	for _, id := range want {
		if n := len(slices.DeleteFunc(slices.Clone(got), func(g string) bool { return g != id })); n != 1 {
			s.t.Errorf("reservation of %s is shown %d times, want once", id, n)
		}
	}
}

// wantTokensRefused checks that a page token which is forged, cut or from another query
// gives no page.
func (s *system) wantTokensRefused() {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	orders := s.listOrders(func(*orderv1.ListOrdersRequest) {})
	_, token, err := orders(ctx, 2, "")
	s.must(err)
	if page, _, err := orders(ctx, 3, token); err != nil || len(page) != 3 {
		s.t.Errorf("another page size gives %q, %v", page, err)
	}
	paidOnly := s.listOrders(func(r *orderv1.ListOrdersRequest) { r.Statuses = []orderv1.OrderStatus{paid} })
	reservations := s.listReservations(func(*inventoryv1.ListReservationsRequest) {})
	for name, bad := range map[string]struct {
		read  readPage
		token string
	}{
		"forged":            {orders, "bm90IGEgdG9rZW4gYXQgYWxs"},
		"cut":               {orders, token[:len(token)-2]},
		"longer":            {orders, token + "AA"},
		"changed":           {orders, changed(token)},
		"not base64":        {orders, "?"},
		"of all orders":     {paidOnly, token},
		"of the other call": {reservations, token},
	} {
		s.t.Run(name, func(t *testing.T) {
			_, _, err := bad.read(ctx, 2, bad.token)
			wantFields(t, err, "page_token")
		})
	}
}

// changed is the token with another character in its middle.
func changed(token string) string {
	text := []byte(token)
	i := len(text) / 2
	text[i] = map[bool]byte{true: 'B', false: 'A'}[text[i] == 'A']
	return string(text)
}

// stockPages reads pages of the test's own SKUs.
func (s *system) stockPages(ctx context.Context, size int32, token string) (skus []string, next string, err error) {
	answer, err := s.stockClient.ListStock(ctx, &inventoryv1.ListStockRequest{SkuPrefix: s.customer + ":", PageSize: size, PageToken: token})
	for _, stock := range answer.GetStocks() {
		skus = append(skus, stock.GetSku())
	}
	return skus, answer.GetNextPageToken(), err
}

// All SKUs are listed page by page, also while new ones are received.
func TestListStockWhileGoodsComeIn(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		var want []string
		for i := range 6 {
			want = append(want, s.stocked(fmt.Sprintf("tea-%d", i), 1))
		}
		n := 0
		got := s.readAll(2, s.stockPages, func() { s.stocked(fmt.Sprintf("coffee-%d", n), 1); n++ }) // before all that was read
		s.wantIDs("stock", want, got)
		s.audit()
	})
}
