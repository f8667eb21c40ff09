package e2e

import (
	"context"
	"syscall"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
)

// recovery is how long the stock client may take to find a broker again that was
// away.
const recovery = 75 * time.Second

// The broker hangs, and later it dies. Without it no order is taken: the caller
// is told to repeat within the deadline, and nothing was stored. When it is back,
// all goes on.
func TestT17TheBrokerIsDown(t *testing.T) {
	t.Parallel()
	needReal(t)
	began := time.Now()
	broker := newStack(t)
	t.Logf("the private stack is up after %s", time.Since(began).Round(time.Millisecond))
	s := newDeployment(t, plan{nameServer: broker.nameServer})
	s.startBoth()
	tea := s.stocked("tea", 100)
	s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)

	resume := func() { s.must(broker.signalBroker(syscall.SIGCONT)) }
	t.Cleanup(func() { _ = broker.signalBroker(syscall.SIGCONT) }) // so that it can be ended
	outages := []struct {
		name  string
		begin func()
		end   func()
	}{
		{"hangs", func() { s.stopBroker(broker) }, resume},
		{"dies", func() { s.must(broker.signalBroker(syscall.SIGKILL)) }, func() { broker.up(t) }},
	}
	for _, outage := range outages {
		orders := s.count("SELECT COUNT(*) FROM {order}.orders")
		began := time.Now()
		outage.begin()
		repeated := s.request(tenMinutes, line(tea, 1))
		for range 2 { // at once, and when the client has noticed
			s.wantUnavailableInTime("the broker "+outage.name, func(ctx context.Context) error {
				_, err := s.create(ctx, repeated)
				return err
			})
		}
		s.waitNotReady(s.order, "not ready")
		s.waitNotReady(s.inventory, "not ready")
		t.Logf("the broker %s: the services are not ready after %s", outage.name, time.Since(began).Round(time.Millisecond))
		s.wantRunning(s.order)
		s.wantRunning(s.inventory)
		if n := s.count("SELECT COUNT(*) FROM {order}.orders"); n != orders {
			t.Errorf("%d orders are stored that were not acknowledged", n-orders)
		}

		outage.end()
		began = time.Now()
		o := s.sendUntilTaken(repeated)
		taken := time.Since(began)
		s.waitStatusFor(recovery, o, reserved)
		t.Logf("the broker %s: orders are taken %s after its return, and reserved after %s",
			outage.name, taken.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		s.waitReady(s.order, s.inventory)
		t.Logf("the broker %s: the services are ready again %s after its return", outage.name, time.Since(began).Round(time.Millisecond))
	}
	s.waitStock(tea, 97, 3, 0)
	s.audit()
}

// stopBroker makes the broker hang.
func (s *system) stopBroker(broker *privateStack) {
	s.t.Helper()
	s.must(broker.signalBroker(syscall.SIGSTOP))
	s.eventually(waitTimeout, func() string {
		hangs, err := broker.brokerHas("T")
		s.must(err)
		if !hangs {
			return "some threads of the broker still run"
		}
		return ""
	})
}

// sendUntilTaken repeats a request, as its caller was told to.
func (s *system) sendUntilTaken(r *orderv1.CreateOrderRequest) (o *orderv1.Order) {
	s.t.Helper()
	s.eventually(recovery, func() string {
		ctx, cancel := context.WithTimeout(s.t.Context(), shortCall)
		defer cancel()
		var err error
		if o, err = s.create(ctx, r); err != nil {
			s.wantUnavailable(err)
			return "the order is not taken: " + err.Error()
		}
		return ""
	})
	return o
}
