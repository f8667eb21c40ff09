package inventory

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
	"orderflow/internal/page"
)

// stockPosition is where a SKU stands in a list.
type stockPosition struct{ SKU string }

// ListStock returns a page of stock, sorted by SKU.
func (a *api) ListStock(ctx context.Context, in *inventoryv1.ListStockRequest) (*inventoryv1.ListStockResponse, error) {
	var wrong apierror.Violations
	if in.GetSkuPrefix() != "" {
		checkSKU(&wrong, "sku_prefix", in.GetSkuPrefix())
	}
	query := page.NewQuery("ListStock", in.GetSkuPrefix())
	size := page.Size(&wrong, in.GetPageSize())
	after, _ := page.Position[stockPosition](&wrong, query, in.GetPageToken())
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	stocks, err := a.store.ListStock(ctx, in.GetSkuPrefix(), after.SKU, size+1)
	if err != nil {
		return nil, forClient(err)
	}
	out := &inventoryv1.ListStockResponse{}
	if len(stocks) > size {
		stocks = stocks[:size]
		if out.NextPageToken, err = page.Token(query, stockPosition{stocks[size-1].SKU}); err != nil {
			return nil, err
		}
	}
	for _, s := range stocks {
		out.Stocks = append(out.Stocks, stockMessage(s))
	}
	return out, nil
}

// ListReservations returns a page of reservations, the newest first.
func (a *api) ListReservations(
	ctx context.Context, in *inventoryv1.ListReservationsRequest,
) (*inventoryv1.ListReservationsResponse, error) {
	var wrong apierror.Violations
	filter := newFilter(&wrong, in)
	query := page.NewQuery("ListReservations", filter.CustomerID, filter.Statuses, bound(filter.CreatedFrom), bound(filter.CreatedBefore))
	size := page.Size(&wrong, in.GetPageSize())
	position, later := page.Position[Position](&wrong, query, in.GetPageToken())
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	var after *Position
	if later {
		after = &position
	}
	rows, err := a.store.ListReservations(ctx, filter, after, size+1)
	if err != nil {
		return nil, forClient(err)
	}
	out := &inventoryv1.ListReservationsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		last := rows[size-1]
		if out.NextPageToken, err = page.Token(query, Position{CreatedAt: last.CreatedAt, OrderID: last.OrderID}); err != nil {
			return nil, err
		}
	}
	for _, r := range rows {
		out.Reservations = append(out.Reservations, reservationMessage(r))
	}
	return out, nil
}

// newFilter checks a filter. Statuses are sorted and stand once, so that two requests
// for the same are the same query.
func newFilter(wrong *apierror.Violations, in *inventoryv1.ListReservationsRequest) Filter {
	f := Filter{CustomerID: in.GetCustomerId()}
	if f.CustomerID != "" && !event.IsVisibleASCII(f.CustomerID, maxCustomerID) {
		wrong.Add("customer_id", "must be 1 to %d visible ASCII characters", maxCustomerID)
	}
	for i, status := range in.GetStatuses() {
		if s := Status(status); int32(s) != int32(status) || s < StatusReserved || s > StatusSold {
			wrong.Add(fmt.Sprintf("statuses[%d]", i), "must be RESERVED, REJECTED, RELEASED or SOLD, is %d", status)
		}
		f.Statuses = append(f.Statuses, Status(status))
	}
	slices.Sort(f.Statuses)
	f.Statuses = slices.Compact(f.Statuses)
	f.CreatedFrom = timeBound(wrong, "created_from", in.GetCreatedFrom())
	f.CreatedBefore = timeBound(wrong, "created_before", in.GetCreatedBefore())
	return f
}

// timeBound is the first millisecond that is not before at; nil if at is not set.
func timeBound(wrong *apierror.Violations, path string, at *timestamppb.Timestamp) *int64 {
	if at == nil {
		return nil
	}
	if err := at.CheckValid(); err != nil {
		wrong.Add(path, "must be a time of the years 1 to 9999")
		return nil
	}
	t := at.AsTime()
	ms := t.UnixMilli()
	if t.Nanosecond()%1_000_000 != 0 {
		ms++
	}
	return &ms
}

// bound is a time of a filter as a query is known by: a pointer would be another one
// each time.
func bound(ms *int64) any {
	if ms == nil {
		return "none"
	}
	return *ms
}
