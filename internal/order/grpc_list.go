package order

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
	"orderflow/internal/page"
)

// ListOrders is documented in the proto.
func (g *grpcServer) ListOrders(ctx context.Context, in *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	var v apierror.Violations
	f := filterOf(&v, in)
	size := page.Size(&v, in.GetPageSize())
	query := page.NewQuery("ListOrders", f.CustomerID, f.Statuses, f.From, f.Before)
	position, found := page.Position[Position](&v, query, in.GetPageToken())
	if err := v.Err(); err != nil {
		return nil, err
	}
	var behind *Position
	if found {
		behind = &position
	}
	orders, more, err := g.service.List(ctx, f, behind, size)
	if err != nil {
		return nil, err
	}
	out := &orderv1.ListOrdersResponse{}
	for _, o := range orders {
		out.Orders = append(out.Orders, toProto(o))
	}
	if more {
		if out.NextPageToken, err = page.Token(query, orders[len(orders)-1].position()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func filterOf(v *apierror.Violations, in *orderv1.ListOrdersRequest) Filter {
	f := Filter{CustomerID: in.GetCustomerId()}
	if f.CustomerID != "" && !event.IsVisibleASCII(f.CustomerID, MaxCustomerLength) {
		v.Add("customer_id", "must be 1 to %d visible ASCII characters, or empty", MaxCustomerLength)
	}
	f.Statuses = statusesOf(v, in.GetStatuses())
	from, before := in.GetCreatedFrom(), in.GetCreatedBefore()
	validFrom, validBefore := isTime(v, "created_from", from), isTime(v, "created_before", before)
	if validFrom {
		f.From = max(ceilMilli(from), 0)
	}
	if validBefore {
		f.Before = max(ceilMilli(before), 1) // 0 would be no bound
	}
	if validFrom && validBefore && !from.AsTime().Before(before.AsTime()) {
		v.Add("created_before", "must be later than created_from")
	}
	return f
}

// statusesOf are the statuses of a filter, sorted.
func statusesOf(v *apierror.Violations, in []orderv1.OrderStatus) []Status {
	if most := len(statuses()); len(in) > most {
		v.Add("statuses", "must be at most %d, got %d", most, len(in))
		return nil
	}
	var asked []Status
	for i, s := range in {
		status := Status(s)
		switch {
		case orderv1.OrderStatus(status) != s || !slices.Contains(statuses(), status):
			v.Add(fieldAt("statuses", i), "is not a status that an order can have")
		case slices.Contains(asked, status):
			v.Add(fieldAt("statuses", i), "is named twice")
		default:
			asked = append(asked, status)
		}
	}
	slices.Sort(asked)
	return asked
}

// isTime tells whether a time is given, and one that a Timestamp may hold.
func isTime(v *apierror.Violations, field string, t *timestamppb.Timestamp) bool {
	if t == nil {
		return false
	}
	if !t.IsValid() {
		v.Add(field, "must be a time of the years 1 to 9999")
		return false
	}
	return true
}

// ceilMilli is the first whole millisecond at or after t: the times of orders are
// whole ones, so that it bounds the same of them.
func ceilMilli(t *timestamppb.Timestamp) int64 {
	const nanos = 1_000_000
	ms := t.GetSeconds()*1000 + int64(t.GetNanos())/nanos
	if t.GetNanos()%nanos != 0 {
		ms++
	}
	return ms
}
