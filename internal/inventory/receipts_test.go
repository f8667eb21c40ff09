package inventory_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
)

func (w *world) api() inventoryv1.InventoryServiceServer {
	return inventory.NewGRPC(w.store, w.parked, slog.New(slog.DiscardHandler))
}

func addStock(id, sku string, quantity int64) *inventoryv1.AddStockRequest {
	return &inventoryv1.AddStockRequest{ReceiptId: id, Sku: sku, Quantity: quantity}
}

// expectStatus checks the code and the reason that a client sees.
func expectStatus(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if got := apierror.Status(err).Code(); got != code || apierror.ReasonOf(err) != reason {
		t.Errorf("got %s, %q (%v), want %s, %q", got, apierror.ReasonOf(err), err, code, reason)
	}
}

// expectFields checks which fields a client is told about.
func expectFields(t *testing.T, err error, want ...string) {
	t.Helper()
	expectStatus(t, err, codes.InvalidArgument, "INVALID_REQUEST")
	var got []string
	for _, detail := range apierror.Status(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				got = append(got, violation.GetField())
			}
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("fields %v, want %v", got, want)
	}
}

func TestAddStockCountsOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for range 3 {
			out, err := w.api().AddStock(t.Context(), addStock("r1", "A", 5))
			if err != nil {
				t.Fatal(err)
			}
			if s := out.GetStock(); s.GetSku() != "A" || s.GetAvailable() != 5 || s.GetReceived() != 5 {
				t.Errorf("stock %v", s)
			}
		}
		w.must(w.orderEvents(event.TagCreated, w.newOrder(line("A", 2))))
		if _, err := w.api().AddStock(t.Context(), addStock("r2", "A", 1)); err != nil {
			t.Fatal(err)
		}
		// A replay returns the stock as it is now.
		out, err := w.api().AddStock(t.Context(), addStock("r1", "A", 5))
		if err != nil {
			t.Fatal(err)
		}
		if s := out.GetStock(); s.GetAvailable() != 4 || s.GetReserved() != 2 || s.GetReceived() != 6 {
			t.Errorf("stock %v", s)
		}
	})
}

func TestAddStockWithAReusedReceiptID(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, sku := range []string{"A", "B"} {
			if _, err := w.api().AddStock(t.Context(), addStock("r"+sku, sku, 5)); err != nil {
				t.Fatal(err)
			}
		}
		for _, other := range []*inventoryv1.AddStockRequest{addStock("rA", "B", 5), addStock("rA", "C", 5), addStock("rA", "A", 6)} {
			_, err := w.api().AddStock(t.Context(), other)
			expectStatus(t, err, codes.AlreadyExists, "RECEIPT_ID_REUSED")
		}
		w.expectStock("A", 5, 0, 0)
		w.expectStock("B", 5, 0, 0)
	})
}

// Ids and SKUs differ by every byte: 'a' is not 'A'.
func TestSKUsAndReceiptsAreBinary(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for i, r := range []*inventoryv1.AddStockRequest{addStock("r", "a", 1), addStock("R", "A", 2)} {
			if _, err := w.api().AddStock(t.Context(), r); err != nil {
				t.Fatal(i, err)
			}
		}
		w.expectStock("a", 1, 0, 0)
		w.expectStock("A", 2, 0, 0)
	})
}

// T46: what is out of bounds is refused, with every field named.
func TestT46ReceiptOutOfBounds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, quantity := range []int64{0, -1, 1_000_000_001, -9223372036854775808, 9223372036854775807} {
			_, err := w.api().AddStock(t.Context(), addStock("r", "A", quantity))
			expectFields(t, err, "quantity")
		}
		_, err := w.api().AddStock(t.Context(), addStock("with space", "Ä", 0))
		expectFields(t, err, "receipt_id", "sku", "quantity")
		_, err = w.api().AddStock(t.Context(), addStock(strings.Repeat("r", 129), strings.Repeat("A", 65), 1))
		expectFields(t, err, "receipt_id", "sku")
		_, err = w.api().AddStock(t.Context(), addStock(strings.Repeat("r", 128), strings.Repeat("A", 64), 1_000_000_000))
		if err != nil {
			t.Errorf("the greatest receipt: %v", err)
		}
	})
}

func TestAddStockOverflow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const nearly = 1_000_000_000_000 - 5
		w.receive("A", 1)
		for _, sql := range []string{
			fmt.Sprintf("UPDATE stocks SET available = %d, received = %d", nearly, nearly),
			fmt.Sprintf("UPDATE receipts SET quantity = %d", nearly),
		} {
			if err := w.db.With(t.Context()).Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.api().AddStock(t.Context(), addStock("r", "A", 6))
		expectStatus(t, err, codes.FailedPrecondition, "STOCK_OVERFLOW")
		w.expectStock("A", nearly, 0, 0)
		// The refused receipt was not recorded: its id is free.
		if _, err := w.api().AddStock(t.Context(), addStock("r", "A", 5)); err != nil {
			t.Fatal(err)
		}
		w.expectStock("A", nearly+5, 0, 0)
		_, err = w.api().AddStock(t.Context(), addStock("r3", "A", 1))
		expectStatus(t, err, codes.FailedPrecondition, "STOCK_OVERFLOW")
	})
}

