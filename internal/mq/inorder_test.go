package mq

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
)

// ordered is what the library of an ordered consumer is told.
type ordered struct {
	answer
	wait time.Duration
}

// callInOrder gives the message to the consumer as the library does.
func callInOrder(k *Consumer, msg *primitive.MessageExt) <-chan ordered {
	answers := make(chan ordered, 1)
	go func() {
		orderly := primitive.NewConsumeOrderlyContext()
		result, err := k.onInOrder(primitive.WithOrderlyCtx(context.Background(), orderly), msg)
		answers <- ordered{answer{result, err}, time.Duration(orderly.SuspendCurrentQueueTimeMillis) * time.Millisecond}
	}()
	return answers
}

// untouched is what the library gives and finds again after a success.
const untouched = -time.Millisecond

func TestOrderedAttempts(t *testing.T) {
	failed := func(context.Context, message.Message) error { return errors.New("not now") }
	permanent := func(context.Context, message.Message) error { return message.Permanent("BAD", "bad") }
	again := func(wait time.Duration) ordered {
		return ordered{answer{consumer.SuspendCurrentQueueAMoment, nil}, wait}
	}
	success := ordered{answer{consumer.ConsumeSuccess, nil}, untouched}
	for name, test := range map[string]struct {
		handle  message.Handler
		parker  message.Parker
		times   int32 // that it was tried before
		limit   int
		want    ordered
		letters int // dead letters
	}{
		"ok":                  {handle: func(context.Context, message.Message) error { return nil }, want: success},
		"first failure":       {handle: failed, want: again(100 * time.Millisecond)},
		"second failure":      {handle: failed, times: 1, want: again(200 * time.Millisecond)},
		"sixth failure":       {handle: failed, times: 5, want: again(3200 * time.Millisecond)},
		"a failure for long":  {handle: failed, times: 1 << 30, want: again(5 * time.Second)},
		"panic":               {handle: func(context.Context, message.Message) error { panic("boom") }, want: again(100 * time.Millisecond)},
		"parked":              {handle: permanent, parker: &fakeParker{}, want: success},
		"parking fails":       {handle: permanent, parker: &fakeParker{park: func() error { return errors.New("down") }}, want: again(100 * time.Millisecond)},
		"nowhere to park":     {handle: permanent, want: again(100 * time.Millisecond)},
		"one before the last": {handle: failed, times: 1, limit: 3, want: again(200 * time.Millisecond)},
		"the last attempt":    {handle: failed, times: 2, limit: 3, want: success, letters: 1},
		"beyond the last":     {handle: failed, times: 7, limit: 3, want: success, letters: 1},
		"the only attempt":    {handle: failed, limit: 1, want: success, letters: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := quiet()
				k, _, back := consumerOf(t, c, Subscription{Ordered: true, Handler: test.handle, Parker: test.parker, MaxAttempts: test.limit})
				msg := received("1")
				msg.ReconsumeTimes = test.times
				if got := <-callInOrder(k, msg); got != test.want {
					t.Errorf("the library is told %v, want %v", got, test.want)
				}
				if msg.ReconsumeTimes != test.times {
					t.Errorf("counted %d times, it was %d", msg.ReconsumeTimes, test.times)
				}
				if len(back.granted) != test.letters {
					t.Fatalf("sent back %+v", back.granted)
				}
				if test.letters == 1 && back.granted[0].DelayLevel != -1 {
					t.Errorf("sent back %+v", back.granted[0])
				}
				if len(k.slots) != 0 || k.pause.running != 0 || len(k.queues.busy) != 0 {
					t.Error("the handler is still counted")
				}
				if err := k.Stop(t.Context()); err != nil {
					t.Errorf("Stop = %v", err)
				}
			})
		})
	}
}

// Until the dead letters have the message, its queue must not go on.
func TestOrderedMessageIsHeldUntilTheDeadLettersHaveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, _, back := consumerOf(t, c, Subscription{Ordered: true, Handler: later, MaxAttempts: 1})
		back.set(errors.New("connection reset"))
		answers := callInOrder(k, received("1"))
		time.Sleep(time.Hour) // of the bubble's clock
		synctest.Wait()
		if len(answers) != 0 {
			t.Fatalf("the library is told %v", <-answers)
		}
		back.set(nil)
		if got := <-answers; got.result != consumer.ConsumeSuccess {
			t.Errorf("the library is told %v", got)
		}
	})
}

