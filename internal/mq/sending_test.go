package mq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
)

// busy makes n sends that go on until release is called.
func busy(t *testing.T, s *sending, n int) (release func()) {
	t.Helper()
	hold := make(chan struct{})
	for range n {
		if err := s.start(t.Context(), func() { <-hold }); err != nil {
			t.Fatal(err)
		}
	}
	return func() { close(hold) }
}

func TestSendsWaitForASlotUntilTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSending()
		release := busy(t, s, maxInFlight)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.run(ctx, func() error { t.Error("one send too many"); return nil })
		if !errors.Is(err, message.ErrNotSent) || !errors.Is(err, message.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		done := make(chan error)
		go func() { done <- s.run(t.Context(), func() error { return nil }) }()
		synctest.Wait()
		release()
		if err := <-done; err != nil {
			t.Errorf("a slot is free again: %v", err)
		}
	})
}

func TestSendWithoutTimeLeftIsNotTried(t *testing.T) {
	s := newSending()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		err := s.run(ctx, func() error { t.Error("sent"); return nil })
		if !errors.Is(err, message.ErrNotSent) || !errors.Is(err, context.Canceled) {
			t.Fatalf("err = %v", err)
		}
	}
}

func TestDrainTurnsAwayAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSending()
		release := busy(t, s, 3)
		drained := make(chan error, 1)
		go func() { drained <- s.drain(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-drained:
			t.Fatalf("drained with three sends under way: %v", err)
		default:
		}
		err := s.run(t.Context(), func() error { t.Error("sent after the stop"); return nil })
		if !errors.Is(err, message.ErrNotSent) || !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("err = %v", err)
		}
		if len(s.slots) != 3 {
			t.Errorf("the refused send has kept a slot: %d are taken", len(s.slots))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a drain out of time = %v", err)
		}
		release()
		if err := <-drained; err != nil {
			t.Errorf("drain = %v", err)
		}
	})
}

func TestDrainWaitsForSendsWhoseCallersHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSending()
		hold, finished := make(chan struct{}), false
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.run(ctx, func() error { <-hold; finished = true; return nil })
		if !errors.Is(err, message.ErrUnavailable) || errors.Is(err, message.ErrNotSent) {
			t.Errorf("err = %v; it may still be sent", err)
		}
		time.AfterFunc(time.Minute, func() { close(hold) })
		if err := s.drain(t.Context()); err != nil || !finished {
			t.Errorf("drain = %v, finished %v", err, finished)
		}
	})
}

// A connection that is closed under a half message leaves it to the check-back,
// although its local transaction has just been decided.
func TestStopWaitsForSendsBeforeItClosesTheConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hangs := make(chan struct{})
		plain := &fakeProducer{send: func(context.Context, *primitive.Message) (*primitive.SendResult, error) {
			<-hangs
			return &primitive.SendResult{}, nil
		}}
		txn := &fakeTransactions{send: func(context.Context, *primitive.Message) (*primitive.TransactionSendResult, error) {
			<-hangs
			return nil, errors.New("failed")
		}}
		p, q := producerOf(c, plain), transactionsOf(c, forbidden(t), txn)
		go func() { _ = p.Send(t.Context(), half()) }()
		go func() { _, _ = q.SendInTransaction(t.Context(), half(), nil) }()
		synctest.Wait()
		stopped := make(chan error, 2)
		go func() { stopped <- p.Stop(t.Context()) }()
		go func() { stopped <- q.Stop(t.Context()) }()
		synctest.Wait()
		if len(stopped) != 0 || plain.down != 0 || txn.down != 0 {
			t.Error("stopped with sends under way")
		}
		close(hangs)
		if err := errors.Join(<-stopped, <-stopped); err != nil || plain.down != 1 || txn.down != 1 {
			t.Errorf("Stop = %v; shut down %d and %d times", err, plain.down, txn.down)
		}
	})
}
