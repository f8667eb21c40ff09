package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/process"
)

// watcher follows an order as a client does: it keeps what it is sent, and how the
// stream ended.
type watcher struct {
	s     *system
	ended chan struct{} // closed when the stream has
	err   error         // why; io.EOF if it was ended well

	mu      sync.Mutex
	changes []*orderv1.WatchOrderResponse
}

// watch begins to follow an order behind a version, at one order-srv.
func (s *system) watch(ctx context.Context, at orderv1.OrderServiceClient, o *orderv1.Order, after int64) *watcher {
	w := &watcher{s: s, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		stream, err := at.WatchOrder(ctx, &orderv1.WatchOrderRequest{OrderId: o.GetOrderId(), AfterVersion: after})
		for w.err = err; w.err == nil; {
			var change *orderv1.WatchOrderResponse
			if change, w.err = stream.Recv(); w.err == nil {
				w.mu.Lock()
				w.changes = append(w.changes, change)
				w.mu.Unlock()
			}
		}
	}()
	return w
}

// seen is what the stream has sent so far.
func (w *watcher) seen() []*orderv1.WatchOrderResponse {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes[:len(w.changes):len(w.changes)]
}

// waitVersion waits until the stream has sent the version.
func (w *watcher) waitVersion(version int64) {
	w.s.t.Helper()
	w.s.eventually(waitTimeout, func() string {
		all := w.seen()
		if len(all) == 0 || all[len(all)-1].GetVersion() < version {
			select {
			case <-w.ended:
				w.s.t.Fatalf("the stream has ended before version %d: %v", version, w.err)
			default:
			}
			return fmt.Sprintf("the stream has sent %v, want version %d", all, version)
		}
		return ""
	})
}

// waitEnd waits until the stream has ended with the code; OK is its end in peace.
func (w *watcher) waitEnd(code codes.Code) {
	w.s.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(waitTimeout):
		w.s.t.Fatalf("the stream has not ended; it has sent %v", w.seen())
	}
	if ok := errors.Is(w.err, io.EOF); ok != (code == codes.OK) || !ok && codeOf(w.err) != code {
		w.s.t.Errorf("the stream ended with %v, want %s", w.err, code)
	}
}

// wantLife checks that the changes are these, each once and none left out.
func (s *system) wantLife(changes []*orderv1.WatchOrderResponse, after int64, want ...orderv1.OrderStatus) {
	s.t.Helper()
	if len(changes) != len(want) {
		s.t.Fatalf("got %d changes, want %d: %v", len(changes), len(want), changes)
	}
	for i, c := range changes {
		if c.GetVersion() != after+1+int64(i) || c.GetStatus() != want[i] {
			s.t.Errorf("change %d is %v, want version %d and %s", i, c, after+1+int64(i), want[i])
		}
	}
}

// Changes that one order-srv makes arrive at the streams of another one, in their
// order and each once, also at one who begins late, behind a version, or reads nothing
// for a while. The streams end when nothing can change any more.
func TestWatchOrderAtAnotherReplica(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		other := s.otherOrder()
		if on.has(manyReplicas) && other == s.orderClient {
			t.Fatal("the system has one order-srv: the test proves nothing")
		}
		tea := s.stocked("tea", 10)
		o := s.place(minute, line(tea, 4))
		here, there := s.watch(t.Context(), s.orderClient, o, 0), s.watch(t.Context(), other, o, 0)
		slow, err := other.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{OrderId: o.GetOrderId()})
		s.must(err)
		gone, cancel := context.WithCancel(t.Context())
		left := s.watch(gone, other, o, 0)
		there.waitVersion(2)
		left.waitVersion(2)
		cancel()
		left.waitEnd(codes.Canceled)

		s.wantPaid(s.pay(o))
		life := []orderv1.OrderStatus{placed, reserved, paid, paid} // and at last the stock is SOLD
		for _, w := range []*watcher{here, there} {
			w.waitEnd(codes.OK)
			s.wantLife(w.seen(), 0, life...)
		}
		last := there.seen()[3]
		if last.GetStockState() != orderv1.StockState_STOCK_STATE_SOLD || last.GetCause() != orderv1.Cause_CAUSE_INVENTORY {
			t.Errorf("the last change is %v, want SOLD by inventory", last)
		}
		for version := int64(1); version <= 4; version++ {
			change, err := slow.Recv()
			s.must(err)
			if change.GetVersion() != version {
				t.Errorf("who reads late is sent version %d, want %d", change.GetVersion(), version)
			}
		}
		if _, err := slow.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("its stream ended with %v, want its end in peace", err)
		}
		late := s.watch(t.Context(), other, o, 2)
		late.waitEnd(codes.OK)
		s.wantLife(late.seen(), 2, life[2:]...)
		known := s.watch(t.Context(), s.orderClient, o, 4)
		known.waitEnd(codes.OK)
		s.wantLife(known.seen(), 4)
		s.audit()
	})
}

// The order-srv that serves a stream is killed, and the next one drains. Whoever goes on
// behind the version that was seen, at whichever replica, sees each change once.
func TestWatchOrderIsResumed(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		one := s.startOrder("--max-watches=1")
		two := one
		if on.has(manyReplicas) {
			two = s.startOrder()
		}
		s.useOrder(one)
		s.useInventory(s.startInventory())
		s.waitReady(one, two, s.inventory)
		tea := s.stocked("tea", 10)
		o := s.place(tenMinutes, line(tea, 4))

		first := s.watch(t.Context(), s.orderClient, o, 0)
		first.waitVersion(2)
		s.wantOneStream(o)
		again := s.kill(one)
		first.waitEnd(codes.Unavailable)
		if two == one {
			two = again()
		}
		s.useOrder(two)
		s.extend(o, tenMinutes) // while nobody watches
		second := s.watch(t.Context(), s.orderClient, o, 2)
		second.waitVersion(3)

		if on.has(manyReplicas) {
			one = again()
		}
		s.stop(two)
		second.waitEnd(codes.Unavailable)
		if !on.has(manyReplicas) {
			one = s.restart(two)
		}
		s.useOrder(one)
		s.waitReady(one)
		third := s.watch(t.Context(), s.orderClient, o, 3)
		s.wantPaid(s.pay(o))
		third.waitEnd(codes.OK)
		s.wantLife(slices.Concat(first.seen(), second.seen(), third.seen()), 0, placed, reserved, reserved, paid, paid)
		s.audit()
	})
}

// wantOneStream checks that an order-srv that may serve one stream, and does, refuses
// another one, until the first one's client goes away.
func (s *system) wantOneStream(o *orderv1.Order) {
	s.t.Helper()
	full := s.watch(s.t.Context(), s.orderClient, o, 0)
	<-full.ended
	wantReason(s.t, full.err, codes.ResourceExhausted, "TOO_MANY_STREAMS")
}

// kill ends an instance with SIGKILL, or with SIGTERM where that is all that a stack
// has, and returns what starts its successor.
func (s *system) kill(i *instance) (again func() *instance) {
	s.t.Helper()
	if p, ok := i.running.(*process.Process); ok {
		p.Kill()
		s.wantKilled(i)
	} else {
		s.stop(i)
	}
	return func() *instance {
		next := s.restart(i)
		s.waitReady(next)
		return next
	}
}
