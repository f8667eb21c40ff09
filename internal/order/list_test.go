package order

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/migrations"
)

// row makes an order as it would be stored, with two lines.
func row(customer string, status Status, createdAt int64) Order {
	id := uuid.NewString()
	return Order{
		ID: id, CustomerID: customer, IdempotencyKey: id, Status: status, Currency: "EUR",
		CreatedAt: createdAt, UpdatedAt: createdAt, ExpiresAt: createdAt + window.Milliseconds(), Version: 1,
		Lines: []Line{{OrderID: id, SKU: "cup", Quantity: 1}, {OrderID: id, SKU: "tea", Quantity: 2}},
	}
}

// insert stores orders as they are.
func (w *world) insert(orders ...Order) {
	w.t.Helper()
	for batch := range slices.Chunk(orders, 200) {
		var lines []Line
		for _, o := range batch {
			lines = append(lines, o.Lines...)
		}
		if err := w.db.With(w.t.Context()).Create(&batch).Error; err != nil {
			w.t.Fatal(err)
		}
		if err := w.db.With(w.t.Context()).Create(&lines).Error; err != nil {
			w.t.Fatal(err)
		}
	}
}

// listAll reads every page of a query; between reads, meanwhile runs.
func (w *world) listAll(in *orderv1.ListOrdersRequest, meanwhile func()) (ids []string, pages int) {
	w.t.Helper()
	api := NewGRPC(w.service)
	for {
		out, err := api.ListOrders(w.t.Context(), in)
		if err != nil {
			w.t.Fatal(err)
		}
		pages++
		for _, o := range out.GetOrders() {
			ids = append(ids, o.GetOrderId())
			if len(o.GetLines()) != 2 || o.GetLines()[0].GetSku() != "cup" || o.GetLines()[1].GetSku() != "tea" {
				w.t.Errorf("order %s has the lines %v", o.GetOrderId(), o.GetLines())
			}
		}
		if out.GetNextPageToken() == "" {
			return ids, pages
		}
		in.PageToken = out.GetNextPageToken()
		meanwhile()
	}
}

// newest sorts the orders that pass as a list has them, in plain Go.
func newest(orders []Order, passes func(o Order) bool) (ids []string) {
	sorted := slices.Clone(orders)
	slices.SortFunc(sorted, func(a, b Order) int {
		if a.CreatedAt != b.CreatedAt {
			return int(b.CreatedAt - a.CreatedAt)
		}
		return strings.Compare(b.ID, a.ID)
	})
	for _, o := range sorted {
		if passes(o) {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

func many(customers, each int) (orders []Order) {
	base := start.UnixMilli()
	for i := range customers * each {
		// Three orders share each moment, so that the id has to decide.
		orders = append(orders, row(fmt.Sprintf("c-%d", i%customers), statuses()[i%5%4], base+int64(i/3)))
	}
	return orders
}

// Every combination of filters, in pages of every kind of size, gives what a plain
// loop over all orders gives.
func TestListOrders(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		orders := many(3, 40)
		w.insert(orders...)
		base := start.UnixMilli()
		for _, customer := range []string{"", "c-1", "nobody"} {
			for _, set := range [][]Status{nil, {Closed}, {Paid, Placed}, {Closed, Placed, Reserved}, {Placed, Reserved, Paid, Closed}} {
				for _, times := range [][2]int64{{0, 0}, {base + 10, 0}, {0, base + 30}, {base + 10, base + 30}} {
					in := &orderv1.ListOrdersRequest{CustomerId: customer}
					for _, s := range set {
						in.Statuses = append(in.Statuses, orderv1.OrderStatus(s))
					}
					if times[0] != 0 {
						in.CreatedFrom = timestamppb.New(time.UnixMilli(times[0]))
					}
					if times[1] != 0 {
						in.CreatedBefore = timestamppb.New(time.UnixMilli(times[1]))
					}
					want := newest(orders, func(o Order) bool {
						return (customer == "" || o.CustomerID == customer) && (len(set) == 0 || slices.Contains(set, o.Status)) &&
							o.CreatedAt >= times[0] && (times[1] == 0 || o.CreatedAt < times[1])
					})
					for _, size := range []int32{7, 500} {
						in.PageSize, in.PageToken = size, ""
						got, pages := w.listAll(in, func() {})
						if !slices.Equal(got, want) {
							t.Errorf("%v: %d orders, want %d, or another order of them", in, len(got), len(want))
						}
						if most := max(1, (len(want)+int(size)-1)/int(size)); pages != most {
							t.Errorf("%v: %d pages, want %d", in, pages, most)
						}
					}
				}
			}
		}
	})
}

// Orders that are placed while somebody turns the pages move nothing.
func TestListOrdersWhileOrdersArePlaced(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		orders := many(1, 30)
		w.insert(orders...)
		next := start.UnixMilli() + 1000
		got, _ := w.listAll(&orderv1.ListOrdersRequest{PageSize: 4}, func() {
			next++
			w.insert(row("c-0", Placed, next), row("c-0", Placed, next))
		})
		if want := newest(orders, func(Order) bool { return true }); !slices.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	})
}

