package inventory_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/sweep"
)

// stream is the server's side of a stream; it keeps what is sent.
type stream[M any] struct {
	grpc.ServerStream
	ctx    context.Context
	sent   []*M
	onSend func() error
}

func (s *stream[M]) Context() context.Context { return s.ctx }

func (s *stream[M]) Send(m *M) error {
	s.sent = append(s.sent, m)
	if s.onSend != nil {
		return s.onSend()
	}
	return nil
}

func (w *world) streamReservations(
	ctx context.Context, in *inventoryv1.StreamReservationsRequest,
) ([]*inventoryv1.StreamReservationsResponse, error) {
	s := &stream[inventoryv1.StreamReservationsResponse]{ctx: ctx}
	err := inventory.NewAuditGRPC(w.store).StreamReservations(in, s)
	return s.sent, err
}

func (w *world) streamBooks(ctx context.Context, in *inventoryv1.StreamBooksRequest) ([]*inventoryv1.StreamBooksResponse, error) {
	s := &stream[inventoryv1.StreamBooksResponse]{ctx: ctx}
	err := inventory.NewAuditGRPC(w.store).StreamBooks(in, s)
	return s.sent, err
}

// rejections writes n rejected reservations with two lines each, and returns their
// ids, sorted: many, at once.
func (w *world) rejections(n int) (ids []string) {
	w.t.Helper()
	var rows []inventory.Reservation
	var lines []inventory.Line
	now := w.clock.Now().UnixMilli()
	for i := range n {
		id := uuid.Must(uuid.NewV7()).String()
		ids = append(ids, id)
		rows = append(rows, inventory.Reservation{
			OrderID: id, CustomerID: "many", Status: inventory.StatusRejected, Version: 1,
			SweepAt: sweep.Never, CreatedAt: now + int64(i/3), UpdatedAt: now,
		})
		lines = append(lines, inventory.Line{OrderID: id, SKU: "A", Quantity: 1},
			inventory.Line{OrderID: id, SKU: "B", Quantity: 2, Shortage: inventory.ShortageUnknown})
	}
	for _, table := range []any{&rows, &lines} {
		if err := w.db.With(w.t.Context()).CreateInBatches(table, 500).Error; err != nil {
			w.t.Fatal(err)
		}
	}
	slices.Sort(ids)
	return ids
}

// Reservations come in pages, in the order of their ids, each with all of its lines;
// a stream can be resumed, bounded, or asked for some.
func TestStreamReservations(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ids := w.rejections(1001)
		for name, c := range map[string]struct {
			in    *inventoryv1.StreamReservationsRequest
			pages []int
			want  []string
		}{
			"all":         {&inventoryv1.StreamReservationsRequest{}, []int{500, 500, 1}, ids},
			"resumed":     {&inventoryv1.StreamReservationsRequest{AfterOrderId: ids[500]}, []int{500}, ids[501:]},
			"bounded":     {&inventoryv1.StreamReservationsRequest{UntilOrderId: ids[500]}, []int{500, 1}, ids[:501]},
			"between":     {&inventoryv1.StreamReservationsRequest{AfterOrderId: ids[9], UntilOrderId: ids[19]}, []int{10}, ids[10:20]},
			"behind all":  {&inventoryv1.StreamReservationsRequest{AfterOrderId: ids[1000]}, nil, nil},
			"some":        {&inventoryv1.StreamReservationsRequest{OrderIds: []string{ids[7], ids[3], ids[7]}}, []int{2}, []string{ids[3], ids[7]}},
			"500":         {&inventoryv1.StreamReservationsRequest{OrderIds: ids[:500]}, []int{500}, ids[:500]},
			"none of all": {&inventoryv1.StreamReservationsRequest{OrderIds: []string{w.newOrder().id}}, nil, nil},
		} {
			pages, err := w.streamReservations(t.Context(), c.in)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var sizes []int
			var got []string
			for _, p := range pages {
				sizes = append(sizes, len(p.GetReservations()))
				for _, r := range p.GetReservations() {
					got = append(got, r.GetOrderId())
					if lines := fmt.Sprint(r.GetLines()); len(r.GetLines()) != 2 || r.GetLines()[0].GetSku() != "A" || r.GetLines()[1].GetQuantity() != 2 {
						t.Errorf("%s: lines %s", name, lines)
					}
					if r.GetStatus() != inventoryv1.ReservationStatus_RESERVATION_STATUS_REJECTED || r.GetVersion() != 1 || r.GetUpdatedAtMs() != w.clock.Now().UnixMilli() {
						t.Errorf("%s: %v", name, r)
					}
				}
			}
			if !slices.Equal(sizes, c.pages) || !slices.Equal(got, c.want) {
				t.Errorf("%s: pages of %v, want %v", name, sizes, c.pages)
			}
		}
	})
}

