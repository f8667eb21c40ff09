package mq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"orderflow/internal/mq/message"
)

// Sixteen handlers run when the consumer is stopped. All finish, the broker hears
// of it, and the next consumer gets none of them again.
func TestStopDrains(t *testing.T) {
	r := newReal(t, "NORMAL")
	entered, proceed := make(chan struct{}, 16), make(chan struct{})
	var finished atomic.Int32
	k := start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Concurrency: 16,
		Handler: func(ctx context.Context, _ message.Message) error {
			entered <- struct{}{}
			<-proceed
			finished.Add(1)
			return ctx.Err()
		}}))
	var keys []string
	for i := range 16 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	r.send(t, keys...)
	for range keys {
		<-entered
	}
	stopped := make(chan error, 1)
	go func() { stopped <- k.Stop(t.Context()) }()
	<-k.gate.closing()
	close(proceed)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if n := finished.Load(); n != 16 {
		t.Errorf("%d of 16 handlers have finished", n)
	}
	r.settled(t)
	box := newInbox()
	next := r.consume(t, box.handle)
	r.send(t, "marker")
	box.wait(t, "the marker", withKey("marker"))
	stop(t, next)
	if all := box.all(); len(all) != 1 {
		t.Errorf("%d messages were redelivered", len(all)-1)
	}
	offsets, err := r.admin.TopicMaxOffsets(t.Context(), RetryTopic(r.group))
	if err != nil || total(offsets) != 0 {
		t.Errorf("%d messages were sent back, %v", total(offsets), err)
	}
}

// T66: consumers come and go while messages are sent, and some handlers fail: at
// last each message was handled.
func TestT66RestartsUnderLoadLoseNothing(t *testing.T) {
	r := newReal(t, "NORMAL")
	const senders, each, restarts = 3, 400, 5
	box := newInbox()
	box.answer = func(m message.Message) error {
		if m.Attempt == 1 && m.Keys[0][len(m.Keys[0])-1] == '7' {
			return errors.New("later")
		}
		return nil
	}
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	var wg sync.WaitGroup
	defer wg.Wait()
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				if err := p.Send(t.Context(), text(r.topic, fmt.Sprintf("s%d-%d", s, i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	handled := func(all []message.Message) map[string]bool {
		keys := map[string]bool{}
		for _, m := range all {
			if box.answer(m) == nil {
				keys[m.Keys[0]] = true
			}
		}
		return keys
	}
	k := r.consume(t, box.handle)
	for i := range restarts {
		enough := (i + 1) * senders * each / (restarts + 1)
		box.wait(t, "some progress", func(all []message.Message) bool { return len(all) >= enough })
		if i%2 == 0 { // the next one comes before this one goes
			next := r.consume(t, box.handle)
			stop(t, k)
			k = next
		} else {
			stop(t, k)
			k = r.consume(t, box.handle)
		}
	}
	all := box.wait(t, "all messages", func(all []message.Message) bool { return len(handled(all)) == senders*each })
	r.settled(t) // with the last one running: what two consumers have sent back comes twice
	t.Logf("%d deliveries of %d messages", len(all), senders*each)
}
