package mqtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
)

func consumerSQL(s *scene) {
	topic, group := s.sqlTopic(), s.group()
	box := s.inbox()
	c := s.consume(topic, mq.Subscription{Group: group, Filter: "a > 5 OR TAGS = 't'"}, box)
	s.send(letter{topic: topic, body: "last", properties: map[string]string{"TAGS": "t"}})
	box.wait(4)
	if err := c.Stop(s.ctx); err != nil {
		s.Fatal(err)
	}
	if got := box.bodies(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"five", "last", "none", "ten"}) {
		s.Errorf("the consumer gets %q", got)
	}
	s.until("the offset behind all of them", func() bool { return s.consumed(group, topic, 0) == 7 })
}

// Each member of a broadcast gets everything, and the broker keeps no offset of
// it.
func consumerBroadcast(s *scene) {
	topic, group := s.topic(2), s.group()
	s.forgetBroadcast(group)
	var boxes []*inbox
	for i := range 3 {
		box := s.inbox()
		s.consume(topic, mq.Subscription{Group: group, Broadcast: fmt.Sprint("member", i)}, box)
		boxes = append(boxes, box)
	}
	s.sendAll(topic, 0, "a", "b")
	s.sendAll(topic, 1, "c")
	for i, box := range boxes {
		box.wait(3)
		if got := box.bodies(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"a", "b", "c"}) {
			s.Errorf("member %d gets %q", i, got)
		}
	}
	equal(s, "offset at the broker", s.consumed(group, topic, 0), -1)
}

// forgetBroadcast removes the offsets that the stock client has kept on this
// machine.
func (s *scene) forgetBroadcast(group string) {
	s.Cleanup(func() {
		files, err := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".rocketmq_client_go", "*"+group+"*"))
		if err != nil {
			s.Error(err)
		}
		for _, file := range files {
			if err := os.RemoveAll(file); err != nil {
				s.Error(err)
			}
		}
	})
}

// In order: one message of a queue at a time, and one that fails holds up those
// behind it until it is handled.
func consumerOrdered(s *scene) {
	const queues, each = 3, 8
	topic, group := s.typedTopic("FIFO", queues), s.group()
	var mu sync.Mutex
	running, got := map[string]bool{}, map[string][]string{}
	box := s.inbox()
	box.answer = func(m message.Message) error {
		queue, n, _ := strings.Cut(string(m.Body), "/")
		mu.Lock()
		defer mu.Unlock()
		if running[queue] {
			s.Errorf("two messages of queue %s at a time", queue)
		}
		running[queue] = true
		mu.Unlock()
		<-time.After(2 * time.Millisecond) // in which another one might come
		mu.Lock()
		running[queue] = false
		if n == "3" && m.Attempt < 3 {
			return errors.New("not yet")
		}
		got[queue] = append(got[queue], n)
		return nil
	}
	for queue := range queues {
		for n := range each {
			s.succeed("send", s.line().post(letter{topic: topic, queue: queue, body: fmt.Sprintf("%d/%d", queue, n)}))
		}
	}
	c := s.consume(topic, mq.Subscription{Group: group, Ordered: true}, box)
	s.until("all messages", func() bool {
		mu.Lock()
		defer mu.Unlock()
		count := 0
		for _, all := range got {
			count += len(all)
		}
		return count >= queues*each
	})
	for queue := range queues {
		if all := strings.Join(got[fmt.Sprint(queue)], ""); all != "01234567" {
			s.Errorf("the messages of queue %d are handled as %s", queue, all)
		}
	}
	if locked := s.locked(group, "stranger", topic, 0, 1, 2); len(locked) != 0 {
		s.Errorf("while the consumer runs another client gets the queues %v", locked)
	}
	if err := c.Stop(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.until("the queues given back", func() bool { return len(s.locked(group, "stranger", topic, 0, 1, 2)) == 3 })
}

// A message that was tried often enough in its order is a dead letter, and its
// queue goes on.
func consumerOrderedGivesUp(s *scene) {
	topic, group := s.typedTopic("FIFO", 1), s.group()
	box := s.inbox()
	box.answer = func(m message.Message) error {
		if string(m.Body) == "bad" {
			return errors.New("never")
		}
		return nil
	}
	s.sendAll(topic, 0, "bad", "good")
	s.consume(topic, mq.Subscription{Group: group, Ordered: true, MaxAttempts: 2}, box)
	box.waitFor("good")
	if got := box.bodies(); !slices.Equal(got, []string{"bad", "bad", "good"}) {
		s.Errorf("they are handled as %q", got)
	}
	dead := s.wait(mq.DeadLetterTopic(group), 0, 1)
	if len(dead) != 1 || string(dead[0].Body) != "bad" || property(dead[0], "RETRY_TOPIC") != topic {
		s.Errorf("dead letters %q of %q", bodies(dead), property(dead[0], "RETRY_TOPIC"))
	}
}

// While it is suspended nothing is handled; what was sent meanwhile comes after.
func consumerSuspended(s *scene) {
	topic, group := s.topic(1), s.group()
	box := s.inbox()
	c := s.consume(topic, mq.Subscription{Group: group}, box)
	s.sendAll(topic, 0, "before")
	box.waitFor("before")
	if err := c.Suspend(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.sendAll(topic, 0, "meanwhile")
	other := s.consumer(topic, mq.Subscription{}) // it takes as long as the first would need
	other.waitFor("meanwhile")
	if got := box.bodies(); !slices.Equal(got, []string{"before"}) {
		s.Errorf("while suspended: %q", got)
	}
	c.Resume()
	box.waitFor("meanwhile")
}

// The lag is what the group has not acknowledged, as the broker knows, and it
// knows for certain when the consumer has stopped.
func consumerLag(s *scene) {
	s.needsStockClient()
	topic, group := s.topic(2), s.group()
	s.sendAll(topic, 0, "a", "b")
	s.sendAll(topic, 1, "c")
	box := s.inbox()
	c := mq.NewConsumer(s.client(), mq.Subscription{Group: group, Topic: topic, Handler: box.handle})
	if lag, err := c.Lag(s.ctx); lag != 3 || err != nil {
		s.Errorf("the lag of a group that has not begun is %d, %v", lag, err)
	}
	start(s, c)
	box.wait(3)
	if err := c.Stop(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.until("a lag of 0", func() bool {
		lag, err := s.admin.Lag(s.ctx, group, topic)
		return lag == 0 && err == nil
	})
}
