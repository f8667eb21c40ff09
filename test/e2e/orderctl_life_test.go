package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	orderv1 "orderflow/api/proto/order/v1"
)

// What an operator does to orders that live, with the tool: a customer gets more time,
// another one no limit, one cancels, one has paid twice. Lists, streams and timelines
// show it.
func TestOrderctlLifeOfOrders(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		mine := []string{"--customer", s.customer}
		create := append([]string{"order", "create", "--currency", "EUR", "--line", tea + ":2:250", "--window", "10m", "--wait", "-o", "json"}, mine...)
		orders := make([]*orderv1.Order, 3)
		for i := range orders {
			orders[i] = s.created(s.orderctl(0, create...))
			if orders[i].GetStatus() != reserved {
				t.Errorf("--wait answers %s", orders[i].GetStatus())
			}
		}
		paying, offline, leaving := orders[0].GetOrderId(), orders[1].GetOrderId(), orders[2].GetOrderId()
		watch := s.orderctlAside("order", "watch", paying)

		extend := []string{"order", "extend", paying, "--window", "10m", "--request-id", "more-time"}
		wantRow(t, s.orderctl(0, extend...), "version", "3")
		wantRow(t, s.orderctl(0, extend...), "version", "3") // the same request
		wantRow(t, s.orderctl(0, "order", "exempt", offline, "--reason", "pays at the counter"), "expires", "never")
		cancelled := s.orderctl(0, "order", "cancel", leaving, "--reason", "found it cheaper")
		wantRow(t, cancelled, "status", "CLOSED", "(CANCELLED)")
		wantRow(t, cancelled, "cancelled", "found", "it", "cheaper")
		wantRow(t, s.orderctl(0, "order", "pay", paying, "--payment-id", s.customer), "payment", "PAID")
		s.waitStock(tea, 6, 2, 2)
		s.wantWatched(watch, paying)

		s.wantListed(mine, paying, offline, leaving)
		redriven := s.orderctl(0, "order", "redrive", paying, offline, leaving)
		wantRow(t, redriven, paying, "PAID")
		wantRow(t, redriven, offline, "CREATED")
		wantRow(t, redriven, leaving, "CLOSED")
		s.wantTold(offline)
		s.wantRefunds(paying)
		s.wantMistakes(map[string][]string{
			"ORDER_PAID":           {"order", "cancel", paying},
			"TIMEOUT_EXEMPT":       {"order", "extend", offline, "--window", "10m"},
			"ORDER_CLOSED":         {"order", "exempt", leaving, "--reason", "too late"},
			"order_ids[0]":         {"order", "redrive", "tea"},
			"after_version":        {"order", "watch", paying, "--after-version", "100"},
			"ORDER_NOT_FOUND":      {"order", "timeline", "00000000-0000-4000-8000-000000000000"},
			"page_token":           {"order", "list", "--page-token", "tea"},
			"page_size":            {"order", "list", "--page-size", "501"},
			"PAYMENT_NOT_FOUND":    {"refund", "resolve", s.customer + "-0", "--refund-id", "r"},
			"customer_id":          {"reservation", "list", "--customer", "a b"},
			"sku_prefix":           {"stock", "list", "--prefix", "a b"},
			"NOT_ENOUGH_AVAILABLE": {"stock", "adjust", tea, "-70", "--reason", "fell off the truck"},
		})
		s.audit()
	})
}

// created is the order in the answer to a call that made it.
func (s *system) created(text string) *orderv1.Order {
	s.t.Helper()
	text = text[strings.Index(text, "{"):] // behind the key, which was made and printed
	answer := &orderv1.CreateOrderResponse{}
	s.must(protojson.Unmarshal([]byte(text), answer))
	s.acknowledged <- answer.GetOrder().GetOrderId()
	return answer.GetOrder()
}

// orderctlAside runs the tool on another goroutine, and delivers what it has printed to
// stdout when it has ended well.
func (s *system) orderctlAside(args ...string) <-chan string {
	s.t.Helper()
	path, err := run.binary("orderctl")
	s.must(err)
	cmd := exec.CommandContext(s.t.Context(), path, args...)
	cmd.Env = append(cmd.Environ(), "ORDERCTL_ORDER_SERVICE="+s.order.GRPC(), "ORDERCTL_INVENTORY_SERVICE="+s.inventory.GRPC())
	var out bytes.Buffer
	cmd.Stdout = &out
	printed := make(chan string, 1)
	go func() {
		if err := cmd.Run(); err != nil {
			s.t.Errorf("orderctl %v: %v", args, err)
		}
		printed <- out.String()
	}()
	return printed
}

// wantWatched checks what was shown of an order that was reserved, extended and paid:
// as a table, and again as JSON from a version on.
func (s *system) wantWatched(watch <-chan string, id string) {
	s.t.Helper()
	select {
	case text := <-watch:
		rows := strings.Split(strings.TrimSpace(text), "\n")
		if len(rows) != 6 || !strings.Contains(rows[4], " PAID ") || !strings.Contains(rows[5], "SOLD") {
			s.t.Errorf("order watch shows\n%s", text)
		}
	case <-time.After(waitTimeout):
		s.t.Fatal("order watch has not ended with the order")
	}
	var versions []string
	for text := range strings.Lines(s.orderctl(0, "order", "watch", id, "--after-version", "3", "-o", "json")) {
		var change struct{ Version string }
		s.must(json.Unmarshal([]byte(text), &change))
		versions = append(versions, change.Version)
	}
	s.wantIDs("versions behind 3", []string{"4", "5"}, versions)
}

