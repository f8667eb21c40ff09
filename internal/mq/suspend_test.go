package mq

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"

	"orderflow/internal/mq/message"
)

func TestSuspendWaitsForHandlersAndHoldsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hold := make(chan struct{})
		var handled []string
		k, _, back := consumerOf(t, c, Subscription{HandlerTimeout: time.Hour, Handler: func(_ context.Context, m message.Message) error {
			if m.ID == "1" {
				<-hold
			}
			handled = append(handled, m.ID)
			return nil
		}})
		first := call(k, received("1"))
		synctest.Wait()
		suspended := make(chan error, 2)
		for range 2 { // at once, and both wait
			go func() { suspended <- k.Suspend(t.Context()) }()
		}
		synctest.Wait()
		second := call(k, received("2"))
		synctest.Wait()
		if len(suspended) != 0 || len(second) != 0 {
			t.Fatal("Suspend has not waited for the handler")
		}
		close(hold)
		if err := errors.Join(<-suspended, <-suspended); err != nil {
			t.Errorf("Suspend = %v", err)
		}
		if got := <-first; got != (answer{consumer.ConsumeSuccess, nil}) {
			t.Errorf("the running handler: %v", got)
		}
		time.Sleep(24 * time.Hour) // of the bubble's clock
		if err := k.Suspend(t.Context()); err != nil || len(second) != 0 || back.count() != 0 {
			t.Errorf("Suspend again = %v; answered %d, sent back %d", err, len(second), back.count())
		}
		resumed := time.Now()
		k.Resume()
		k.Resume()
		if got := <-second; got != (answer{consumer.ConsumeSuccess, nil}) || time.Since(resumed) != 0 {
			t.Errorf("the held message: %v after %v", got, time.Since(resumed))
		}
		if !slices.Equal(handled, []string{"1", "2"}) {
			t.Errorf("handled %v", handled)
		}
	})
}

func TestSuspendOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hold := make(chan struct{})
		k, _, _ := consumerOf(t, c, Subscription{HandlerTimeout: time.Hour,
			Handler: func(context.Context, message.Message) error { <-hold; return nil }})
		first := call(k, received("1"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := k.Suspend(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Suspend = %v", err)
		}
		second := call(k, received("2"))
		close(hold)
		<-first
		synctest.Wait()
		if len(second) != 0 {
			t.Error("not suspended")
		}
		// Somebody else resumes while this one still waits.
		k.Resume()
		<-second
		hold = make(chan struct{})
		third := call(k, received("3"))
		synctest.Wait()
		suspended := make(chan error, 1)
		go func() { suspended <- k.Suspend(t.Context()) }()
		synctest.Wait()
		k.Resume()
		if err := <-suspended; err == nil {
			t.Error("Suspend says that it is suspended, after Resume")
		}
		close(hold)
		<-third
	})
}

func TestStopWhileSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, library, back := consumerOf(t, c, Subscription{Handler: func(context.Context, message.Message) error {
			t.Error("handled while suspended")
			return nil
		}})
		if err := k.Suspend(t.Context()); err != nil {
			t.Fatal(err)
		}
		held := call(k, received("1"))
		synctest.Wait()
		library.shutdown = func() {
			synctest.Wait()
			if len(held) != 0 {
				t.Error("the callback has returned before the library gave up its queue")
			}
		}
		begin := time.Now()
		if err := k.Stop(t.Context()); err != nil || time.Since(begin) != 2*settleTime {
			t.Errorf("Stop after %v: %v", time.Since(begin), err)
		}
		if got := <-held; got != (answer{consumer.ConsumeRetryLater, nil}) || back.count() != 0 {
			t.Errorf("the library is told %v, sent back %d", got, back.count())
		}
		k.Resume()
		if err := k.Suspend(t.Context()); err != nil {
			t.Errorf("Suspend after Stop = %v", err)
		}
	})
}

// A message that is sent back has been handled: that the broker does not take it
// must not keep Suspend waiting.
func TestSuspendDoesNotWaitForTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, _, back := consumerOf(t, c, Subscription{Handler: later})
		back.set(errors.New("connection reset"))
		held := call(k, received("1"))
		synctest.Wait()
		begin := time.Now()
		if err := k.Suspend(t.Context()); err != nil || time.Since(begin) != 0 {
			t.Errorf("Suspend after %v: %v", time.Since(begin), err)
		}
		back.set(nil)
		<-held
	})
}

func TestSuspendAndResumeUnderLoad(t *testing.T) {
	c, _ := quiet()
	var running, handled atomic.Int64
	k, _, _ := consumerOf(t, c, Subscription{Handler: func(context.Context, message.Message) error {
		running.Add(1)
		defer running.Add(-1)
		handled.Add(1)
		return nil
	}})
	done := make(chan struct{})
	for range 8 {
		go func() {
			for !isClosed(k.gate.closing()) {
				_, _ = k.onMessages(context.Background(), received("1"))
			}
			done <- struct{}{}
		}()
	}
	for range 200 {
		if err := k.Suspend(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := handled.Load()
		for range 10 {
			runtime.Gosched()
		}
		if n := running.Load(); n != 0 || handled.Load() != before {
			t.Fatalf("%d handlers run while suspended", n)
		}
		k.Resume()
		for handled.Load() == before {
			runtime.Gosched()
		}
	}
	if err := k.Suspend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		<-done
	}
}
