package order

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orderv1 "orderflow/api/proto/order/v1"
)

// within runs f, which must return in a test's time.
func within[T any](t testing.TB, f func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case v := <-done:
		return v
	case <-time.After(patience):
		t.Fatal("it does not return")
		panic("unreachable")
	}
}

// CreateOrder with wait_for_stock answers when the stock is decided, at whichever
// replica, and a repetition may ask otherwise.
func TestCreateOrderWaitsForStock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, _ := w.replica(w.running())
		for name, decide := range map[orderv1.OrderStatus]func(id string){
			orderv1.OrderStatus_ORDER_STATUS_RESERVED: func(id string) { w.change(w.service, id, Reserved, StockReserved) },
			orderv1.OrderStatus_ORDER_STATUS_CLOSED:   func(id string) { w.change(w.service, id, Closed, StockRejected) },
		} {
			in := createRequest(request())
			placed, err := NewGRPC(s).CreateOrder(t.Context(), in)
			if err != nil || placed.GetOrder().GetStatus() != orderv1.OrderStatus_ORDER_STATUS_PLACED {
				t.Fatalf("%v, %v", placed, err)
			}
			in.WaitForStock = true
			answer := make(chan *orderv1.Order, 1)
			go func() {
				out, err := NewGRPC(s).CreateOrder(t.Context(), in)
				if err != nil {
					t.Error(err)
				}
				answer <- out.GetOrder()
			}()
			await(t, "it waits", func() bool { _, orders := places(s); return orders == 1 })
			id := placed.GetOrder().GetOrderId()
			decide(id)
			got := within(t, func() *orderv1.Order { return <-answer })
			if got.GetOrderId() != id || got.GetStatus() != name || len(got.GetLines()) != 2 {
				t.Errorf("%s: %v", name, got)
			}
			again, err := NewGRPC(s).CreateOrder(t.Context(), in) // decided already
			if err != nil || !proto.Equal(again.GetOrder(), got) {
				t.Errorf("%v, %v", again, err)
			}
		}
		if streams, orders := places(s); streams+orders != 0 {
			t.Errorf("%d streams, %d orders are still watched", streams, orders)
		}
	})
}

// When the caller's time is nearly over the answer is the order as it stands, and no
// error: also if the database has been down all the while. A caller that goes away
// ends the wait at once.
func TestCreateOrderWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, _ := w.replica(w.running())
		o := w.begin()
		wait := func(ctx context.Context) Order { return within(t, func() Order { return s.AwaitStock(ctx, o) }) }

		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if got := wait(ctx); got.Status != Placed || ctx.Err() != nil {
			t.Errorf("%v, %v: too late for an answer", got, ctx.Err())
		}
		w.outage(isQuery)
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if got := wait(ctx); got.ID != o.ID || got.Status != Placed {
			t.Errorf("%v", got)
		}
		w.faults.set(nil)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan Order, 1)
		go func() { left <- s.AwaitStock(ctx, o) }()
		await(t, "it waits", func() bool { _, orders := places(s); return orders == 1 })
		leave()
		within(t, func() Order { return <-left })
		if _, orders := places(s); orders != 0 {
			t.Error("somebody still waits")
		}
	})
}

// A database that was down for a while does not make a wait miss the decision.
func TestCreateOrderWaitsThroughAnOutage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, _ := w.replica(w.clock)
		o := w.begin()
		struck := w.outage(isQuery)
		answer := make(chan Order, 1)
		go func() { answer <- s.AwaitStock(t.Context(), o) }()
		struck()
		w.tick(testInterval)
		w.faults.set(nil)
		w.change(w.service, o.ID, Reserved, StockReserved)
		await(t, "the poll waits", func() bool { return w.clock.Waiting() == 1 })
		w.clock.Advance(testInterval)
		if got := within(t, func() Order { return <-answer }); got.Status != Reserved {
			t.Errorf("%v", got)
		}
	})
}
