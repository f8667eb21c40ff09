package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
)

// T68: a message is acknowledged when it was handled, parked or taken back by
// the broker, and only then.
func TestT68WhatAHandlerSaysIsDone(t *testing.T) {
	permanent := message.Permanent("BAD_BODY", "no JSON")
	for name, test := range map[string]struct {
		handle message.Handler
		park   func() error
		nobody bool // there is no parker
		parked int
		back   int
	}{
		"ok":         {handle: func(context.Context, message.Message) error { return nil }},
		"error":      {handle: func(context.Context, message.Message) error { return errors.New("later") }, back: 1},
		"T65 panic":  {handle: func(context.Context, message.Message) error { panic("boom") }, back: 1},
		"time is up": {handle: func(ctx context.Context, _ message.Message) error { <-ctx.Done(); return ctx.Err() }, back: 1},
		"permanent":  {handle: func(context.Context, message.Message) error { return permanent }, parked: 1},
		"permanent, wrapped": {
			handle: func(context.Context, message.Message) error { return fmt.Errorf("event 3: %w", permanent) }, parked: 1},
		"parking fails": {handle: func(context.Context, message.Message) error { return permanent },
			park: func() error { return errors.New("database down") }, back: 1},
		"parking panics": {handle: func(context.Context, message.Message) error { return permanent },
			park: func() error { panic("boom") }, back: 1},
		"no parker": {handle: func(context.Context, message.Message) error { return permanent }, nobody: true, back: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := quiet()
				parker := &fakeParker{park: test.park}
				s := Subscription{Handler: test.handle, Parker: parker, MaxAttempts: 4}
				if test.nobody {
					s.Parker = nil
				}
				k, _, back := consumerOf(t, c, s)
				got, err := k.onMessages(t.Context(), received("1"))
				if got != consumer.ConsumeSuccess || err != nil {
					t.Errorf("the library is told %v, %v", got, err)
				}
				if len(back.granted) != test.back || len(parker.parked) != test.parked {
					t.Fatalf("sent back %d times, parked %d; want %d and %d",
						len(back.granted), len(parker.parked), test.back, test.parked)
				}
				if test.back == 1 && back.granted[0] != (SendBackRequest{
					Group: "group", Topic: "topic", BrokerName: "b", CommitLogOffset: 7, MessageID: "1", MaxAttempts: 4,
				}) {
					t.Errorf("sent back %+v", back.granted[0])
				}
				if test.parked == 1 {
					p := parker.parked[0]
					if p.Group != "group" || p.OrderID != "key-1" || p.Reason != "BAD_BODY" ||
						p.Detail != "BAD_BODY: no JSON" || p.Message.ID != "1" {
						t.Errorf("parked %+v", p)
					}
				}
				if err := k.Stop(t.Context()); err != nil {
					t.Errorf("Stop = %v: is a handler still counted?", err)
				}
			})
		})
	}
}

// An outage can last longer than any number of redeliveries.
func TestWithoutLimitNothingBecomesADeadLetter(t *testing.T) {
	c, _ := quiet()
	k, _, back := consumerOf(t, c, Subscription{Handler: later})
	if _, err := k.onMessages(t.Context(), received("1")); err != nil || len(back.granted) != 1 {
		t.Fatalf("sent back %d times, %v", len(back.granted), err)
	}
	// The broker counts redeliveries, in a Java int, and chooses the delay.
	fields := back.granted[0].fields()
	if fields["maxReconsumeTimes"] != "2147483646" || fields["delayLevel"] != "0" {
		t.Errorf("sent back with %v", fields)
	}
}

// Message ids repeat, so the id alone would make two messages one.
func TestParkedMessageWithoutKeyIsNamedByItsIDAndBody(t *testing.T) {
	c, _ := quiet()
	parker := &fakeParker{}
	k, _, _ := consumerOf(t, c, Subscription{Parker: parker,
		Handler: func(context.Context, message.Message) error { return message.Permanent("BAD", "bad") }})
	for _, body := range []string{"a", "b", "a"} {
		m := received("1")
		m.Body = []byte(body)
		m.RemoveProperty(primitive.PropertyKeys)
		if _, err := k.onMessages(t.Context(), m); err != nil {
			t.Error(err)
		}
	}
	var ids []string
	for _, p := range parker.parked {
		ids = append(ids, p.OrderID)
	}
	if want := []string{"message 1/e40c292c", "message 1/e70c2de5", "message 1/e40c292c"}; !slices.Equal(ids, want) {
		t.Errorf("parked as %v, want %v", ids, want)
	}
}

