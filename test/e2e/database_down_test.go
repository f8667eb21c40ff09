package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
)

// shortCall is the deadline of a caller who does not wait long.
const shortCall = 2 * time.Second

// order-srv loses its database, by closed connections and by silence. Callers are
// told to repeat within their deadlines; when it is back, all goes on.
func TestOrderDatabaseIsDown(t *testing.T) {
	onStacks(t, needs{aDatabaseToCut}, func(t *testing.T, on stack) {
		db := newProxy(t, mysqlAddress(t))
		s := newDeployment(t, on, plan{orderURL: db.behind})
		s.startBoth()
		tea := s.stocked("tea", 100)
		before := s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)

		for _, mode := range []proxyMode{cutOff, stalling} {
			db.set(mode)
			repeated := s.request(tenMinutes, line(tea, 1))
			s.wantAllUnavailable(before, repeated)
			s.waitNotReady(s.order, "database")
			s.wantRunning(s.order)

			db.set(passing)
			s.waitReady(s.order)
			s.waitStatus(s.send(repeated), reserved)
			if p := s.pay(s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)); p.GetOrder().GetStatus() != paid {
				t.Errorf("after the database is back a payment is %v", p)
			}
		}
		s.waitStock(tea, 95, 3, 2)
		s.audit()
	})
}

// inventory-srv loses its database: messages wait, and are handled when it is back.
func TestInventoryDatabaseIsDown(t *testing.T) {
	onStacks(t, needs{aDatabaseToCut}, func(t *testing.T, on stack) {
		db := newProxy(t, mysqlAddress(t))
		s := newDeployment(t, on, plan{inventoryURL: db.behind})
		s.startBoth()
		tea := s.stocked("tea", 100)

		db.set(cutOff)
		s.waitNotReady(s.inventory, "database")
		var orders []*orderv1.Order
		for range 8 {
			orders = append(orders, s.place(tenMinutes, line(tea, 1)))
		}
		s.waitMetric(8, "mq_messages_handled_total", []string{s.names.InventoryOrderEvents, "retry"}, s.inventory)
		s.wantRunning(s.inventory)
		for _, o := range orders {
			if now := s.get(o.GetOrderId()); now.GetStatus() != placed {
				t.Errorf("order %s is %s, want PLACED", o.GetOrderId(), now.GetStatus())
			}
		}

		db.set(passing)
		s.waitReady(s.inventory)
		for _, o := range orders {
			s.waitStatus(o, reserved)
		}
		s.waitStock(tea, 92, 8, 0)
		s.audit()
	})
}

// wantAllUnavailable makes every call of OrderService; each must say "repeat"
// within the caller's deadline.
func (s *system) wantAllUnavailable(o *orderv1.Order, r *orderv1.CreateOrderRequest) {
	s.t.Helper()
	calls := map[string]func(ctx context.Context) error{
		"CreateOrder": func(ctx context.Context) error { _, err := s.create(ctx, r); return err },
		"GetOrder": func(ctx context.Context) error {
			_, err := s.orderClient.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: o.GetOrderId()})
			return err
		},
		"PayOrder": func(ctx context.Context) error { _, err := s.orderClient.PayOrder(ctx, payment(o)); return err },
		"CloseIfUnpaid": func(ctx context.Context) error {
			_, err := s.orderClient.CloseIfUnpaid(ctx, &orderv1.CloseIfUnpaidRequest{OrderIds: []string{o.GetOrderId()}})
			return err
		},
	}
	for name, call := range calls {
		s.wantUnavailableInTime(name, call)
	}
}

// wantUnavailableInTime makes a call that must say "repeat" within the caller's
// deadline.
func (s *system) wantUnavailableInTime(name string, call func(ctx context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), shortCall)
	defer cancel()
	err := call(ctx)
	if ctx.Err() != nil {
		s.t.Errorf("%s: the answer (%v) came after the caller's deadline", name, err)
		return
	}
	s.t.Logf("%s: %v", name, err)
	s.wantUnavailable(err)
}

// waitNotReady waits until the instance says that it is not ready, and why.
func (s *system) waitNotReady(i *instance, check string) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		code, text := s.readyz(i)
		if code != http.StatusServiceUnavailable || !strings.Contains(text, check) {
			return "readyz does not miss " + check + ": " + text
		}
		return ""
	})
}

func (s *system) wantRunning(i *instance) {
	s.t.Helper()
	if !i.runs() {
		s.t.Fatal("the process has ended")
	}
}