// A bound within a millisecond means the same as for the stored times, which are
// whole ones.
func TestListOrdersByTimesWithinAMillisecond(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		at := start.UnixMilli()
		w.insert(row("c", Placed, at), row("c", Placed, at+1))
		between := timestamppb.New(start.Add(time.Microsecond))
		for name, c := range map[string]struct {
			in   *orderv1.ListOrdersRequest
			want int
		}{
			"from":         {&orderv1.ListOrdersRequest{CreatedFrom: between}, 1},
			"before":       {&orderv1.ListOrdersRequest{CreatedBefore: between}, 1},
			"within":       {&orderv1.ListOrdersRequest{CreatedFrom: between, CreatedBefore: timestamppb.New(start.Add(2 * time.Microsecond))}, 0},
			"before epoch": {&orderv1.ListOrdersRequest{CreatedBefore: timestamppb.New(time.UnixMilli(-5))}, 0},
			"since ever":   {&orderv1.ListOrdersRequest{CreatedFrom: &timestamppb.Timestamp{Seconds: -62135596800}}, 2},
			"for ever":     {&orderv1.ListOrdersRequest{CreatedBefore: &timestamppb.Timestamp{Seconds: 253402300799, Nanos: 999_999_999}}, 2},
		} {
			if got, _ := w.listAll(c.in, func() {}); len(got) != c.want {
				t.Errorf("%s: %d orders, want %d", name, len(got), c.want)
			}
		}
	})
}

// A page of very long orders ends early: it fits into what a client takes by default.
func TestListOrdersEndsAPageOfLongOrdersEarly(t *testing.T) {
	t.Parallel()
	long := row(strings.Repeat("c", 64), Closed, start.UnixMilli())
	long.CancelReason, long.TotalMinor, long.Lines = strings.Repeat("語", 200), math.MaxInt64, nil
	for range 100 {
		long.Lines = append(long.Lines, Line{SKU: strings.Repeat("s", 64), Quantity: 1e6, UnitPriceMinor: MaxUnitPrice, Shortage: TooFew, Available: 1e6})
	}
	short := row("c", Placed, start.UnixMilli())
	for name, c := range map[string]struct {
		orders []Order
		want   int
	}{
		"long": {slices.Repeat([]Order{long}, 500), 200}, "short": {slices.Repeat([]Order{short}, 500), 500},
		"mixed": {append(slices.Repeat([]Order{short}, 400), slices.Repeat([]Order{long}, 100)...), 500}, "none": {nil, 0},
	} {
		page := withinLines(c.orders)
		out := &orderv1.ListOrdersResponse{}
		for _, o := range page {
			out.Orders = append(out.Orders, toProto(o))
		}
		if size := proto.Size(out); len(page) != c.want || size > 3<<20 {
			t.Errorf("%s: %d orders of %d bytes, want %d orders", name, len(page), size, c.want)
		}
	}
}

// A page of any filter is a range of the index that has its order.
func TestListOrdersSortsNoTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, databasetest.NewMySQL(t, migrations.Order()))
	w.insert(many(50, 120)...)
	if err := w.db.With(t.Context()).Exec("ANALYZE TABLE orders").Error; err != nil {
		t.Fatal(err)
	}
	from, before := start.UnixMilli()+100, start.UnixMilli()+1900
	at := &Position{CreatedAt: start.UnixMilli() + 1000, ID: uuid.NewString()}
	for _, times := range [][2]int64{{0, 0}, {from, 0}, {0, before}, {from, before}} {
		for _, behind := range []*Position{nil, at} {
			for name, c := range map[string]struct {
				filter Filter
				key    string
			}{
				"all":               {Filter{}, "orders_created_at"},
				"status":            {Filter{Statuses: []Status{Paid}}, "orders_status"},
				"statuses":          {Filter{Statuses: []Status{Placed, Paid}}, "orders_status"},
				"customer":          {Filter{CustomerID: "c-7"}, "orders_customer"},
				"customer, status":  {Filter{CustomerID: "c-7", Statuses: []Status{Paid}}, "orders_customer"},
				"customer, several": {Filter{CustomerID: "c-7", Statuses: []Status{Placed, Paid}}, "orders_customer"},
			} {
				c.filter.From, c.filter.Before = times[0], times[1]
				checkPlan(t, w.db, fmt.Sprintf("%s %v %v", name, times, behind != nil), c.filter, behind, c.key)
			}
		}
	}
}

func checkPlan(t *testing.T, db *database.DB, name string, f Filter, behind *Position, key string) {
	t.Helper()
	var plan []struct {
		SelectType string `gorm:"column:select_type"`
		Table      string `gorm:"column:table"`
		Type       string `gorm:"column:type"`
		Key        string `gorm:"column:key"`
		Rows       int64  `gorm:"column:rows"`
		Extra      string `gorm:"column:Extra"`
	}
	query, args := f.query(behind, 51)
	if err := db.With(t.Context()).Raw("EXPLAIN "+query, args...).Scan(&plan).Error; err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, step := range plan {
		t.Logf("%s: %+v", name, step)
		if step.Table != "orders" {
			continue // what merges the pages of several statuses
		}
		tables++
		if step.Key != key || strings.Contains(step.Extra, "filesort") {
			t.Errorf("%s: %+v, want the index %s and no sort", name, step, key)
		}
	}
	if want := max(1, strings.Count(query, "UNION ALL")+1); tables != want {
		t.Errorf("%s reads orders %d times, want %d", name, tables, want)
	}
}
