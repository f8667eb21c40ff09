package inventory_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/event"
)

// badRequest is a request that is refused: with a reason, or as invalid with fields.
type badRequest struct {
	request any
	code    codes.Code
	reason  string
	fields  string
}

func invalid(request any, fields string) badRequest {
	return badRequest{request, codes.InvalidArgument, "INVALID_REQUEST", fields}
}

// call makes the call that the request belongs to.
func (w *world) call(ctx context.Context, request any) error {
	var err error
	switch in := request.(type) {
	case *inventoryv1.AdjustStockRequest:
		_, err = w.api().AdjustStock(ctx, in)
	case *inventoryv1.ListStockRequest:
		_, err = w.api().ListStock(ctx, in)
	case *inventoryv1.ListReservationsRequest:
		_, err = w.api().ListReservations(ctx, in)
	case *inventoryv1.GetReservationTimelineRequest:
		_, err = w.api().GetReservationTimeline(ctx, in)
	case *inventoryv1.StreamReservationsRequest:
		_, err = w.streamReservations(ctx, in)
	case *inventoryv1.StreamBooksRequest:
		_, err = w.streamBooks(ctx, in)
	default:
		w.t.Fatalf("no call takes a %T", request)
	}
	return err
}

func adjust(id, sku string, difference int64, reason string) *inventoryv1.AdjustStockRequest {
	return &inventoryv1.AdjustStockRequest{AdjustmentId: id, Sku: sku, Difference: difference, Reason: reason}
}

func badAdjustments() map[string]badRequest {
	refused := func(in *inventoryv1.AdjustStockRequest, code codes.Code, reason string) badRequest {
		return badRequest{in, code, reason, ""}
	}
	return map[string]badRequest{
		"nothing at all":         invalid(&inventoryv1.AdjustStockRequest{}, "adjustment_id sku difference reason"),
		"id with a space":        invalid(adjust("a b", "A", 1, "count"), "adjustment_id"),
		"id too long":            invalid(adjust(strings.Repeat("a", 129), "A", 1, "count"), "adjustment_id"),
		"no SKU":                 invalid(adjust("a", "A B", 1, "count"), "sku"),
		"no difference":          invalid(adjust("a", "A", 0, "count"), "difference"),
		"difference too great":   invalid(adjust("a", "A", 1_000_000_001, "count"), "difference"),
		"difference too small":   invalid(adjust("a", "A", -1_000_000_001, "count"), "difference"),
		"least int64":            invalid(adjust("a", "A", -9223372036854775808, "count"), "difference"),
		"reason with a newline":  invalid(adjust("a", "A", 1, "a\nb"), "reason"),
		"reason too long":        invalid(adjust("a", "A", 1, strings.Repeat("ä", 201)), "reason"),
		"reason is not UTF-8":    invalid(adjust("a", "A", 1, "a\xff"), "reason"),
		"SKU never received":     refused(adjust("a", "never", 1, "count"), codes.NotFound, "SKU_NOT_FOUND"),
		"more than is available": refused(adjust("a", "A", -8, "count"), codes.FailedPrecondition, "NOT_ENOUGH_AVAILABLE"),
	}
}

func badLists(stock, reservations string) map[string]badRequest {
	listStock := func(prefix string, size int32, token string) *inventoryv1.ListStockRequest {
		return &inventoryv1.ListStockRequest{SkuPrefix: prefix, PageSize: size, PageToken: token}
	}
	list := func(change func(*inventoryv1.ListReservationsRequest)) *inventoryv1.ListReservationsRequest {
		in := &inventoryv1.ListReservationsRequest{CustomerId: "c", PageSize: 1}
		change(in)
		return in
	}
	never := &timestamppb.Timestamp{Seconds: 1 << 60}
	return map[string]badRequest{
		"stock: prefix is none of a SKU":  invalid(listStock("a%", 0, ""), "sku_prefix"),
		"stock: prefix is too long":       invalid(listStock(strings.Repeat("a", 65), 0, ""), "sku_prefix"),
		"stock: page too large":           invalid(listStock("", 501, ""), "page_size"),
		"stock: page negative":            invalid(listStock("", -1, ""), "page_size"),
		"stock: forged token":             invalid(listStock("", 0, "AAAA"), "page_token"),
		"stock: token of another prefix":  invalid(listStock("B", 0, stock), "page_token"),
		"stock: token of reservations":    invalid(listStock("", 0, reservations), "page_token"),
		"reservations: customer":          invalid(list(func(in *inventoryv1.ListReservationsRequest) { in.CustomerId = "ä" }), "customer_id"),
		"reservations: customer too long": invalid(list(func(in *inventoryv1.ListReservationsRequest) { in.CustomerId = strings.Repeat("c", 65) }), "customer_id"),
		"reservations: statuses": invalid(list(func(in *inventoryv1.ListReservationsRequest) {
			in.Statuses = []inventoryv1.ReservationStatus{1, 0, 5, 65537}
		}), "statuses[1] statuses[2] statuses[3]"),
		"reservations: times": invalid(list(func(in *inventoryv1.ListReservationsRequest) {
			in.CreatedFrom, in.CreatedBefore = never, never
		}), "created_from created_before"),
		"reservations: page too large": invalid(list(func(in *inventoryv1.ListReservationsRequest) { in.PageSize = 501 }), "page_size"),
		"reservations: token of another customer": invalid(list(func(in *inventoryv1.ListReservationsRequest) {
			in.CustomerId, in.PageToken = "d", reservations
		}), "page_token"),
		"reservations: token of another time": invalid(list(func(in *inventoryv1.ListReservationsRequest) {
			in.CreatedFrom, in.PageToken = &timestamppb.Timestamp{}, reservations
		}), "page_token"),
	}
}

