package e2e

import (
	"context"
	"fmt"
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
	onStacks(t, needs{aBrokerToKill}, func(t *testing.T, on stack) {
		broker := newBroker(t, on)
		s := newDeployment(t, on, plan{broker: broker})
		s.startBoth()
		tea := s.stocked("tea", 100)
		s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)

		t.Cleanup(func() { _ = signal(broker, syscall.SIGCONT) }) // so that it can be ended
		outages := []struct {
			name  string
			begin func()
			end   func()
		}{
			{"hangs", func() { s.stopBroker(broker) }, func() { s.must(signal(broker, syscall.SIGCONT)) }},
			{"dies", func() { s.killBroker(broker) }, func() { s.startBroker(broker) }},
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
	})
}

// stopBroker makes the broker hang.
func (s *system) stopBroker(broker killableBroker) {
	s.t.Helper()
	pid, err := broker.pid()
	s.must(err)
	s.must(signal(broker, syscall.SIGSTOP))
	s.eventually(waitTimeout, func() string {
		hangs, err := areThreads(pid, "T")
		s.must(err)
		if !hangs {
			return "some threads of the broker still run"
		}
		return ""
	})
}

// killBroker ends the broker with SIGKILL, and waits until its ports are free.
func (s *system) killBroker(broker killableBroker) {
	s.t.Helper()
	pid, err := broker.pid()
	s.must(err)
	s.must(signal(broker, syscall.SIGKILL))
	s.eventually(waitTimeout, func() string {
		ended, err := areThreads(pid, "Z")
		s.must(err)
		if _, err := broker.pid(); !ended || err == nil {
			return fmt.Sprintf("process %d still runs", pid)
		}
		return ""
	})
}

// startBroker starts the broker that was killed.
func (s *system) startBroker(broker killableBroker) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), stackTimeout)
	defer cancel()
	s.must(broker.start(ctx))
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
