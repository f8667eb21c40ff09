package inventory

import (
	"testing"

	"pgregory.net/rapid"
)

// The table of the design, cell by cell.
func TestDecisionTable(t *testing.T) {
	t.Parallel()
	all := []Status{statusNone, StatusReserved, StatusRejected, StatusReleased, StatusSold}
	for what, want := range map[trigger][]decision{
		orderCreated: {{doReserve, ""}, {doRepeat, ""}, {doRepeat, ""}, {doRepeat, ""}, {doRepeat, ""}},
		orderClosed:  {{doEntomb, ""}, {doRelease, ""}, {doRepeat, ""}, {doRepeat, ""}, {doPark, "CLOSED_AFTER_SOLD"}},
		orderPaid: {
			{doSellAtOnce, "PAID_BUT_SHORT"}, {doSell, ""}, {doPark, "PAID_AFTER_REJECTED"},
			{doPark, "PAID_AFTER_RELEASED"}, {doRepeat, ""},
		},
		orderUnknown: {
			{doIgnore, ""}, {doPark, "RESERVATION_NO_ORDER"}, {doIgnore, ""}, {doIgnore, ""}, {doPark, "SOLD_NO_ORDER"},
		},
	} {
		for i, status := range all {
			if got := decide(what, status); got != want[i] {
				t.Errorf("%s × %s = %+v, want %+v", what, status, got, want[i])
			}
		}
	}
}

// Whatever arrives in whatever state: what parks has a reason, stock moves out of
// no state but RESERVED or none, and what this program does not know is parked.
func TestDecisionsAreSafe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		what := trigger(rapid.IntRange(-1, 6).Draw(t, "trigger"))
		status := Status(rapid.Int16Range(-1, 6).Draw(t, "status"))
		got := decide(what, status)
		known := what >= orderCreated && what <= orderUnknown && status >= statusNone && status <= StatusSold
		switch {
		case !known && got.action != doPark:
			t.Errorf("%s × %s is not known, but decided as %+v", what, status, got)
		case got.action == doPark && got.reason == "":
			t.Errorf("%s × %s parks without a reason", what, status)
		case (got.action == doRelease || got.action == doSell) && status != StatusReserved:
			t.Errorf("%s × %s moves what is not held", what, status)
		case (got.action == doReserve || got.action == doSellAtOnce || got.action == doEntomb) && status != statusNone:
			t.Errorf("%s × %s makes a second reservation", what, status)
		}
	})
}
