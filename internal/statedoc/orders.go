package main

import (
	"slices"

	"orderflow/internal/order"
)

// orders is the half of order-srv.
func (p *writer) orders(table []order.Transition) {
	var states, events, final list
	for _, t := range table {
		for _, from := range t.From {
			states.add(from.String())
		}
		events.add(t.Name)
	}
	for _, t := range table {
		if !slices.Contains(states, t.To.String()) {
			final.add(t.To.String())
		}
	}
	states.add(final...)

	p.line("## Orders\n")
	p.line("Each change is one conditional UPDATE of the order's row, and the row count says who won. The table is")
	p.line("[`internal/order/status.go`](../internal/order/status.go).\n")
	p.line("```mermaid\nstateDiagram-v2")
	p.line("    [*] --> %s: place", order.Placed)
	for _, t := range table {
		for _, from := range t.From {
			p.line("    %s --> %s: %s", from, t.To, t.Name+reason(t))
		}
	}
	for _, s := range final {
		p.line("    %s --> [*]", s)
	}
	p.line("```\n")

	p.head(append([]string{"event"}, states...)...)
	for _, t := range table {
		cells := []string{code(t.Name)}
		for _, s := range states {
			cells = append(cells, target(t, s))
		}
		p.row(cells...)
	}
	p.line("\n%s: it does not happen to an order in that status; the UPDATE finds no row, and the order stays as it is.\n", unchanged)
	p.sentences("status", states, orderStates())
	p.sentences("event", append(list{"place"}, events...), orderEvents())
}

// target is where t leads from the state.
func target(t order.Transition, state string) string {
	for _, from := range t.From {
		if from.String() == state {
			return t.To.String() + reason(t)
		}
	}
	return unchanged
}

func reason(t order.Transition) string {
	if t.Reason == order.NotClosed {
		return ""
	}
	return " (" + t.Reason.String() + ")"
}
