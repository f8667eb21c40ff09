package inventory_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/event"
)

// mustAdjust makes an adjustment that has to succeed.
func (w *world) mustAdjust(in *inventoryv1.AdjustStockRequest) *inventoryv1.Stock {
	w.t.Helper()
	out, err := w.api().AdjustStock(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return out.GetStock()
}

func TestAdjustStockCountsOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.must(w.orderEvents(event.TagCreated, w.newOrder(line("A", 4))))
		for range 3 {
			if s := w.mustAdjust(adjust("a1", "A", -6, "broken")); s.GetAvailable() != 0 || s.GetReserved() != 4 || s.GetReceived() != 4 {
				t.Errorf("stock %v", s)
			}
		}
		w.mustAdjust(adjust("a2", "A", 2, "found: Käse "+strings.Repeat("ä", 180)))
		// A replay returns the stock as it is now.
		if s := w.mustAdjust(adjust("a1", "A", -6, "broken")); s.GetAvailable() != 2 || s.GetReceived() != 6 {
			t.Errorf("stock %v", s)
		}
	})
}

func TestAdjustStockWithAReusedID(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.receive("B", 10)
		w.mustAdjust(adjust("a", "A", -1, "broken"))
		for _, other := range []*inventoryv1.AdjustStockRequest{
			adjust("a", "B", -1, "broken"), adjust("a", "A", -2, "broken"), adjust("a", "A", 1, "broken"), adjust("a", "A", -1, "Broken"),
			adjust("a", "never", -1, "broken"),
		} {
			_, err := w.api().AdjustStock(t.Context(), other)
			expectStatus(t, err, codes.AlreadyExists, "ADJUSTMENT_ID_REUSED")
		}
		w.mustAdjust(adjust("A", "A", -1, "broken")) // another id: bytes differ
		w.expectStock("A", 8, 0, 0)
		w.expectStock("B", 10, 0, 0)
	})
}

// What is reserved or sold cannot be adjusted away; the refused id stays free.
func TestAdjustStockTakesOnlyWhatIsAvailable(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		o := w.reservedOrder("A", 4)
		_, err := w.api().AdjustStock(t.Context(), adjust("a", "A", -7, "count"))
		expectStatus(t, err, codes.FailedPrecondition, "NOT_ENOUGH_AVAILABLE")
		w.must(w.orderEvents(event.TagClosed, o))
		w.mustAdjust(adjust("a", "A", -7, "count"))
		w.expectStock("A", 3, 0, 0)
	})
}

func TestAdjustStockOverflow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 1)
		for _, sql := range []string{
			"UPDATE stocks SET available = 1000000000000, received = 1000000000000",
			"UPDATE receipts SET quantity = 1000000000000",
		} {
			if err := w.db.With(t.Context()).Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.api().AdjustStock(t.Context(), adjust("a", "A", 1, "count"))
		expectStatus(t, err, codes.FailedPrecondition, "STOCK_OVERFLOW")
		_, err = w.api().AddStock(t.Context(), addStock("r", "A", 1))
		expectStatus(t, err, codes.FailedPrecondition, "STOCK_OVERFLOW")
		w.mustAdjust(adjust("a", "A", -1, "count"))
		w.expectStock("A", 999_999_999_999, 0, 0)
	})
}

// T48: two differences at once both count, each of them once, while orders take from
// the same SKU.
func TestT48AdjustmentsInParallel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 100)
		parallel(t, 60, func(i int) error {
			switch i % 3 {
			case 0:
				return w.deliver(w.orderEvents(event.TagCreated, w.newOrder(line("A", 1))))
			case 1:
				_, err := w.api().AdjustStock(t.Context(), adjust(fmt.Sprint("up", i/6), "A", 3, "count"))
				return err
			default:
				_, err := w.api().AdjustStock(t.Context(), adjust(fmt.Sprint("down", i/6), "A", -2, "count"))
				return err
			}
		})
		w.expectStock("A", 100+10*3-10*2-20, 20, 0)
	})
}
