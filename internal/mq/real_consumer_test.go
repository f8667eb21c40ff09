package mq

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// T64: messages that end in every possible way, and at last all are settled.
func TestT64MixedMessagesAreAllSettled(t *testing.T) {
	r := newReal(t, "NORMAL")
	box, parker := newInbox(), &fakeParker{}
	box.answer = func(m message.Message) error {
		switch kind := m.Keys[0]; {
		case strings.HasPrefix(kind, "permanent"):
			return message.Permanent("BAD", "bad")
		case m.Attempt > 1 || strings.HasPrefix(kind, "ok"):
			return nil
		case strings.HasPrefix(kind, "panic"):
			panic("boom")
		default:
			return errors.New("later")
		}
	}
	k := start(t, NewConsumer(r.client, Subscription{
		Group: r.group, Topic: r.topic, Handler: box.handle, Parker: parker, Concurrency: 1,
	}))
	want := map[string][]int{
		"ok1": {1}, "later1": {1, 2}, "panic1": {1, 2}, "permanent1": {1},
		"ok2": {1}, "later2": {1, 2}, "panic2": {1, 2}, "permanent2": {1},
	}
	for key := range want {
		r.send(t, key)
	}
	for key, attempt := range want {
		box.wait(t, key, func(all []message.Message) bool { return len(attempts(all, key)) >= len(attempt) })
	}
	stop(t, k)
	r.settled(t)
	for key, attempt := range want {
		if got := attempts(box.all(), key); !slices.Equal(got, attempt) {
			t.Errorf("%s was delivered as attempts %v, want %v", key, got, attempt)
		}
	}
	if len(parker.parked) != 2 {
		t.Errorf("parked %+v", parker.parked)
	}
}

// T65: a panic costs one redelivery; the messages behind it in the queue go on
// and are acknowledged.
func TestT65PanicIsRedeliveredAndTheQueueMovesOn(t *testing.T) {
	r := newNames(t)
	r.ensureTopic(t, "NORMAL", 1)
	r.ensureGroup(t)
	box := newInbox()
	box.answer = func(m message.Message) error {
		if m.Keys[0] == "poison" && m.Attempt == 1 {
			panic("boom")
		}
		return nil
	}
	k := r.consume(t, box.handle)
	r.send(t, "poison", "k1", "k2", "k3")
	for _, key := range []string{"k1", "k2", "k3"} {
		box.wait(t, key, withKey(key))
	}
	all := box.wait(t, "the redelivery", func(all []message.Message) bool { return len(attempts(all, "poison")) == 2 })
	if got := attempts(all, "poison"); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("attempts %v", got)
	}
	stop(t, k)
	r.settled(t)
}

// T68: an error means redelivery, through the whole stack, until it is well.
func TestT68ErrorIsRedeliveredUntilItIsWell(t *testing.T) {
	r := newReal(t, "NORMAL")
	box := newInbox()
	box.answer = func(m message.Message) error {
		if m.Attempt < 3 {
			return errors.New("later")
		}
		return nil
	}
	k := r.consume(t, box.handle)
	r.send(t, "k")
	all := box.wait(t, "three deliveries", func(all []message.Message) bool { return len(all) >= 3 })
	stop(t, k)
	if got := attempts(box.all(), "k"); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("attempts %v", got)
	}
	for _, m := range all {
		if m.Topic != r.topic || m.Tag != "created" || m.ID != all[0].ID || string(m.Body) != "k" {
			t.Errorf("the redelivery differs: %+v", m)
		}
	}
	r.settled(t)
}

func TestMessageThatNeverSucceedsGoesToTheDeadLetters(t *testing.T) {
	r := newReal(t, "NORMAL")
	box := newInbox()
	box.answer = func(message.Message) error { return errors.New("never") }
	k := start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: box.handle, MaxAttempts: 2}))
	r.send(t, "k")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	waitForMessages(ctx, t, r.admin, DeadLetterTopic(r.group), 1)
	stop(t, k)
	if got := attempts(box.all(), "k"); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("attempts %v, want 1 and 2", got)
	}
	r.settled(t)
}