// T48: first receipts of one SKU in parallel, each of them twice, while orders
// take from it: every receipt counts, and counts once. Later rounds find the
// connections open, and meet more closely.
func TestT48FirstReceiptsInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const rounds, receipts, orders = 8, 10, 4
		for round := range rounds {
			sku := fmt.Sprintf("A%d", round)
			parallel(t, 2*receipts+orders, func(i int) error {
				if i >= 2*receipts {
					return w.deliver(w.orderEvents(event.TagCreated, w.newOrder(line(sku, 1))))
				}
				_, err := w.api().AddStock(t.Context(), addStock(fmt.Sprintf("r%d-%d", round, i/2), sku, 3))
				return err
			})
			stocks, err := w.store.Stocks(t.Context(), []string{sku})
			if err != nil || stocks[0].Received != 3*receipts {
				t.Errorf("received %v, %v; want %d", stocks, err, 3*receipts)
			}
		}
	})
}

func TestGetStock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 1)
		w.receive("B", 2)
		get := func(skus ...string) (*inventoryv1.GetStockResponse, error) {
			return w.api().GetStock(t.Context(), &inventoryv1.GetStockRequest{Skus: skus})
		}
		out, err := get("B", "A", "B")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range out.GetStocks() {
			got = append(got, s.GetSku())
		}
		if strings.Join(got, "") != "BAB" {
			t.Errorf("got %v, want the order of the request", got)
		}
		_, err = get("A", "never")
		expectStatus(t, err, codes.NotFound, "SKU_NOT_FOUND")
		if !strings.Contains(err.Error(), "never") {
			t.Errorf("the SKU is not named: %v", err)
		}
		_, err = get()
		expectFields(t, err, "skus")
		_, err = get(make([]string, 101)...)
		expectFields(t, err, "skus")
		_, err = get("A", "a b", "B", "")
		expectFields(t, err, "skus[1]", "skus[3]")
	})
}

func TestGetReservation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 1)
		o := w.newOrder(line("A", 2), line("B", 1))
		get := func(id string) (*inventoryv1.Reservation, error) {
			out, err := w.api().GetReservation(t.Context(), &inventoryv1.GetReservationRequest{OrderId: id})
			return out.GetReservation(), err
		}
		_, err := get(o.id)
		expectStatus(t, err, codes.NotFound, "RESERVATION_NOT_FOUND")
		_, err = get(strings.ToUpper(o.id))
		expectFields(t, err, "order_id")
		w.must(w.orderEvents(event.TagCreated, o))
		r, err := get(o.id)
		if err != nil {
			t.Fatal(err)
		}
		if r.GetStatus() != inventoryv1.ReservationStatus_RESERVATION_STATUS_REJECTED || r.GetVersion() != 1 ||
			!r.GetExpiresAt().AsTime().Equal(o.due) || !r.GetCreatedAt().AsTime().Equal(w.clock.Now()) {
			t.Errorf("reservation: %v", r)
		}
		a, b := r.GetLines()[0], r.GetLines()[1]
		if a.GetShortage().GetAvailable() != 1 || a.GetShortage().GetUnknownSku() || !b.GetShortage().GetUnknownSku() {
			t.Errorf("shortages: %v, %v", a, b)
		}
	})
}

// A database that does not answer is Unavailable, with a hint to retry.
func TestDatabaseThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		_, add := w.api().AddStock(ctx, addStock("r", "A", 1))
		_, stock := w.api().GetStock(ctx, &inventoryv1.GetStockRequest{Skus: []string{"A"}})
		_, reservation := w.api().GetReservation(ctx, &inventoryv1.GetReservationRequest{OrderId: w.newOrder().id})
		for _, err := range []error{add, stock, reservation} {
			expectStatus(t, err, codes.Unavailable, "TEMPORARILY_UNAVAILABLE")
		}
		// Anything else is for the server to hide.
		if err := w.db.With(t.Context()).Exec("ALTER TABLE stocks RENAME TO elsewhere").Error; err != nil {
			t.Fatal(err)
		}
		_, err := w.api().GetStock(t.Context(), &inventoryv1.GetStockRequest{Skus: []string{"A"}})
		expectStatus(t, err, codes.Internal, "")
		if err := w.db.With(t.Context()).Exec("ALTER TABLE elsewhere RENAME TO stocks").Error; err != nil {
			t.Fatal(err)
		}
	})
}