func badReads(known string) map[string]badRequest {
	ids := func(n int) (ids []string) {
		for range n {
			ids = append(ids, uuid.NewString())
		}
		return ids
	}
	return map[string]badRequest{
		"timeline: no id":   invalid(&inventoryv1.GetReservationTimelineRequest{}, "order_id"),
		"timeline: no UUID": invalid(&inventoryv1.GetReservationTimelineRequest{OrderId: strings.ToUpper(known)}, "order_id"),
		"timeline: nothing has arrived": {
			&inventoryv1.GetReservationTimelineRequest{OrderId: ids(1)[0]}, codes.NotFound, "RESERVATION_NOT_FOUND", "",
		},
		"reservations: bounds": invalid(
			&inventoryv1.StreamReservationsRequest{AfterOrderId: "a", UntilOrderId: "b"}, "after_order_id until_order_id"),
		"reservations: bounds and ids": invalid(
			&inventoryv1.StreamReservationsRequest{AfterOrderId: known, UntilOrderId: known, OrderIds: ids(1)}, "after_order_id until_order_id"),
		"reservations: ids":          invalid(&inventoryv1.StreamReservationsRequest{OrderIds: []string{known, ""}}, "order_ids[1]"),
		"reservations: too many ids": invalid(&inventoryv1.StreamReservationsRequest{OrderIds: ids(501)}, "order_ids"),
		"books: bound":               invalid(&inventoryv1.StreamBooksRequest{AfterSku: "a b"}, "after_sku"),
		"books: bound and SKUs":      invalid(&inventoryv1.StreamBooksRequest{AfterSku: "A", Skus: []string{"A", "ä"}}, "after_sku skus[1]"),
		"books: too many SKUs":       invalid(&inventoryv1.StreamBooksRequest{Skus: make([]string, 101)}, "skus"),
	}
}

// What is wrong is refused with a name for it, and nothing comes of it: no row and no
// message.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.receive("B", 10)
		known := w.reservedOrder("A", 3)
		w.must(w.orderEvents(event.TagCreated, w.newOrder(line("B", 1))))
		w.take()
		stock, err := w.api().ListStock(t.Context(), &inventoryv1.ListStockRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		reservations, err := w.api().ListReservations(t.Context(), &inventoryv1.ListReservationsRequest{CustomerId: "c", PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []map[string]badRequest{
			badAdjustments(), badLists(stock.GetNextPageToken(), reservations.GetNextPageToken()), badReads(known.id),
		} {
			for name, bad := range table {
				before := w.dump()
				err := w.call(t.Context(), bad.request)
				if bad.fields != "" {
					expectFields(t, err, strings.Split(bad.fields, " ")...)
				} else {
					expectStatus(t, err, bad.code, bad.reason)
				}
				if diff := cmp.Diff(before, w.dump()); diff != "" || len(w.take()) > 0 {
					t.Errorf("something came of it: %s", diff)
				}
				if t.Failed() {
					t.Fatalf("%s: %v", name, bad.request)
				}
			}
		}
	})
}

// dump is every row that a call could touch.
func (w *world) dump() (rows []string) {
	w.t.Helper()
	for _, table := range []string{"stocks", "receipts", "adjustments", "reservations", "reservation_lines", "reservation_timeline", "parked_messages"} {
		var found []map[string]any
		if err := w.db.With(w.t.Context()).Table(table).Find(&found).Error; err != nil {
			w.t.Fatal(err)
		}
		for _, r := range found {
			rows = append(rows, table+fmt.Sprint(r))
		}
	}
	return rows
}

// A database that does not answer is Unavailable, for the new calls too.
func TestNewCallsWithoutDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		for _, request := range []any{
			adjust("a", "A", 1, "count"), &inventoryv1.ListStockRequest{}, &inventoryv1.ListReservationsRequest{},
			&inventoryv1.GetReservationTimelineRequest{OrderId: uuid.NewString()},
			&inventoryv1.StreamReservationsRequest{}, &inventoryv1.StreamBooksRequest{}, &inventoryv1.StreamBooksRequest{Skus: []string{"A"}},
		} {
			expectStatus(t, w.call(ctx, request), codes.Unavailable, "TEMPORARILY_UNAVAILABLE")
		}
	})
}
