package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	orderv1 "orderflow/api/proto/order/v1"
)

// The operator's tool, against running services.
func TestOrderctl(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.sku("tea")

		s.orderctl(0, "stock", "add", tea, "10", "--receipt", s.customer)
		s.skus[tea] = 10
		wantRow(t, s.orderctl(0, "stock", "add", tea, "10", "--receipt", s.customer), tea, "10", "0", "0", "10")

		create := []string{
			"order", "create", "--customer", s.customer, "--currency", "EUR", "--line", tea + ":4:250",
			"--key", "orderctl", "--window", "10m", "-o", "json",
		}
		var created struct {
			Order struct{ OrderID, Status string }
		}
		for range 2 { // the same key gives the same order
			first := created.Order.OrderID
			s.decode(s.orderctl(0, create...), &created)
			if first != "" && created.Order.OrderID != first {
				t.Errorf("the same key gave %s and then %s", first, created.Order.OrderID)
			}
		}
		o := s.waitStatus(&orderv1.Order{OrderId: created.Order.OrderID}, reserved)
		table := s.orderctl(0, "order", "get", o.GetOrderId())
		wantRow(t, table, "status", "RESERVED")
		wantRow(t, table, "total", "1000", "EUR")
		wantRow(t, table, tea, "4", "250")
		wantRow(t, s.orderctl(0, "reservation", "get", o.GetOrderId()), "status", "RESERVED")
		wantRow(t, s.orderctl(0, "stock", "get", tea), tea, "6", "4", "0", "10")

		wantRow(t, s.orderctl(0, "order", "pay", o.GetOrderId(), "--payment-id", s.customer), "payment", "PAID")
		s.waitStock(tea, 6, 0, 4)
		var stock struct {
			Stocks []struct{ SKU, Sold string }
		}
		s.decode(s.orderctl(0, "stock", "get", tea, "--output", "json"), &stock)
		if len(stock.Stocks) != 1 || stock.Stocks[0].Sold != "4" {
			t.Errorf("stock as JSON is %v", stock)
		}
		wantRow(t, s.orderctl(0, "order", "pay", o.GetOrderId(), "--payment-id", s.customer+"-2"), "payment", "REFUND_DUE", "(ALREADY_PAID)")

		for want, args := range map[string][]string{
			"ORDER_NOT_FOUND": {"order", "get", "00000000-0000-4000-8000-000000000000"},
			"order_id":        {"order", "get", "tea"},
			"SKU_NOT_FOUND":   {"stock", "get", s.sku("nothing")},
			"payment_window":  {"order", "create", "--customer", "c", "--currency", "EUR", "--line", "a:1:1", "--window", "7s"},
			"Unavailable":     {"order", "get", o.GetOrderId(), "--order-service", "127.0.0.1:1"},
		} {
			if text := s.orderctl(1, args...); !strings.Contains(text, want) {
				t.Errorf("orderctl %v does not say %s: %s", args, want, text)
			}
		}
		s.orderctl(2, "order", "create", "--customer", "c")
		s.orderctl(2, "stock", "add", tea, "many")
		s.orderctl(2, "brew", "tea")
		s.audit()
	})
}

// orderctl runs the tool and returns what it printed; code is the exit code that
// it must have. On a busy machine it may be told to repeat a call: it does, as people do.
// (A creation that has no key of its own would be another one.)
func (s *system) orderctl(code int, args ...string) string {
	s.t.Helper()
	var text string
	s.eventually(waitTimeout, func() string {
		var got int
		got, text = s.orderctlOnce(args...)
		if got == code {
			return ""
		}
		failure := fmt.Sprintf("orderctl %v: exit code %d, want %d\n%s", args, got, code, text)
		if !strings.Contains(text, "repeat the call in") || slices.Contains(args, "create") && !slices.Contains(args, "--key") {
			s.t.Fatal(failure)
		}
		return failure
	})
	return text
}

// orderctlOnce runs the tool once.
func (s *system) orderctlOnce(args ...string) (code int, text string) {
	s.t.Helper()
	var out bytes.Buffer
	path, err := run.binary("orderctl")
	s.must(err)
	cmd := exec.CommandContext(s.t.Context(), path, args...)
	cmd.Env = append(cmd.Environ(), "ORDERCTL_ORDER_SERVICE="+s.order.GRPC(), "ORDERCTL_INVENTORY_SERVICE="+s.inventory.GRPC())
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func (s *system) decode(text string, into any) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		s.t.Fatal(fmt.Errorf("not JSON: %w\n%s", err, text))
	}
}

// wantRow checks that a line of the table begins with these words.
func wantRow(t *testing.T, table string, words ...string) {
	t.Helper()
	for row := range strings.Lines(table) {
		if fields := strings.Fields(row); len(fields) >= len(words) && slices.Equal(fields[:len(words)], words) {
			return
		}
	}
	t.Errorf("no row %q in\n%s", words, table)
}