// Another member would handle it again while it goes to the dead letters.
func TestLockIsKeptUntilTheDeadLettersHaveTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, _, back := consumerOf(t, c, Subscription{Ordered: true, Handler: later, MaxAttempts: 1})
		u := &unlocked{}
		k.queues.unlock = u.unlock
		msg := received("1")
		all := []*primitive.MessageQueue{msg.Queue}
		k.queues.allocate("group", "me", all, []string{"me"})
		back.set(errors.New("connection reset"))
		answers := callInOrder(k, msg)
		synctest.Wait()
		k.queues.allocate("group", "me", all, []string{"you"})
		synctest.Wait()
		if got := u.String(); got != "" {
			t.Errorf("given back too early: %s", got)
		}
		back.set(nil)
		<-answers
		synctest.Wait()
		if got := u.String(); got != "me 0" {
			t.Errorf("given back: %q", got)
		}
	})
}

// The library goes on with the queue as soon as a callback returns, and success
// would acknowledge what nobody has handled.
func TestOrderedCallbacksAreHeldOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hold := make(chan struct{})
		k, library, back := consumerOf(t, c, Subscription{Ordered: true, HandlerTimeout: time.Hour,
			Handler: func(_ context.Context, m message.Message) error { <-hold; return errors.New("not now") }})
		running := callInOrder(k, received("1"))
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- k.Stop(t.Context()) }()
		synctest.Wait()
		late := callInOrder(k, received("2"))
		synctest.Wait()
		if len(stopped) != 0 || len(late) != 0 {
			t.Fatal("Stop has not waited for the handler")
		}
		library.shutdown = func() {
			synctest.Wait()
			if len(running) != 0 || len(late) != 0 {
				t.Error("a callback has returned before the library gave up its queue")
			}
		}
		close(hold)
		if err := <-stopped; err != nil {
			t.Errorf("Stop = %v", err)
		}
		for _, answers := range []<-chan ordered{running, late} {
			if got := <-answers; got.result != consumer.SuspendCurrentQueueAMoment || got.wait <= 0 {
				t.Errorf("the library is told %v", got)
			}
		}
		if back.count() != 0 {
			t.Errorf("sent back %d times", back.count())
		}
	})
}

// A handler must begin while the lock is certainly good. While it waits the
// library looks at the lock again and again, which is no attempt.
func TestOrderedHandlersBeginSoonOrNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hold := make(chan struct{})
		handled := make(chan string, 4)
		k, _, _ := consumerOf(t, c, Subscription{Ordered: true, Concurrency: 2, HandlerTimeout: time.Hour,
			Handler: func(_ context.Context, m message.Message) error {
				handled <- m.ID
				<-hold
				return nil
			}})
		first, second := callInOrder(k, received("1")), callInOrder(k, received("2"))
		synctest.Wait()
		noSlot := received("3")
		begin := time.Now()
		if got := <-callInOrder(k, noSlot); got != (ordered{answer{consumer.SuspendCurrentQueueAMoment, nil}, soon}) || time.Since(begin) != lockWait {
			t.Errorf("without a slot: %v after %v", got, time.Since(begin))
		}
		close(hold)
		<-first
		<-second
		if err := k.Suspend(t.Context()); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		if got := <-callInOrder(k, noSlot); got != (ordered{answer{consumer.SuspendCurrentQueueAMoment, nil}, soon}) || time.Since(begin) != lockWait {
			t.Errorf("suspended: %v after %v", got, time.Since(begin))
		}
		if noSlot.ReconsumeTimes != -2 { // the library adds one for each
			t.Errorf("counted as %d attempts", noSlot.ReconsumeTimes+2)
		}
		resumed := callInOrder(k, received("4"))
		time.Sleep(time.Second)
		begin = time.Now()
		k.Resume()
		if got := <-resumed; got.result != consumer.ConsumeSuccess || time.Since(begin) != 0 {
			t.Errorf("resumed: %v after %v", got, time.Since(begin))
		}
		if got := []string{<-handled, <-handled}; len(handled) != 1 || slices.Contains(got, "3") {
			t.Errorf("handled %v and %d more", got, len(handled))
		}
		if got := <-handled; got != "4" {
			t.Errorf("handled %s", got)
		}
	})
}

func TestOrderedCallbackWithoutTheLibrarysContext(t *testing.T) {
	c, _ := quiet()
	k, _, _ := consumerOf(t, c, Subscription{Ordered: true, Handler: later})
	got, err := k.onInOrder(context.Background(), received("1")) // the broker's "consume directly"
	if got != consumer.SuspendCurrentQueueAMoment || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}
