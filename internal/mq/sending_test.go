package mq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
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
		if !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
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
		if !errors.Is(err, ErrNotSent) || !errors.Is(err, context.Canceled) {
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
		if !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrUnavailable) {
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
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotSent) {
			t.Errorf("err = %v; it may still be sent", err)
		}
		time.AfterFunc(time.Minute, func() { close(hold) })
		if err := s.drain(t.Context()); err != nil || !finished {
			t.Errorf("drain = %v, finished %v", err, finished)
		}
	})
}
