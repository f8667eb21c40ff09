package e2e

import (
	"context"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	orderv1 "orderflow/api/proto/order/v1"
)

// A customer's key comes many times at once, at every order-srv, with two different
// orders: one of them is placed, once, and everybody is told what became of theirs.
func TestT72OneKeyInParallel(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		one := s.request(minute, line(tea, 1))
		two, ok := proto.Clone(one).(*orderv1.CreateOrderRequest)
		if !ok {
			t.Fatal("a clone of another type")
		}
		two.Lines[0].Quantity = 2
		requests, clients := []*orderv1.CreateOrderRequest{one, two}, []orderv1.OrderServiceClient{s.orderClient, s.otherOrder()}

		const n = 24
		answers, errs := make([]*orderv1.CreateOrderResponse, n), make([]error, n)
		var callers sync.WaitGroup
		for i := range n {
			callers.Go(func() {
				answers[i], errs[i] = repeat(t.Context(), func(ctx context.Context) (*orderv1.CreateOrderResponse, error) {
					return clients[i/2%2].CreateOrder(ctx, requests[i%2])
				})
			})
		}
		callers.Wait()
		ids := s.ids("SELECT id FROM {order}.orders WHERE customer_id = ?", s.customer)
		if len(ids) != 1 {
			t.Fatalf("the orders of one key are %q", ids)
		}
		o := s.waitStatus(&orderv1.Order{OrderId: ids[0]}, reserved)
		won := slices.IndexFunc(requests, func(r *orderv1.CreateOrderRequest) bool {
			return r.GetLines()[0].GetQuantity() == o.GetLines()[0].GetQuantity()
		})
		for i := range n {
			if i%2 != won {
				wantReason(t, errs[i], codes.AlreadyExists, "IDEMPOTENCY_KEY_REUSED")
			} else if errs[i] != nil || answers[i].GetOrder().GetOrderId() != o.GetOrderId() {
				t.Errorf("call %d was answered with %v, %v", i, answers[i], errs[i])
			}
		}
		s.waitStock(tea, 10-o.GetLines()[0].GetQuantity(), o.GetLines()[0].GetQuantity(), 0)
		s.audit()
	})
}