// The books of a SKU are of one moment and from all the places; units without a stock
// row show up, a SKU that was only ever asked for does not.
func TestStreamBooks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, sku := range []string{"A", "B", "lost"} {
			w.receive(sku, 10)
		}
		w.mustAdjust(adjust("a", "B", -3, "broken"))
		w.reservedOrder("A", 4)
		w.must(w.orderEvents(event.TagPaid, w.reservedOrder("A", 1), w.newOrder(line("B", 2))))
		w.must(w.orderEvents(event.TagCreated, w.newOrder(line("never", 1))))
		w.reservedOrder("lost", 5)
		if err := w.db.With(t.Context()).Exec("DELETE FROM stocks WHERE sku = 'lost'").Error; err != nil {
			t.Fatal(err)
		}
		defer w.restock("lost", 10, 5)
		const a, b, lost = "A 5+4+1=10 10 4 1 false", "B 5+0+2=7 7 0 2 false", "lost 0+0+0=0 10 5 0 true"
		for name, c := range map[string]struct {
			in   *inventoryv1.StreamBooksRequest
			want []string
		}{
			"all":     {&inventoryv1.StreamBooksRequest{}, []string{a, b, lost}},
			"resumed": {&inventoryv1.StreamBooksRequest{AfterSku: "A"}, []string{b, lost}},
			"some":    {&inventoryv1.StreamBooksRequest{Skus: []string{"never", "lost", "nowhere", "A", "A"}}, []string{a, lost}},
			"none":    {&inventoryv1.StreamBooksRequest{Skus: []string{"never"}}, nil},
		} {
			pages, err := w.streamBooks(t.Context(), c.in)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var got []string
			for _, p := range pages {
				for _, x := range p.GetBooks() {
					s := x.GetStock()
					got = append(got, fmt.Sprintf("%s %d+%d+%d=%d %d %d %d %v", s.GetSku(), s.GetAvailable(), s.GetReserved(), s.GetSold(),
						s.GetReceived(), x.GetReceipts(), x.GetHeld(), x.GetBought(), x.GetMissing()))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
		found, err := w.store.Audit(t.Context())
		if err != nil || len(found) != 1 || !strings.Contains(found[0], "no stock row of SKU: lost") {
			t.Errorf("audit: %q, %v", found, err)
		}
	})
}

// restock writes the stock row that a test has taken away.
func (w *world) restock(sku string, received, reserved int64) {
	w.t.Helper()
	row := inventory.Stock{SKU: sku, Available: received - reserved, Reserved: reserved, Received: received}
	if err := w.db.With(w.t.Context()).Create(&row).Error; err != nil {
		w.t.Fatal(err)
	}
}

// Books come in pages too, also where whole pages have nothing to say.
func TestStreamBooksInPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		const skus = 150
		var never []*order
		for i := range skus {
			never = append(never, w.newOrder(line(fmt.Sprintf("a%03d", i), 1))) // sorts before the others
			w.receive(fmt.Sprintf("b%03d", i), 1)
		}
		for some := range slices.Chunk(never, event.MaxEvents) {
			w.must(w.orderEvents(event.TagCreated, some...))
		}
		pages, err := w.streamBooks(t.Context(), &inventoryv1.StreamBooksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range pages {
			if len(p.GetBooks()) == 0 || len(p.GetBooks()) > 100 {
				t.Errorf("a page of %d", len(p.GetBooks()))
			}
			for _, b := range p.GetBooks() {
				got = append(got, b.GetStock().GetSku())
			}
		}
		if len(got) != skus || !slices.IsSorted(got) || got[0] != "b000" {
			t.Errorf("got %d SKUs from %q on", len(got), got[:1])
		}
	})
}

// Books balance at every moment, also while orders run: each page is one statement.
func TestStreamBooksUnderLoad(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 1000)
		parallel(t, 8, func(i int) error {
			for range 10 {
				if i > 0 {
					o := w.newOrder(line("A", 1))
					if err := w.deliver(w.orderEvents(event.TagCreated, o)); err != nil {
						return err
					}
					if err := w.deliver(w.orderEvents([]event.Tag{event.TagPaid, event.TagClosed}[i%2], o)); err != nil {
						return err
					}
					continue
				}
				pages, err := w.streamBooks(t.Context(), &inventoryv1.StreamBooksRequest{})
				if err != nil {
					return err
				}
				b := pages[0].GetBooks()[0]
				if b.GetStock().GetReserved() != b.GetHeld() || b.GetStock().GetSold() != b.GetBought() {
					t.Errorf("books of two moments: %v", b)
				}
			}
			return nil
		})
	})
}

// A client that goes away ends its stream, and one that is slow holds nothing: the
// database answers others meanwhile, also where it has one connection.
func TestStreamsHoldNothingBetweenPages(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.receive("A", 10)
		w.rejections(501)
		gone := fmt.Errorf("gone")
		s := &stream[inventoryv1.StreamReservationsResponse]{ctx: t.Context()}
		s.onSend = func() error {
			w.expectStock("A", 10, 0, 0)
			return gone
		}
		if err := inventory.NewAuditGRPC(w.store).StreamReservations(&inventoryv1.StreamReservationsRequest{}, s); err != gone || len(s.sent) != 1 {
			t.Errorf("%v after %d pages", err, len(s.sent))
		}
		books := &stream[inventoryv1.StreamBooksResponse]{ctx: t.Context(), onSend: s.onSend}
		if err := inventory.NewAuditGRPC(w.store).StreamBooks(&inventoryv1.StreamBooksRequest{}, books); err != gone {
			t.Error(err)
		}
	})
}
