package mq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"orderflow/internal/mq/message"
)

// The library gives the members of a batch no id. They lie side by side in one
// queue, and each arrives as if it had been sent alone.
func TestBatchOnTheBroker(t *testing.T) {
	r := newReal(t, "NORMAL")
	box := newInbox()
	k := start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: box.handle}))
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	var batch []message.Message
	for i := range 5 {
		m := text(r.topic, fmt.Sprint("k", i))
		m.Properties = map[string]string{"n": fmt.Sprint(i)}
		batch = append(batch, m)
	}
	if err := p.SendBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	box.wait(t, "the batch", func(all []message.Message) bool { return len(all) >= 5 })
	stop(t, k)
	ids := map[string]bool{}
	for _, m := range box.all() {
		ids[m.ID] = true
		if len(m.ID) != 32 || m.Tag != "created" || m.Keys[0] != "k"+m.Properties["n"] || string(m.Body) != m.Keys[0] {
			t.Errorf("got %+v", m)
		}
	}
	if len(ids) != 5 {
		t.Errorf("%d ids for 5 messages", len(ids))
	}
	offsets, err := r.admin.TopicMaxOffsets(t.Context(), r.topic)
	if err != nil || !slices.Contains(slices.Collect(maps.Values(offsets)), 5) {
		t.Errorf("the batch is spread: %v, %v", offsets, err)
	}
}

// What the broker's own limit allows, the wrapper allows, and no more.
func TestLargestBatch(t *testing.T) {
	r := newReal(t, "NORMAL")
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	small := message.Message{Topic: r.topic, Body: []byte("s")}
	probe, err := outgoingBatch(t.Context(), []message.Message{small})
	if err != nil {
		t.Fatal(err)
	}
	overhead := batchEntrySize + len(probe[0].MarshallProperties())
	large := message.Message{Topic: r.topic, Body: bytes.Repeat([]byte("x"), maxBatchSize-2*overhead-len(small.Body))}
	if err := p.SendBatch(t.Context(), []message.Message{small, large}); err != nil {
		t.Errorf("a batch of exactly 4 MiB: %v", err)
	}
	large.Body = append(large.Body, 'x')
	var wrong *BatchError
	if err := p.SendBatch(t.Context(), []message.Message{small, large}); !errors.As(err, &wrong) || wrong.Index != -1 {
		t.Errorf("one byte more: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	waitForMessages(ctx, t, r.admin, r.topic, 2)
}

func TestTimerOnTheBroker(t *testing.T) {
	r := newReal(t, "DELAY")
	box := newInbox()
	k := r.consume(t, box.handle)
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	var far *TimerTooFarError
	err := p.SendAt(t.Context(), text(r.topic, "never"), time.Now().Add(72*time.Hour+time.Minute))
	if !errors.As(err, &far) || far.Max != 72*time.Hour || !errors.Is(err, message.ErrNotSent) || errors.Is(err, message.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	for key, at := range map[string]time.Time{"past": time.Now().Add(-time.Hour), "zero": {}} {
		if err := p.SendAt(t.Context(), text(r.topic, key), at); err != nil {
			t.Fatal(err)
		}
	}
	due := time.Now().Add(2500 * time.Millisecond)
	if err := p.SendAt(t.Context(), text(r.topic, "timer"), due); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"past", "zero", "timer"} {
		box.wait(t, key, withKey(key))
	}
	t.Logf("timer arrived %v after it was due", time.Since(due))
	stop(t, k)
	for _, m := range box.all() {
		if early := due.Sub(m.StoredAt); m.Keys[0] == "timer" && early > 0 {
			t.Errorf("delivered %v early", early)
		}
		if len(m.Properties) != 0 {
			t.Errorf("%v: properties %v", m.Keys, m.Properties)
		}
	}
	if len(box.all()) != 3 {
		t.Errorf("got %d messages", len(box.all()))
	}
}

// Stop must not close the connection on what was written last.
func TestOneWayMessagesArriveBeforeStop(t *testing.T) {
	r := newReal(t, "NORMAL")
	for round := range 5 {
		p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
		for i := range 200 {
			if err := p.SendOneWay(t.Context(), text(r.topic, fmt.Sprint(round, "-", i))); err != nil {
				t.Fatal(err)
			}
		}
		stop(t, p)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	waitForMessages(ctx, t, r.admin, r.topic, 1000)
}