// wantListed checks the lists of the customer's orders and of what is held for them.
func (s *system) wantListed(mine []string, paying, offline, leaving string) {
	s.t.Helper()
	list := func(args ...string) string { return s.orderctl(0, append(args, mine...)...) }
	all := list("order", "list", "--all", "--page-size", "1")
	wantRow(s.t, all, paying, s.customer, "PAID", "SOLD", "500", "EUR")
	wantRow(s.t, all, offline, s.customer, "RESERVED", "RESERVED", "500", "EUR", "never")
	wantRow(s.t, all, leaving, s.customer, "CLOSED", "(CANCELLED)", "RELEASED")
	if text := list("order", "list", "--status", "reserved", "--status", "CLOSED", "--from", "2026-01-01"); strings.Contains(text, paying) || !strings.Contains(text, offline) {
		s.t.Errorf("what waits or is closed:\n%s", text)
	}
	if text := list("order", "list", "--page-size", "2"); strings.Contains(text, paying) || !strings.Contains(text, "there is more: --page-token=") {
		s.t.Errorf("the first two:\n%s", text)
	}
	held := list("reservation", "list", "--all", "-o", "json")
	for _, want := range []string{paying, offline, leaving, "RESERVATION_STATUS_SOLD", "RESERVATION_STATUS_RELEASED"} {
		if !strings.Contains(held, want) {
			s.t.Errorf("the reservations are without %s:\n%s", want, held)
		}
	}
	wantRow(s.t, list("reservation", "list", "--status", "sold"), paying, s.customer, "SOLD", "1")

	tea := s.sku("tea")
	for range 2 { // counts once
		wantRow(s.t, s.orderctl(0, "stock", "adjust", tea, "2", "--reason", "found in a count", "--adjustment-id", s.customer), tea, "8", "2", "2", "12")
	}
	s.skus[tea] = 12
	wantRow(s.t, s.orderctl(0, "stock", "list", "--prefix", s.customer), tea, "8", "2", "2", "12")
}

// wantTold checks the timeline of an order that was made exempt and redriven.
func (s *system) wantTold(id string) {
	s.t.Helper()
	o := &orderv1.Order{OrderId: id}
	s.eventually(waitTimeout, func() string { // inventory has absorbed the repetition
		if text := s.orderctl(0, "order", "timeline", id); !strings.Contains(text, "known already") {
			return text
		}
		return ""
	})
	told, kept := s.timeline(o), len(s.reservationTimeline(o)) // a repetition may add to both at any time
	text := s.orderctl(0, "order", "timeline", id)
	for _, want := range []string{"exempt from the timeout: pays at the counter", "sent again: the order is RESERVED", "operator", "RESERVED (version 1)"} {
		if !strings.Contains(text, want) {
			s.t.Errorf("the timeline is without %q:\n%s", want, text)
		}
	}
	for _, e := range told {
		if !strings.Contains(text, e.GetMessageId()) {
			s.t.Errorf("the timeline is without message %s:\n%s", e.GetMessageId(), text)
		}
	}
	var both struct {
		Order, Reservation struct{ Entries []struct{ MessageID string } }
	}
	s.decode(s.orderctl(0, "order", "timeline", id, "-o", "json"), &both)
	if len(both.Order.Entries) < 5 || len(both.Reservation.Entries) < kept {
		s.t.Errorf("as JSON the timeline is %v", both)
	}
}

// wantRefunds pays an order once more, and checks that the payment is due until it is
// resolved.
func (s *system) wantRefunds(id string) {
	s.t.Helper()
	twice := s.customer + "-2"
	wantRow(s.t, s.orderctl(0, "order", "pay", id, "--payment-id", twice), "payment", "REFUND_DUE", "(ALREADY_PAID)")
	wantRow(s.t, s.orderctl(0, "refund", "list", "--all"), twice, id, "500", "EUR", "ALREADY_PAID")
	for range 2 {
		wantRow(s.t, s.orderctl(0, "refund", "resolve", twice, "--refund-id", "r-1"), twice, id, "500", "EUR", "ALREADY_PAID")
	}
	if text := s.orderctl(0, "refund", "list", "--all", "-o", "json"); strings.Contains(text, twice) {
		s.t.Errorf("it is still due:\n%s", text)
	}
	if text := s.orderctl(1, "refund", "resolve", twice, "--refund-id", "r-2"); !strings.Contains(text, "REFUND_ALREADY_RESOLVED") {
		s.t.Errorf("another refund of it says %s", text)
	}
}

// wantMistakes checks that the tool says what is wrong, with exit code 1, and that a
// command line which is wrong ends with 2.
func (s *system) wantMistakes(refused map[string][]string) {
	s.t.Helper()
	for want, args := range refused {
		if text := s.orderctl(1, args...); !strings.Contains(text, want) {
			s.t.Errorf("orderctl %v does not say %s: %s", args, want, text)
		}
	}
	for _, args := range [][]string{
		{"order", "extend", "x"}, {"order", "exempt", "x"}, {"order", "list", "--status", "LOST"}, {"order", "list", "--from", "today"},
		{"refund", "resolve", "x"}, {"stock", "adjust", "x", "1"}, {"order", "watch"}, {"reservation", "list", "--status", "PAID"},
		{"parked", "list", "--limit", "0"}, {"order", "timeline", "x", "--timeout", "0s"},
	} {
		s.orderctl(2, args...)
	}
}
