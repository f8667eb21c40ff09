package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

const tolerance = 5 * time.Minute

func testConfig() Config {
	return Config{OverdueAfter: tolerance, Grace: 5 * time.Second, CallTimeout: time.Minute, MaxViolations: 1000, RepairWait: 30 * time.Second}
}

// told is a violation in short: the code and what it is about.
func told(violations []Violation) []string {
	var all []string
	for _, v := range violations {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s%s", v.Code, v.OrderID, v.SKU)))
	}
	slices.Sort(all)
	return all
}

// flaw puts an order that stands still out of order, and says as what it has to be
// found.
type flaw struct {
	name   string
	damage func(m *model, id string)
	want   []Code
}

// rests makes an order and its reservation stand as given, for so long. The order knows
// of the reservation, unless it is unsettled.
func rests(m *model, id string, is orderv1.OrderStatus, settled bool, stock inventoryv1.ReservationStatus, age time.Duration) {
	o := m.orders[id]
	o.Status, o.Settled, o.ExpiresAtMs = is, settled, 0
	o.UpdatedAtMs = m.now.Add(-age).UnixMilli()
	if o.StockState = orderv1.StockState(stock); !settled {
		o.StockState = 0
	}
	delete(m.reservations, id)
	if stock != none {
		m.keep(id, stock)
		m.reservations[id].Lines = nil
		for _, l := range o.GetLines() {
			m.reservations[id].Lines = append(m.reservations[id].Lines, &inventoryv1.AuditedLine{Sku: l.GetSku(), Quantity: l.GetQuantity()})
		}
	}
}

const (
	fresh = time.Second
	old   = 2 * tolerance
)

// flaws are one of each kind, beside some that are none.
func flaws() []flaw {
	stands := func(is orderv1.OrderStatus, settled bool, stock inventoryv1.ReservationStatus, age time.Duration) func(*model, string) {
		return func(m *model, id string) { rests(m, id, is, settled, stock, age) }
	}
	due := func(is orderv1.OrderStatus, stock inventoryv1.ReservationStatus, late time.Duration) func(*model, string) {
		return func(m *model, id string) {
			rests(m, id, is, is == awaitsPayment, stock, old)
			m.orders[id].ExpiresAtMs = m.now.Add(-late).UnixMilli()
		}
	}
	return []flaw{
		{"fits: placed a moment ago", stands(placed, false, none, fresh), nil},
		{"fits: placed and reserved a moment ago", stands(placed, true, reserved, fresh), nil},
		{"fits: exempt", stands(awaitsPayment, true, reserved, old), nil},
		{"fits: paid a moment ago", stands(paid, false, reserved, fresh), nil},
		{"fits: closed a moment ago", stands(closed, false, reserved, fresh), nil},
		{"fits: closed and never reserved", stands(closed, true, none, old), nil},
		{"fits: out of stock", stands(closed, true, rejected, old), nil},
		{"fits: due a moment ago", due(awaitsPayment, reserved, fresh), nil},
		{"overdue", due(awaitsPayment, reserved, old), []Code{OrderOverdue}},
		{"overdue, never reserved", due(placed, none, old), []Code{OrderOverdue}},
		{"overdue, reservation lost", due(awaitsPayment, none, old), []Code{OrderOverdue, ReservationMissing}},
		{"created lost", stands(placed, false, none, old), []Code{ReservationMissing}},
		{"created lost, said to be settled", stands(placed, true, none, old), []Code{ReservationMissing}},
		{"reserved lost", stands(placed, false, reserved, old), []Code{OrderUnsettled}},
		{"rejected lost", stands(placed, false, rejected, old), []Code{OrderUnsettled}},
		{"released lost", stands(closed, false, released, old), []Code{OrderUnsettled}},
		{"sold lost", stands(paid, false, sold, old), []Code{OrderUnsettled}},
		{"closed lost before it was reserved", stands(closed, false, none, old), []Code{OrderUnsettled}},
		{"reservation lost", stands(awaitsPayment, true, none, fresh), []Code{ReservationMissing}},
		{"reservation lost of a paid order", stands(paid, true, none, fresh), []Code{ReservationMissing}},
		{"refused after it was reserved", stands(awaitsPayment, true, rejected, fresh), []Code{OpenWithoutStock}},
		{"given back while open", stands(awaitsPayment, true, released, fresh), []Code{OpenWithoutStock}},
		{"given back before it was reserved", stands(placed, false, released, fresh), []Code{OpenWithoutStock}},
		{"sold while open", stands(awaitsPayment, true, sold, fresh), []Code{OpenButSold}},
		{"paid lost", stands(paid, false, reserved, old), []Code{PaidNotSold}},
		{"sale undone by a restore", stands(paid, true, reserved, fresh), []Code{PaidNotSold}},
		{"paid and given back", stands(paid, false, released, fresh), []Code{PaidWithoutStock}},
		{"paid and refused", stands(paid, true, rejected, fresh), []Code{PaidWithoutStock}},
		{"closed lost", stands(closed, false, reserved, old), []Code{ClosedStillHolds}},
		{"release undone by a restore", stands(closed, true, reserved, fresh), []Code{ClosedStillHolds}},
		{"closed and sold", stands(closed, false, sold, fresh), []Code{ClosedButSold}},
		{"another quantity", func(m *model, id string) {
			rests(m, id, awaitsPayment, true, reserved, fresh)
			m.reservations[id].Lines[1].Quantity++
		}, []Code{LinesDiffer}},
		{"a line less, of a paid order", func(m *model, id string) {
			rests(m, id, paid, true, sold, fresh)
			m.reservations[id].Lines = m.reservations[id].Lines[:1]
		}, []Code{LinesDiffer}},
		{"held for nobody", func(m *model, id string) {
			rests(m, id, awaitsPayment, true, reserved, fresh)
			delete(m.orders, id)
		}, []Code{ReservationWithoutOrder}},
		{"fits: nothing is held for nobody", func(m *model, id string) {
			rests(m, id, closed, true, released, fresh)
			delete(m.orders, id)
		}, nil},
		{"sold to nobody", func(m *model, id string) {
			rests(m, id, paid, true, sold, fresh)
			delete(m.orders, id)
		}, []Code{ReservationWithoutOrder}},
		{"a status of the future", func(m *model, id string) {
			rests(m, id, 77, true, reserved, fresh)
		}, []Code{StatusUnknown}},
	}
}

