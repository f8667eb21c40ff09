package inventory_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
)

// What the table says about the next state is what happens, cell by cell.
func TestTheTableSaysWhatHappens(t *testing.T) {
	t.Parallel()
	table := inventory.DecisionTable()
	if len(table) != 4*5 {
		t.Fatalf("%d cells, want 4 events in 5 states", len(table))
	}
	each(t, func(t *testing.T, w *world) {
		for i, rule := range table {
			name := fmt.Sprintf("%s × %s", rule.Event, rule.State)
			sku := fmt.Sprintf("SKU%d", i)
			w.receive(sku, 10)
			o := inState(w, rule.State, sku)
			before := stateOf(w, o)
			if before != rule.State {
				t.Fatalf("%s: the reservation is %s", name, before)
			}
			if before != 0 && !slices.Contains(fromNothing(table), before) {
				t.Errorf("a first event has led to %s, which the table does not say", before)
			}
			happen(w, rule.Event, o)
			after := stateOf(w, o)
			if want := rule.Next; len(want) == 0 && after != before || len(want) > 0 && !slices.Contains(want, after) {
				t.Errorf("%s: %s becomes %s, want one of %v", name, before, after, want)
			}
		}
		entries, err := w.parked.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var parked, want []string
		for _, e := range entries {
			parked = append(parked, e.Parked.Reason)
		}
		for _, rule := range table {
			if rule.Action == "park" {
				want = append(want, rule.Reason)
			}
		}
		slices.Sort(parked)
		slices.Sort(want)
		if !slices.Equal(parked, want) {
			t.Errorf("parked %v, want %v", parked, want)
		}
	})
}

// fromNothing lists where an order's first event may lead.
func fromNothing(table []inventory.Rule) []inventory.Status {
	var all []inventory.Status
	for _, rule := range table {
		if rule.State == 0 {
			all = append(all, rule.Next...)
		}
	}
	return all
}

// inState makes an order whose reservation is in a state.
func inState(w *world, s inventory.Status, sku string) *order {
	w.t.Helper()
	o := unknownOrder(w, line(sku, 4))
	switch s {
	case inventory.StatusReserved:
		w.must(w.orderEvents(event.TagCreated, o))
	case inventory.StatusRejected:
		o.lines = append(o.lines, line("never-received", 1))
		w.must(w.orderEvents(event.TagCreated, o))
	case inventory.StatusReleased:
		w.must(w.orderEvents(event.TagClosed, o))
	case inventory.StatusSold:
		w.must(w.orderEvents(event.TagPaid, o))
	}
	return o
}

// happen lets an event of the table happen to an order.
func happen(w *world, name string, o *order) {
	w.t.Helper()
	if name != "unknown" {
		w.must(w.orderEvents(event.Tag(name), o))
		return
	}
	due := *o
	due.due = w.clock.Now()
	if outcome := w.orders.answer(o.id).GetOutcome(); outcome != orderv1.CloseOutcome_CLOSE_OUTCOME_UNKNOWN {
		w.t.Fatalf("the order service answers %s", outcome)
	}
	w.must(w.timer(&due))
}

// stateOf is where the order's reservation stands; 0 if there is none.
func stateOf(w *world, o *order) inventory.Status {
	w.t.Helper()
	r, err := w.store.Reservation(w.t.Context(), o.id)
	if status.Code(err) == codes.NotFound {
		return 0
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Status
}
