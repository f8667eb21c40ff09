package main

import (
	"os"
	"strings"
	"testing"

	"orderflow/internal/inventory"
	"orderflow/internal/order"
)

const file = "../../docs/state-machine.md"

func TestPageIsUpToDate(t *testing.T) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := page()
	if err != nil {
		t.Fatal(err)
	}
	if want != string(text) {
		t.Error(`docs/state-machine.md is not what the tables say: run "make generate"`)
	}
}

func TestPageHasEveryCell(t *testing.T) {
	text, err := page()
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range order.Transitions() {
		for _, from := range tr.From {
			if edge := "    " + from.String() + " --> " + tr.To.String() + ": " + tr.Name; !strings.Contains(text, edge) {
				t.Errorf("%q is not in\n%s", edge, text)
			}
		}
	}
	for _, r := range inventory.DecisionTable() {
		if !strings.Contains(text, "\n| `"+r.Event+"` | ") || r.Reason != "" && !strings.Contains(text, code(r.Reason)) {
			t.Errorf("%+v is not in\n%s", r, text)
		}
	}
	for _, line := range []string{
		"\n| event | PLACED | RESERVED | PAID | CLOSED |\n",
		"\n| `pay` | – | PAID | – | – |\n",
		"\n| `expire` | CLOSED (TIMEOUT) | CLOSED (TIMEOUT) | – | – |\n",
		"\n| `closed` | entomb → RELEASED | release → RELEASED | repeat | repeat | park: `CLOSED_AFTER_SOLD` |\n",
		"\n| `paid` | sell at once → SOLD, or park: `PAID_BUT_SHORT` | sell → SOLD | park: `PAID_AFTER_REJECTED` |",
		"\n    [*] --> REJECTED: created\n", "\n    RESERVED --> SOLD: paid\n", "\n    SOLD --> [*]\n", "\n    CLOSED --> [*]\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
	if strings.Contains(text, "    RESERVED --> [*]\n") {
		t.Error("a status that can be left is shown as final")
	}
}

func TestAWordThatIsMissingIsAnError(t *testing.T) {
	t.Parallel()
	p := &writer{}
	p.orders([]order.Transition{{Name: "vanish", From: []order.Status{order.Placed}, To: order.Closed}})
	if len(p.missing) != 1 || !strings.Contains(p.missing[0].Error(), `"vanish"`) {
		t.Errorf("got %v", p.missing)
	}
}
