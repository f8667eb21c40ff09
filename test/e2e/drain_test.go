package e2e

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// order-srv is asked to stop under load: first it says so, then it finishes what
// it has begun, and what it has acknowledged is there.
func TestOrderSrvDrainsUnderLoad(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 1_000_000)
		watch := s.watchHealth(s.order)
		if got := <-watch; got != healthv1.HealthCheckResponse_SERVING {
			t.Fatalf("health is %s before the stop", got)
		}

		load := s.startLoad(tea)
		load.waitAcknowledged(50)
		s.stop(s.order)
		if got := <-watch; got != healthv1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("health was %s during the drain, want NOT_SERVING", got)
		}
		load.stop()
		t.Logf("%d orders acknowledged, %d calls refused", load.acknowledged.Load(), load.refused.Load())

		s.useOrder(s.restart(s.order))
		s.waitReady(s.order)
		s.place(tenMinutes, line(tea, 1))
		s.audit()
	})
}

// inventory-srv is restarted three times under load: orders are taken while it is
// away, nothing is lost, and nothing is reserved twice.
func TestInventoryDrainsUnderLoad(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 1_000_000)
		load := s.startLoad(tea)
		for round := range int64(3) {
			load.waitAcknowledged(50 * (round + 1))
			s.stop(s.inventory)
			load.waitAcknowledged(load.acknowledged.Load() + 10)
			s.useInventory(s.restart(s.inventory))
			s.waitReady(s.inventory)
		}
		load.stop()
		t.Logf("%d orders acknowledged, %d calls refused", load.acknowledged.Load(), load.refused.Load())
		s.audit()
		if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE version <> 1 OR status <> 1"); n > 0 {
			t.Errorf("%d reservations are not what one reservation leaves", n)
		}
	})
}

// load places orders from many goroutines until it is stopped.
type load struct {
	s            *system
	ctx          context.Context
	cancel       context.CancelFunc
	workers      sync.WaitGroup
	acknowledged atomic.Int64
	refused      atomic.Int64
}

// loaders is how many goroutines place orders at once.
const loaders = 16

func (s *system) startLoad(sku string) *load {
	l := &load{s: s}
	l.ctx, l.cancel = context.WithCancel(s.t.Context())
	for range loaders {
		l.workers.Go(func() {
			for l.ctx.Err() == nil {
				l.place(sku)
			}
		})
	}
	s.t.Cleanup(l.stop)
	return l
}

// place places one order. A call may fail, but only by saying "repeat".
func (l *load) place(sku string) {
	ctx, cancel := context.WithTimeout(l.s.t.Context(), callTimeout)
	defer cancel()
	_, err := l.s.create(ctx, l.s.request(tenMinutes, line(sku, 1)))
	switch {
	case err == nil:
		l.acknowledged.Add(1)
	case codeOf(err) == codes.Unavailable:
		l.refused.Add(1)
		select { // as a client does that is told to repeat
		case <-l.ctx.Done():
		case <-time.After(pollInterval):
		}
	default:
		l.s.t.Errorf("a call ended with %v", err)
	}
}

func (l *load) waitAcknowledged(n int64) {
	l.s.t.Helper()
	l.s.eventually(waitTimeout, func() string {
		if l.acknowledged.Load() < n {
			return "too few orders are acknowledged"
		}
		return ""
	})
}

func (l *load) stop() {
	l.cancel()
	l.workers.Wait()
}

// watchHealth delivers what the instance says of its health.
func (s *system) watchHealth(i *instance) <-chan healthv1.HealthCheckResponse_ServingStatus {
	s.t.Helper()
	stream, err := healthv1.NewHealthClient(s.dial(i.GRPC())).Watch(s.t.Context(), &healthv1.HealthCheckRequest{})
	s.must(err)
	said := make(chan healthv1.HealthCheckResponse_ServingStatus, 10)
	go func() {
		defer close(said)
		for {
			answer, err := stream.Recv()
			if err != nil {
				return
			}
			said <- answer.GetStatus()
		}
	}()
	return said
}
