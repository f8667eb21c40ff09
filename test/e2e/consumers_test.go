package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// operator is a client of the operator's calls of an inventory-srv.
func (s *system) operator(i *instance) inventoryv1.OperatorServiceClient {
	return inventoryv1.NewOperatorServiceClient(s.dial(i.GRPC()))
}

// waiting is how many order events wait for inventory.
func (s *system) waiting(at inventoryv1.OperatorServiceClient) (state *inventoryv1.ConsumersState, lag int64) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	answer, err := at.GetConsumers(ctx, &inventoryv1.GetConsumersRequest{})
	s.must(err)
	for _, c := range answer.GetState().GetConsumers() {
		if c.GetGroup() == s.names.InventoryOrderEvents && c.Lag != nil {
			return answer.GetState(), c.GetLag()
		}
	}
	return answer.GetState(), -1
}

// waitWaiting waits until so many order events wait.
func (s *system) waitWaiting(at inventoryv1.OperatorServiceClient, n int64) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		if _, lag := s.waiting(at); lag != n {
			return fmt.Sprintf("%d order events wait, want %d", lag, n)
		}
		return ""
	})
}

// While inventory's consumers are suspended orders are placed and wait; they are
// reserved when the consumers resume, by a call or by themselves.
func TestConsumersAreSuspendedAndResumed(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		at := s.operator(s.inventory)
		tea := s.stocked("tea", 10)
		s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)

		for name, d := range map[string]*durationpb.Duration{
			"none": nil, "nothing": {}, "negative": durationpb.New(-time.Second), "too long": durationpb.New(time.Hour + 1), "huge": {Seconds: 1 << 60},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := at.SuspendConsumers(t.Context(), &inventoryv1.SuspendConsumersRequest{Duration: d})
				wantFields(t, err, "duration")
			})
		}
		if state, _ := s.waiting(at); state.GetSuspended() {
			t.Error("a bad call has suspended the consumers")
		}

		for range 2 { // again is as once
			wantRow(t, s.orderctl(0, "consumers", "suspend", "--for", "30m"), s.inventory.GRPC(), s.names.InventoryOrderEvents, s.names.OrderEvents, "-")
		}
		s.waitWaiting(at, 0) // what came before was acknowledged
		var placedMeanwhile []*orderv1.Order
		for range 3 {
			placedMeanwhile = append(placedMeanwhile, s.place(tenMinutes, line(tea, 1)))
		}
		s.waitWaiting(at, 3)
		for _, o := range placedMeanwhile {
			if now := s.get(o.GetOrderId()); now.GetStatus() != placed {
				t.Errorf("order is %s while the consumers are suspended", now.GetStatus())
			}
		}
		if state, _ := s.waiting(at); !state.GetSuspended() || state.GetSuspendedUntil().AsTime().Before(s.now().Add(25*time.Minute)) {
			t.Errorf("the service says %v", state)
		}
		for range 2 {
			s.orderctl(0, "consumers", "resume")
		}
		for _, o := range placedMeanwhile {
			s.waitStatus(o, reserved)
		}

		ctx, cancel := s.call()
		defer cancel()
		_, err := at.SuspendConsumers(ctx, &inventoryv1.SuspendConsumersRequest{Duration: durationpb.New(time.Second)})
		s.must(err)
		s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved) // nobody has resumed them
		if state, _ := s.waiting(at); state.GetSuspended() {
			t.Errorf("the service says %v after the end of its suspension", state)
		}
		s.waitStock(tea, 5, 5, 0)
		s.audit()
	})
}

// Each replica answers for itself, and the tool asks all that it is told of.
func TestAllReplicasAreSuspended(t *testing.T) {
	onStacks(t, needs{manyReplicas}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		second := s.startInventory()
		s.waitReady(second)
		both := s.inventory.GRPC() + "," + second.GRPC()
		tea := s.stocked("tea", 10)

		s.orderctl(0, "consumers", "suspend", "--for", "30m", "--inventory-service", both)
		var all []*orderv1.Order
		for range 8 {
			all = append(all, s.place(tenMinutes, line(tea, 1)))
		}
		s.waitWaiting(s.operator(second), 8)
		for _, i := range []*instance{s.inventory, second} {
			if state, _ := s.waiting(s.operator(i)); !state.GetSuspended() {
				t.Errorf("the replica at %s is not suspended", i.GRPC())
			}
		}
		s.waitStock(tea, 10, 0, 0)
		text := s.orderctl(1, "consumers", "status", "--inventory-service", both+",127.0.0.1:1")
		wantRow(t, text, second.GRPC(), s.names.InventoryOrderEvents)
		if !strings.Contains(text, "inventory-srv at 127.0.0.1:1: Unavailable") {
			t.Errorf("it does not say which replica does not answer: %s", text)
		}

		// One that is started anew is not suspended, and has a share of what waits.
		s.stop(second)
		second = s.restart(second)
		s.waitReady(second)
		if state, _ := s.waiting(s.operator(second)); state.GetSuspended() {
			t.Error("a replica that was started anew is suspended")
		}
		s.orderctl(0, "consumers", "resume", "--inventory-service", both)
		for _, o := range all {
			s.waitStatus(o, reserved)
		}
		s.audit()
	})
}

// A replica that was not told goes on with its share of the queues; what the other one
// keeps waits for it.
func TestOneOfTwoReplicasIsSuspended(t *testing.T) {
	onStacks(t, needs{manyReplicas}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		second := s.startInventory()
		s.waitReady(second)
		tea := s.stocked("tea", 1000)
		s.orderctl(0, "consumers", "suspend", "--for", "30m", "--inventory-service", second.GRPC())
		if state, _ := s.waiting(s.operator(s.inventory)); state.GetSuspended() {
			t.Error("a replica that was not told is suspended")
		}

		var all []*orderv1.Order
		s.eventually(waitTimeout, func() string {
			held := 0
			for _, o := range all {
				if s.get(o.GetOrderId()).GetStatus() == reserved {
					held++
				}
			}
			if held == len(all) { // the second one has no share yet
				for range 8 {
					all = append(all, s.place(tenMinutes, line(tea, 1)))
				}
			}
			// More may wait than orders do: a busy RocketMQ commits a half message anew.
			if _, lag := s.waiting(s.operator(second)); held == 0 || held == len(all) || held+int(lag) < len(all) {
				return fmt.Sprintf("of %d orders %d are reserved, %d wait", len(all), held, lag)
			}
			return ""
		})
		s.orderctl(0, "consumers", "resume", "--inventory-service", second.GRPC())
		for _, o := range all {
			s.waitStatus(o, reserved)
		}
		s.audit()
	})
}
