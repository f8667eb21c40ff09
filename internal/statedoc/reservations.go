package main

import (
	"slices"
	"strings"

	"orderflow/internal/inventory"
)

// noReservation is the state of an order of which inventory has no row.
const noReservation = "no row"

// reservations is the half of inventory-srv.
func (p *writer) reservations(table []inventory.Rule) {
	var states, events, actions, reasons list
	cells := map[[2]string]inventory.Rule{}
	for _, r := range table {
		states.add(stateOf(r))
		events.add(r.Event)
		actions.add(r.Action)
		if r.Reason != "" {
			reasons.add(r.Reason)
		}
		cells[[2]string{r.Event, stateOf(r)}] = r
	}

	p.line("## Reservations\n")
	p.line("An event may come twice, late, or before the one that should have come first; the reservation's row is locked, and the table decides.")
	p.line("It is [`internal/inventory/decision.go`](../internal/inventory/decision.go).\n")
	p.diagram(table)
	p.head(append([]string{"event"}, states...)...)
	for _, event := range events {
		row := []string{code(event)}
		for _, s := range states {
			row = append(row, cell(cells[[2]string{event, s}]))
		}
		p.row(row...)
	}
	p.line("")
	p.sentences("state", states, reservationStates())
	p.sentences("event", events, reservationEvents())
	p.sentences("action", actions, reservationActions())
	p.sentences("reason", reasons, parkReasons())
}

// diagram draws what changes a reservation.
func (p *writer) diagram(table []inventory.Rule) {
	p.line("```mermaid\nstateDiagram-v2")
	var left, reached, drawn list
	for _, r := range table {
		from := "[*]"
		if r.State != 0 {
			from = r.State.String()
		}
		for _, next := range r.Next {
			left.add(from)
			reached.add(next.String())
			drawn.add("    " + from + " --> " + next.String() + ": " + r.Event)
		}
	}
	for _, state := range reached {
		if !slices.Contains(left, state) {
			drawn.add("    " + state + " --> [*]")
		}
	}
	p.line("%s\n```\n", strings.Join(drawn, "\n"))
}

func stateOf(r inventory.Rule) string {
	if r.State == 0 {
		return noReservation
	}
	return r.State.String()
}

// cell is what the table says: the action, where it leads, and why it parks.
func cell(r inventory.Rule) string {
	text := r.Action
	if len(r.Next) > 0 {
		names := make([]string, len(r.Next))
		for i, s := range r.Next {
			names[i] = s.String()
		}
		text += " → " + strings.Join(names, " or ")
	}
	switch {
	case r.Reason == "":
		return text
	case len(r.Next) > 0:
		return text + ", or park: " + code(r.Reason)
	default:
		return text + ": " + code(r.Reason)
	}
}
