package load

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/cmd/orderctl/dev/devtest"
	"orderflow/internal/cli"
)

// parse makes the command as a command line does.
func parse(t *testing.T, args ...string) Command {
	t.Helper()
	var c Command
	if err := cli.ParseFlags(&c, "ORDERCTL", args...); err != nil {
		t.Fatal(err)
	}
	return c
}

// A load on the whole system, in this process.
func TestEveryOrderIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	system := devtest.Start(t)
	var out bytes.Buffer
	c := parse(t, "--order-service="+system.OrderAddr(), "--inventory-service="+system.InventoryAddr(),
		"--rate=20", "--duration=1s", "--paid=50", "--payment-window=5s", "--settle=1m")
	if err := c.Run(t.Context(), cli.Output{Stdout: &out, Stderr: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	fields := strings.Fields(out.String())
	if len(fields) < 2 || fields[0] != "accepted" || fields[1] != "20" {
		t.Errorf("20 orders were due, and this is told:\n%s", out.String())
	}
	for _, want := range []string{"paid, sold", "closed by timeout", "p99"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not told:\n%s", want, out.String())
		}
	}
}

func TestWithoutAService(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := parse(t, "--order-service=127.0.0.1:1", "--inventory-service=127.0.0.1:1")
	if err := c.Run(ctx, cli.Output{Stdout: io.Discard, Stderr: io.Discard}); err == nil {
		t.Error("it received stock from nobody")
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{
		"--rate=0", "--rate=NaN", "--rate=10001", "--duration=25h", "--customers=0", "--skus=0", "--paid=101", "--paid=-1",
		"--payment-window=721h", "--max-open=0", "--settle=2h", "--every=1ms", "--order-service=x", "--inventory-service=x",
	} {
		var c Command
		name, _, _ := strings.Cut(flag, "=")
		if err := cli.ParseFlags(&c, "ORDERCTL", flag); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error that names the flag", flag, err)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const (
		isPaid, isClosed      = orderv1.OrderStatus_ORDER_STATUS_PAID, orderv1.OrderStatus_ORDER_STATUS_CLOSED
		isSold, isReleased    = orderv1.StockState_STOCK_STATE_SOLD, orderv1.StockState_STOCK_STATE_RELEASED
		byTimeout, byCustomer = orderv1.CloseReason_CLOSE_REASON_TIMEOUT, orderv1.CloseReason_CLOSE_REASON_CANCELLED
	)
	for _, test := range []struct {
		name   string
		status orderv1.OrderStatus
		stock  orderv1.StockState
		reason orderv1.CloseReason
		paid   bool
		want   outcome
	}{
		{"paid and sold", isPaid, isSold, 0, true, soldPaid},
		{"the answer to the payment was lost", isPaid, isSold, 0, false, soldPaid},
		{"paid, and its stock given back", isPaid, isReleased, 0, true, wrong},
		{"timed out", isClosed, isReleased, byTimeout, false, timedOut},
		{"timed out although it was paid", isClosed, isReleased, byTimeout, true, wrong},
		{"closed and sold", isClosed, isSold, byTimeout, false, wrong},
		{"cancelled", isClosed, isReleased, byCustomer, false, otherwise},
	} {
		got := judge(&orderv1.Order{Status: test.status, StockState: test.stock, CloseReason: test.reason}, test.paid)
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		add  []outcome
		good bool
	}{
		{nil, true},
		{[]outcome{soldPaid, timedOut, otherwise, refused, skipped, repeated}, true},
		{[]outcome{wrong}, false},
		{[]outcome{unfinished}, false},
	} {
		tally := newTally()
		tally.accepted(time.Millisecond)
		for _, o := range test.add {
			tally.add(o)
		}
		if err := tally.verdict(); (err == nil) != test.good {
			t.Errorf("%v: %v", test.add, err)
		}
	}
	if newTally().verdict() == nil {
		t.Error("a load of which nothing was accepted went well")
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	var l latencies
	for ms := 1; ms <= 1000; ms++ {
		l.add(time.Duration(ms) * time.Millisecond)
	}
	for percent, exact := range map[int]time.Duration{50: 500 * time.Millisecond, 99: 990 * time.Millisecond, 100: time.Second} {
		if got := l.percentile(percent); got < exact || got > exact*21/20 {
			t.Errorf("p%d is %v, want %v or at most 5 %% more", percent, got, exact)
		}
	}
	l.add(100 * time.Hour)
	l.add(0)
	if l.longest != 100*time.Hour || l.percentile(100) != l.longest || l.percentile(0) > 2*shortest {
		t.Errorf("the ends are %v and %v", l.percentile(0), l.percentile(100))
	}
}