func TestFindsWhatIsWrongAndNothingElse(t *testing.T) {
	for _, f := range flaws() {
		t.Run(f.name, func(t *testing.T) {
			m := newModel(1)
			m.pace = 0
			id := m.place()
			m.frozen[id] = true
			f.damage(m, id)
			report, err := Audit(t.Context(), m.services(), testConfig(), m)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, code := range f.want {
				want = append(want, string(code)+" "+id)
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, told(report.Violations)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// skews are what can be wrong about a SKU.
func skews() map[Code]func(*inventoryv1.Books) {
	return map[Code]func(*inventoryv1.Books){
		StockSumWrong:        func(b *inventoryv1.Books) { b.Stock.Received++; b.Receipts++ },
		StockReceiptsDiffers: func(b *inventoryv1.Books) { b.Receipts-- },
		StockReservedDiffers: func(b *inventoryv1.Books) { b.Stock.Reserved++; b.Stock.Available-- },
		StockSoldDiffers:     func(b *inventoryv1.Books) { b.Bought++ },
		StockNegative: func(b *inventoryv1.Books) {
			b.Stock.Available -= 1 << 40
			b.Stock.Received -= 1 << 40
			b.Receipts -= 1 << 40
		},
		StockRowMissing: func(b *inventoryv1.Books) { b.Stock, b.Missing = &inventoryv1.Stock{Sku: b.GetStock().GetSku()}, true },
	}
}

// A system that goes on while it is read, and in which some orders, SKUs and messages
// are not as they should be: those are found, no more and no less.
func TestFindsExactlyWhatIsWrongWhileOrdersGoOn(t *testing.T) {
	seeds := uint64(100)
	if testing.Short() {
		seeds = 30
	}
	var skewed, found, retries int64
	for seed := range seeds {
		m := newModel(seed)
		for range 50 + m.rng.IntN(100) {
			m.place()
		}
		for range m.rng.IntN(10) {
			m.goOn()
		}
		var want []string
		all := flaws()
		for range m.rng.IntN(12) {
			id := m.place()
			m.frozen[id] = true
			f := all[m.rng.IntN(len(all))]
			f.damage(m, id)
			for _, code := range f.want {
				want = append(want, string(code)+" "+id)
			}
		}
		codes := slices.Sorted(maps.Keys(skews()))
		for i := range m.rng.IntN(4) {
			if sku := fmt.Sprintf("s%d", i); slices.ContainsFunc(m.books(), func(b *inventoryv1.Books) bool { return b.GetStock().GetSku() == sku }) {
				code := codes[m.rng.IntN(len(codes))]
				m.skewed[sku] = skews()[code]
				want = append(want, string(code)+" "+sku)
			}
		}
		for i := range m.rng.IntN(4) {
			m.park(fmt.Sprint(i))
			want = append(want, string(MessageParked)+" the-order")
		}
		slices.Sort(want)
		report, err := Audit(t.Context(), m.services(), testConfig(), m)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(want, told(report.Violations)); diff != "" {
			t.Errorf("seed %d (-want +got):\n%s", seed, diff)
		}
		skewed += report.Summary.Suspects
		for _, v := range report.Violations {
			if v.OrderID != "" && v.Code != MessageParked {
				skewed--
			}
		}
		found += report.Summary.Found
		retries += report.Summary.Retries
	}
	t.Logf("%d violations, %d suspects that were none, %d retries", found, skewed, retries)
	if skewed < int64(seeds) || found < int64(seeds) || retries == 0 {
		t.Errorf("the model does not try the audit")
	}
}