// Without a limit nothing runs out, whatever the group's settings say: not the
// group's own number, and not the table of delays.
func TestMessageThatFailsForLongIsNoDeadLetter(t *testing.T) {
	r := newReal(t, "NORMAL")
	if _, err := r.admin.EnsureGroup(t.Context(), GroupSpec{Name: r.group, MaxAttempts: 2}); err != nil {
		t.Fatal(err)
	}
	masters, _, err := r.admin.routeMasters(t.Context(), r.topic)
	if err != nil {
		t.Fatal(err)
	}
	// The queue of the table's last level, 18, is where such a message waits.
	waiting := func() int64 {
		n, err := r.admin.offset(t.Context(), masters[0].addr, remoting.RequestGetMaxOffset,
			map[string]string{"topic": "SCHEDULE_TOPIC_XXXX", "queueId": "17"})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := waiting()
	realMessageAfter(t, r.admin, r.topic, 40)
	box := newInbox()
	box.answer = func(m message.Message) error {
		if m.Attempt < 6 || m.Attempt > 40 {
			return errors.New("later")
		}
		return nil
	}
	k := r.consume(t, box.handle)
	r.send(t, "k")
	box.wait(t, "six deliveries", func(all []message.Message) bool { return len(attempts(all, "k")) >= 6 })
	stop(t, k)
	if got := attempts(box.all(), "k"); !slices.Equal(got, []int{1, 2, 3, 4, 5, 6}) {
		t.Errorf("attempts %v", got)
	}
	if got := attempts(box.all(), ""); !slices.Equal(got, []int{41}) || waiting() == before {
		t.Errorf("attempts %v, %d messages wait for the longest time, %d before", got, waiting(), before)
	}
	var missing *NotFoundError
	if offsets, err := r.admin.TopicMaxOffsets(t.Context(), DeadLetterTopic(r.group)); !errors.As(err, &missing) {
		t.Errorf("%d dead letters, %v", total(offsets), err)
	}
	r.settled(t)
}

// The client library takes any answer to a send-back for a yes. With a group
// that the broker does not know it would lose the message.
func TestMessageWhoseSendBackIsRefusedIsHeldAndComesAgain(t *testing.T) {
	r := newReal(t, "NORMAL")
	log := make(lines, 100)
	r.client.Logger = slog.New(log)
	entered, proceed := make(chan struct{}), make(chan struct{})
	k := r.consume(t, func(context.Context, message.Message) error {
		entered <- struct{}{}
		<-proceed
		return errors.New("later")
	})
	r.send(t, "k")
	<-entered
	if err := r.admin.DeleteGroup(t.Context(), r.group); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	log.wait(t, 3, "cannot send message back")
	stop(t, k)
	r.ensureGroup(t)
	box := newInbox()
	r.consume(t, box.handle)
	box.wait(t, "the held message", withKey("k"))
}

// Nobody brings the group back: the message must not hold up its queue for ever.
func TestMessageWhoseSendBackIsRefusedForGoodIsParked(t *testing.T) {
	r := newReal(t, "NORMAL")
	entered, proceed := make(chan struct{}), make(chan struct{})
	parked := make(chan struct{})
	parker := &fakeParker{park: func() error { close(parked); return nil }}
	k := start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Parker: parker,
		Handler: func(context.Context, message.Message) error {
			close(entered)
			<-proceed
			return errors.New("later")
		}}))
	r.send(t, "k")
	<-entered
	if err := r.admin.DeleteGroup(t.Context(), r.group); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	select {
	case <-parked:
	case <-time.After(time.Minute):
		t.Fatal("not parked")
	}
	r.ensureGroup(t)
	stop(t, k)
	if len(parker.parked) != 1 || parker.parked[0].Reason != ReasonCannotSendBack {
		t.Errorf("parked %+v", parker.parked)
	}
	r.settled(t)
}

func TestConsumerGetsItsTagsOnly(t *testing.T) {
	r := newNames(t)
	r.ensureTopic(t, "NORMAL", 1) // one queue, so that the last message comes last
	r.ensureGroup(t)
	box := newInbox()
	k := start(t, NewConsumer(r.client, Subscription{
		Group: r.group, Topic: r.topic, Tags: []string{"paid", "closed"}, Handler: box.handle,
	}))
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	for _, tag := range []string{"created", "paid", "", "paid2", "closed"} {
		m := text(r.topic, "key-"+tag)
		m.Tag = tag
		if err := p.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	box.wait(t, "the last message", withKey("key-closed"))
	box.wait(t, "the other one", withKey("key-paid"))
	stop(t, k)
	if all := box.all(); len(all) != 2 {
		t.Errorf("got %+v", all)
	}
}

// 3 s is the broker's level 16, as 30 minutes are in production.
func TestDelayedMessageComesNotBeforeItIsDue(t *testing.T) {
	r := newReal(t, "DELAY")
	box := newInbox()
	k := r.consume(t, box.handle)
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	var unsupported *message.UnsupportedDelayError
	if _, err := p.SendDelayed(t.Context(), text(r.topic, "never"), 7*time.Second); !errors.As(err, &unsupported) ||
		!slices.Contains(unsupported.Supported, 3*time.Second) {
		t.Errorf("err = %v", err)
	}
	if err := p.CheckDelay(t.Context(), 3*time.Second); err != nil {
		t.Error(err)
	}
	sent := time.Now()
	if _, err := p.SendDelayed(t.Context(), text(r.topic, "k"), 3*time.Second); err != nil {
		t.Fatal(err)
	}
	all := box.wait(t, "the message", withKey("k"))
	due := sent.UnixMilli() + 3000
	if arrived := time.Now().UnixMilli(); arrived < due || all[0].StoredAt.UnixMilli() < due {
		t.Errorf("due %d, stored %d, arrived %d", due, all[0].StoredAt.UnixMilli(), arrived)
	}
	stop(t, k)
	offsets, err := r.admin.TopicMaxOffsets(t.Context(), r.topic)
	if err != nil || total(offsets) != 1 || len(box.all()) != 1 {
		t.Errorf("%d messages in the topic, %d delivered, %v; the unsupported delay was sent", total(offsets), len(box.all()), err)
	}
}
