package demo

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
)

func crowd(chart string) Crowd {
	return Crowd{Callers: 8, SKUs: 3, PaymentWindow: 10 * time.Minute, Chart: chart}
}

// perform runs a show, and checks what it tells and draws.
func performs(t *testing.T, run func(chart string, out cli.Output) error, want ...string) {
	t.Helper()
	var out bytes.Buffer
	path := filepath.Join(t.TempDir(), "chart.svg")
	if err := run(path, cli.Output{Stdout: &out, Stderr: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, text := range append(want, "accepted", "largest backlog", "p99", "all sums hold") {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not in\n%s", text, out.String())
		}
	}
	drawn, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append([]string{"<svg", "accepted", "reserved", "backlog"}, want...) {
		if !strings.Contains(string(drawn), text) {
			t.Errorf("%q is not in the chart", text)
		}
	}
}

// What is no terminal, and what only looks like one, gets lines.
func TestProgressWithoutATerminal(t *testing.T) {
	t.Parallel()
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = device.Close() }()
	for name, w := range map[string]io.Writer{"a buffer": &bytes.Buffer{}, "a device": device} {
		if _, ok := newProgress(w, 1).(*lines); !ok {
			t.Errorf("%s gets bars", name)
		}
	}
}

func TestDecouplingInOneProcess(t *testing.T) {
	t.Parallel()
	performs(t, func(chart string, out cli.Output) error {
		return Decoupling{Crowd: crowd(chart), Orders: 40, PerSecond: 200}.Run(t.Context(), out)
	}, "consumers are suspended", "consumers are resumed")
}

func TestPeakInOneProcess(t *testing.T) {
	t.Parallel()
	performs(t, func(chart string, out cli.Output) error {
		return Peak{Crowd: crowd(chart), Orders: 60, Handlers: 1, SuspendFor: time.Second}.Run(t.Context(), out)
	}, "a burst of 60 orders", "bound to 1 messages at once", "suspended for the first 1s")
}

// A sum that does not hold is an error, and so the exit code.
func TestLedgerThatDoesNotHold(t *testing.T) {
	t.Parallel()
	order := func(id string) *orderv1.Order {
		return &orderv1.Order{
			OrderId: id, Status: orderv1.OrderStatus_ORDER_STATUS_RESERVED, Lines: []*orderv1.Line{{Sku: "s", Quantity: 1}},
		}
	}
	good := func() (*rush, ledger) {
		return &rush{skus: []string{"s"}, ids: []string{"a", "b"}}, ledger{
			orders: []*orderv1.Order{order("b"), order("a")},
			stocks: []*inventoryv1.Stock{{Sku: "s", Received: 2, Reserved: 2}},
		}
	}
	r, l := good()
	if err := r.check(l, 2); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(r *rush, l *ledger){
		"an order is lost":           func(_ *rush, l *ledger) { l.orders = l.orders[:1] },
		"an order is not reserved":   func(_ *rush, l *ledger) { l.orders[0].Status = orderv1.OrderStatus_ORDER_STATUS_CLOSED },
		"an order came twice":        func(_ *rush, l *ledger) { l.orders = append(l.orders, order("a")) },
		"one more order":             func(_ *rush, l *ledger) { l.orders = append(l.orders, order("c")) },
		"another order":              func(_ *rush, l *ledger) { l.orders[0] = order("c") },
		"an order was not accepted":  func(r *rush, _ *ledger) { r.ids = r.ids[:1] },
		"stock was reserved twice":   func(_ *rush, l *ledger) { l.stocks[0].Reserved = 3 },
		"stock was not reserved":     func(_ *rush, l *ledger) { l.stocks[0].Reserved, l.stocks[0].Available = 1, 1 },
		"stock was sold":             func(_ *rush, l *ledger) { l.stocks[0].Reserved, l.stocks[0].Sold = 1, 1 },
		"stock came from nowhere":    func(_ *rush, l *ledger) { l.stocks[0].Received = 3 },
		"stock of nothing was heard": func(_ *rush, l *ledger) { l.stocks = nil },
	} {
		r, l := good()
		spoil(r, &l)
		if err := r.check(l, 2); err == nil {
			t.Errorf("%s, and the sums hold", name)
		}
	}
}

func TestShowsRefuseWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	good := crowd("")
	good.NameServers = []string{"127.0.0.1:9876"}
	with := func(change func(*Crowd)) Crowd { c := good; change(&c); return c }
	for name, c := range map[string]interface{ Validate() error }{
		"--orders":             Peak{Crowd: good},
		"--handlers":           Peak{Crowd: good, Orders: 1, Handlers: -1},
		"--suspend-for":        Peak{Crowd: good, Orders: 1, SuspendFor: 2 * time.Hour},
		"--per-second":         Decoupling{Crowd: good, Orders: 5},
		"--callers":            Peak{Crowd: with(func(c *Crowd) { c.Callers = 0 }), Orders: 1},
		"--skus":               Peak{Crowd: with(func(c *Crowd) { c.SKUs = 101 }), Orders: 1},
		"--chart":              Peak{Crowd: with(func(c *Crowd) { c.Chart = "x.png" }), Orders: 1},
		"--order-service":      Peak{Crowd: with(func(c *Crowd) { c.OrderService = []string{"a:1"} }), Orders: 1},
		"--order-database-url": Peak{Crowd: with(func(c *Crowd) { c.OrderDatabaseURL = "sqlite:x" }), Orders: 1},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := (Peak{Crowd: good, Orders: 1}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestSmallThings(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is shown as %s", n, got)
		}
	}
	var all []time.Duration
	for i := range 200 {
		all = append(all, time.Duration(200-i))
	}
	if p50, p99, none := percentile(all, 50), percentile(all, 99), percentile(nil, 50); p50 != 100 || p99 != 198 || none != 0 {
		t.Errorf("percentiles %d, %d, %d", p50, p99, none)
	}
}
