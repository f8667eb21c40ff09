package inventory

import (
	"fmt"
	"slices"

	"google.golang.org/grpc"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/apierror"
)

// reservationsPage is how many reservations a message of a stream has.
const reservationsPage = 500

// auditAPI is the AuditService over a Store. Between two pages nothing is held of the
// database, however slowly a client reads: SQLite has one connection.
type auditAPI struct {
	inventoryv1.UnimplementedAuditServiceServer
	store *Store
}

// NewAuditGRPC returns the AuditService over s. Its errors are as those of NewGRPC.
func NewAuditGRPC(s *Store) inventoryv1.AuditServiceServer { return &auditAPI{store: s} }

// StreamReservations sends reservations, sorted by order id.
func (a *auditAPI) StreamReservations(
	in *inventoryv1.StreamReservationsRequest, stream grpc.ServerStreamingServer[inventoryv1.StreamReservationsResponse],
) error {
	if err := checkSpan(in); err != nil {
		return err
	}
	span := Span{After: in.GetAfterOrderId(), Until: in.GetUntilOrderId(), OrderIDs: in.GetOrderIds()}
	for {
		rows, err := a.store.reservationsOf(stream.Context(), span, reservationsPage)
		if err != nil {
			return forClient(err)
		}
		if len(rows) == 0 {
			return nil
		}
		out := &inventoryv1.StreamReservationsResponse{}
		for _, r := range rows {
			out.Reservations = append(out.Reservations, auditedReservation(r))
		}
		if err := stream.Send(out); err != nil || len(rows) < reservationsPage {
			return err
		}
		span.After = rows[len(rows)-1].OrderID
	}
}

// StreamBooks sends the books, sorted by SKU.
func (a *auditAPI) StreamBooks(
	in *inventoryv1.StreamBooksRequest, stream grpc.ServerStreamingServer[inventoryv1.StreamBooksResponse],
) error {
	if err := checkBooks(in); err != nil {
		return err
	}
	send := func(page []books) error { return stream.Send(booksMessage(page)) }
	if len(in.GetSkus()) > 0 {
		skus := slices.Compact(slices.Sorted(slices.Values(in.GetSkus())))
		return forClient(a.store.eachPageOf(stream.Context(), skus, send))
	}
	return forClient(a.store.eachPageOfBooks(stream.Context(), in.GetAfterSku(), send))
}

func booksMessage(page []books) *inventoryv1.StreamBooksResponse {
	out := &inventoryv1.StreamBooksResponse{}
	for _, b := range page {
		out.Books = append(out.Books, &inventoryv1.Books{
			Stock: stockMessage(b.Stock), Missing: b.missing, Receipts: b.receipts, Held: b.held, Bought: b.bought,
		})
	}
	return out
}

func checkSpan(in *inventoryv1.StreamReservationsRequest) error {
	var wrong apierror.Violations
	chosen := len(in.GetOrderIds()) > 0
	for _, end := range []struct{ path, id string }{
		{"after_order_id", in.GetAfterOrderId()}, {"until_order_id", in.GetUntilOrderId()},
	} {
		switch {
		case end.id == "":
		case chosen:
			wrong.Add(end.path, "must be empty if order_ids are given")
		default:
			checkUUID(&wrong, end.path, end.id)
		}
	}
	if n := len(in.GetOrderIds()); n > reservationsPage {
		wrong.Add("order_ids", "must name at most %d orders, names %d", reservationsPage, n)
		return wrong.Err()
	}
	for i, id := range in.GetOrderIds() {
		checkUUID(&wrong, fmt.Sprintf("order_ids[%d]", i), id)
	}
	return wrong.Err()
}

func checkBooks(in *inventoryv1.StreamBooksRequest) error {
	if len(in.GetSkus()) == 0 && in.GetAfterSku() == "" {
		return nil
	}
	var wrong apierror.Violations
	if in.GetAfterSku() != "" {
		if len(in.GetSkus()) == 0 {
			checkSKU(&wrong, "after_sku", in.GetAfterSku())
			return wrong.Err()
		}
		wrong.Add("after_sku", "must be empty if skus are given")
	}
	checkSKUs(&wrong, in.GetSkus(), maxBooks)
	return wrong.Err()
}

func auditedReservation(r Reservation) *inventoryv1.AuditedReservation {
	out := &inventoryv1.AuditedReservation{
		OrderId: r.OrderID, Status: inventoryv1.ReservationStatus(r.Status), Version: r.Version, UpdatedAtMs: r.UpdatedAt,
	}
	for _, l := range r.Lines {
		out.Lines = append(out.Lines, &inventoryv1.AuditedLine{Sku: l.SKU, Quantity: l.Quantity})
	}
	return out
}
