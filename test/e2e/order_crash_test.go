package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/crashpoint"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/process"
)

// The process dies between its commit and that of the half message: the broker
// asks its successor.
func TestT01OrderSrvIsKilledAfterItsCommit(t *testing.T) {
	onStacks(t, needs{aProcessToKill}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		s.useOrder(s.startOrder(kills(crashpoint.OrderAfterCommit)))
		s.useInventory(s.startInventory())
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)

		request := s.request(tenMinutes, line(tea, 4))
		s.sendToTheDying(request)
		if n := s.count("SELECT COUNT(*) FROM {order}.orders"); n != 1 {
			t.Fatalf("%d orders are stored, want the one that was committed", n)
		}

		s.useOrder(s.restart(s.order))
		s.waitReady(s.order)
		o := s.send(request)
		s.waitStatus(o, reserved)
		s.waitStock(tea, 6, 4, 0)
		s.wantReservation(o, heldNow, 1)
		if n := s.count("SELECT COUNT(*) FROM {order}.orders"); n != 1 {
			t.Errorf("%d orders are stored after the repetition, want 1", n)
		}
		s.audit()
	})
}

// The process that committed never comes back: another one of the group answers
// for it.
func TestT03AnotherOrderSrvAnswersTheCheckBack(t *testing.T) {
	onStacks(t, needs{aProcessToKill, manyReplicas}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		dying := s.startOrder(kills(crashpoint.OrderAfterCommit))
		other := s.startOrder()
		s.useOrder(other)
		s.useInventory(s.startInventory())
		s.waitReady(dying, other, s.inventory)
		tea := s.stocked("tea", 10)

		s.useOrder(dying)
		request := s.request(tenMinutes, line(tea, 4))
		s.sendToTheDying(request)

		s.useOrder(other)
		o := s.send(request)
		s.waitStatus(o, reserved)
		s.waitStock(tea, 6, 4, 0)
		s.wantReservation(o, heldNow, 1)
		s.waitMetric(1, "mq_check_backs_total", []string{"commit"}, other)
		s.audit()
	})
}

// The check-back comes before the local transaction: it fences it off, and the
// transaction must not commit any more.
func TestT04ASlowLocalTransactionIsFencedOff(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{})
		file := filepath.Join(t.TempDir(), "paused")
		s.useOrder(s.startOrder(pauses(crashpoint.OrderBeforeTransaction, file), "--local-transaction-timeout=20s"))
		s.useInventory(s.startInventory())
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)

		request := s.request(tenMinutes, line(tea, 4))
		answer := s.sendUntilPaused(request, file)
		s.eventually(waitTimeout, func() string {
			if s.count("SELECT COUNT(*) FROM {order}.barriers WHERE outcome = 2") == 0 {
				return "no check-back has fenced the half message"
			}
			return ""
		})
		s.resume(file)
		s.wantUnavailable((<-answer).err)
		if n := s.count("SELECT COUNT(*) FROM {order}.orders"); n != 0 {
			t.Errorf("%d orders are stored, want none", n)
		}
		s.waitStock(tea, 10, 0, 0)

		s.stop(s.order)
		s.useOrder(s.restart(s.order))
		s.waitReady(s.order)
		o := s.waitStatus(s.send(request), reserved)
		s.wantReservation(o, heldNow, 1)
		s.waitStock(tea, 6, 4, 0)
		s.audit()
	})
}

// committedTwice sends a request for four of ten to an order-srv that is armed to pause
// after its COMMIT, and lets it go on when the check-back has committed the half message.
func (s *system) committedTwice(file, sku string) *orderv1.CreateOrderRequest {
	s.t.Helper()
	request := s.request(tenMinutes, line(sku, 4))
	answer := s.sendUntilPaused(request, file)
	s.waitStock(sku, 6, 4, 0) // the check-back has committed
	s.resume(file)
	<-answer // whatever it is: the pause may have outlasted the call
	return request
}

// The check-back commits the half message while the local transaction is on its
// way to do the same: the broker delivers it twice.
func TestT05CheckBackAndLocalTransactionBothCommit(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newDeployment(t, on, plan{brokerOptions: []devbroker.Option{devbroker.WithRepeatedCommits()}})
		file := filepath.Join(t.TempDir(), "paused")
		s.useOrder(s.startOrder(pauses(crashpoint.OrderAfterCommit, file)))
		s.useInventory(s.startInventory())
		s.waitReady(s.order, s.inventory)
		tea := s.stocked("tea", 10)

		request := s.committedTwice(file, tea)
		s.waitMetric(2, "mq_messages_handled_total", []string{s.names.InventoryOrderEvents}, s.inventory)

		o := s.waitStatus(s.send(request), reserved)
		s.waitStock(tea, 6, 4, 0)
		s.wantReservation(o, heldNow, 1)
		s.audit()
	})
}

// sendToTheDying sends a request to an order-srv that will be killed by it. The
// caller must not be told that the order was placed.
func (s *system) sendToTheDying(r *orderv1.CreateOrderRequest) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	if o, err := s.create(ctx, r); err == nil {
		s.t.Fatalf("got order %s, want the end of the connection", o.GetOrderId())
	}
	s.wantKilled(s.order)
}

// wantKilled waits until the instance was ended by SIGKILL.
func (s *system) wantKilled(i *instance) {
	s.t.Helper()
	killed, ok := i.running.(*process.Process)
	if !ok {
		s.t.Fatalf("%s is no process", i.service)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), startTimeout)
	defer cancel()
	state, err := killed.Ended(ctx)
	s.must(err)
	if status, ok := state.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		s.t.Fatalf("ended with %s, want to be killed at the crash point", state)
	}
}

// reply is the answer to a call that was made on another goroutine.
type reply struct {
	order *orderv1.Order
	err   error
}

// sendUntilPaused sends a request on another goroutine and returns when a process has
// reached its crash point. Until then it sends it again while it is told to, as clients
// do; the answer is that of the call that paused.
func (s *system) sendUntilPaused(r *orderv1.CreateOrderRequest, file string) <-chan reply {
	s.t.Helper()
	var paused atomic.Bool
	answer := make(chan reply, 1)
	go func() {
		last, _ := repeat(s.t.Context(), func(ctx context.Context) (reply, error) {
			o, err := s.create(ctx, r)
			if _, missing := os.Stat(file); missing == nil || paused.Load() {
				return reply{o, err}, nil
			}
			return reply{o, err}, err
		})
		answer <- last
	}()
	s.waitPaused(file)
	paused.Store(true)
	return answer
}

// waitPaused waits until a process has reached its crash point.
func (s *system) waitPaused(file string) {
	s.t.Helper()
	began := time.Now()
	s.eventually(waitTimeout, func() string {
		if _, err := os.Stat(file); err != nil {
			return fmt.Sprintf("the crash point was not reached: %v", err)
		}
		return ""
	})
	s.t.Logf("paused after %s", time.Since(began).Round(time.Millisecond))
}

// resume lets the paused process go on.
func (s *system) resume(file string) {
	s.t.Helper()
	s.must(os.Remove(file))
}