// T64: of eight messages in one callback each is settled on its own.
func TestT64BatchOfMixedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		parker := &fakeParker{}
		var handled []string
		k, _, back := consumerOf(t, c, Subscription{Parker: parker, Handler: func(_ context.Context, m message.Message) error {
			handled = append(handled, m.ID)
			switch m.ID {
			case "2", "7":
				return errors.New("later")
			case "3":
				panic("boom")
			case "4", "8":
				return message.Permanent("BAD", "bad")
			}
			return nil
		}})
		var batch []*primitive.MessageExt
		for i := range 8 {
			batch = append(batch, received(fmt.Sprint(i+1)))
		}
		if got, err := k.onMessages(t.Context(), batch...); got != consumer.ConsumeSuccess || err != nil {
			t.Errorf("the library is told %v, %v", got, err)
		}
		if want := []string{"1", "2", "3", "4", "5", "6", "7", "8"}; !slices.Equal(handled, want) {
			t.Errorf("handled %v", handled)
		}
		if got := back.keys(); !slices.Equal(got, []string{"2", "3", "7"}) {
			t.Errorf("sent back %v", got)
		}
		if len(parker.parked) != 2 || parker.parked[0].Message.ID != "4" || parker.parked[1].Message.ID != "8" {
			t.Errorf("parked %+v", parker.parked)
		}
	})
}

// answer is what the library is told.
type answer struct {
	result consumer.ConsumeResult
	err    error
}

// call gives the message to the consumer as the library does.
func call(k *Consumer, messages ...*primitive.MessageExt) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		result, err := k.onMessages(context.Background(), messages...)
		answers <- answer{result, err}
	}()
	return answers
}

func later(context.Context, message.Message) error { return errors.New("later") }

// Success would acknowledge a message that nobody has handled; "later" would
// have the library send it back unchecked, while the queue is still its own.
func TestHeldMessageIsLetGoAfterTheQueueIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, library, back := consumerOf(t, c, Subscription{Handler: later})
		back.set(errors.New("refused"))
		answers := call(k, received("1"), received("2"))
		synctest.Wait()
		library.shutdown = func() {
			synctest.Wait()
			if len(answers) != 0 {
				t.Error("the callback has returned before the library gave up its queue")
			}
		}
		if err := k.Stop(t.Context()); err != nil {
			t.Errorf("Stop = %v", err)
		}
		if got := <-answers; got != (answer{consumer.ConsumeRetryLater, nil}) {
			t.Errorf("the library is told %v", got)
		}
		if !slices.Equal(library.calls, []string{"suspend", "persist", "shutdown"}) {
			t.Errorf("calls %v", library.calls)
		}
	})
}

func TestStopLetsHandlersFinishAndHoldsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hold := make(chan struct{})
		var handled []string
		k, library, back := consumerOf(t, c, Subscription{HandlerTimeout: time.Hour,
			Handler: func(ctx context.Context, m message.Message) error {
				<-hold
				handled = append(handled, m.ID)
				return ctx.Err()
			}})
		running := call(k, received("1"))
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- k.Stop(t.Context()) }()
		synctest.Wait()
		late := call(k, received("2"))
		synctest.Wait()
		if len(stopped) != 0 || len(late) != 0 || slices.Contains(library.calls, "shutdown") {
			t.Fatal("Stop has not waited for the handler")
		}
		if err := k.Ready(); !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("Ready = %v", err)
		}
		library.shutdown = func() {
			if len(running) != 1 {
				t.Error("shut down before the library had the handler's result")
			}
		}
		close(hold)
		if err := <-stopped; err != nil {
			t.Errorf("Stop = %v", err)
		}
		if got := <-running; got != (answer{consumer.ConsumeSuccess, nil}) {
			t.Errorf("running handler: %v", got)
		}
		if got := <-late; got != (answer{consumer.ConsumeRetryLater, nil}) {
			t.Errorf("late message: %v", got)
		}
		if !slices.Equal(handled, []string{"1"}) || back.count() != 0 {
			t.Errorf("handled %v, sent back %d", handled, back.count())
		}
		if err := k.Stop(t.Context()); err != nil || !slices.Equal(library.calls, []string{"suspend", "persist", "shutdown"}) {
			t.Errorf("second Stop = %v, calls %v", err, library.calls)
		}
	})
}

func TestStopOutOfTimeCancelsTheHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, library, back := consumerOf(t, c, Subscription{HandlerTimeout: time.Hour,
			Handler: func(ctx context.Context, _ message.Message) error { <-ctx.Done(); return ctx.Err() }})
		back.set(errors.New("refused")) // the work context has ended, so the admin cannot send back either
		answers := call(k, received("1"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := k.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop = %v", err)
		}
		if got := <-answers; got != (answer{consumer.ConsumeRetryLater, nil}) || !slices.Contains(library.calls, "shutdown") {
			t.Errorf("the library is told %v, calls %v", got, library.calls)
		}
	})
}

// A client that comes up while Stop is under way is shut down again, and holds
// its callbacks until then.
func TestConsumerStoppedWhileItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, library, _ := consumerOf(t, c, Subscription{Handler: func(context.Context, message.Message) error {
			t.Error("handled after Stop")
			return nil
		}})
		k.library = nil // not started yet
		if err := k.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		answers := call(k, received("1")) // the client has begun to consume
		synctest.Wait()
		library.shutdown = func() {
			synctest.Wait()
			if len(answers) != 0 {
				t.Error("the callback has returned before the library gave up its queue")
			}
		}
		if err := k.take(t.Context(), library); !errors.Is(err, errStopped) || !slices.Equal(library.calls, []string{"shutdown"}) {
			t.Errorf("take = %v, calls %v", err, library.calls)
		}
		if got := <-answers; got != (answer{consumer.ConsumeRetryLater, nil}) {
			t.Errorf("the library is told %v", got)
		}
		if k.Ready() == nil {
			t.Error("ready after Stop")
		}
	})
}

// A topic that may come late is waited for without a word, and whatever else stands in
// the way is not.
func TestStartIsQuietAboutALateTopic(t *testing.T) {
	topic, group := &NotFoundError{Kind: KindTopic, Name: "t"}, &NotFoundError{Kind: KindGroup, Name: "g"}
	for _, test := range []struct {
		name string
		late bool
		err  error
		want int
	}{
		{"a late topic", true, fmt.Errorf("check: %w", topic), 0},
		{"any other topic", false, topic, 1},
		{"a group", true, group, 1},
		{"no broker", true, message.ErrUnavailable, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := quiet()
				log := make(lines, 100)
				c.Logger = slog.New(log)
				k := NewConsumer(c, Subscription{Group: "g", Topic: "t", LateTopic: test.late})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_ = c.untilStarted(ctx, "thing", func(context.Context) error { return test.err }, k.topicIsLate)
				if len(log) != test.want {
					t.Errorf("%d lines in the log, want %d", len(log), test.want)
				}
			})
		})
	}
}

func TestStartTriesUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tries := 0
		err := c.untilStarted(ctx, "thing", func(context.Context) error { tries++; return errors.New("down") })
		if !errors.Is(err, context.DeadlineExceeded) || tries < 20 {
			t.Errorf("after %d tries: %v", tries, err)
		}
		tries = 0
		err = c.untilStarted(t.Context(), "thing", func(context.Context) error {
			if tries++; tries < 5 {
				return errors.New("down")
			}
			return nil
		})
		if err != nil || tries != 5 {
			t.Errorf("after %d tries: %v", tries, err)
		}
		err = c.untilStarted(t.Context(), "thing", func(context.Context) error { return errStopped })
		if !errors.Is(err, errStopped) {
			t.Errorf("err = %v", err)
		}
	})
}
