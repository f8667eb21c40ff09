package mqtest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
)

// inbox is a handler that remembers what it got.
type inbox struct {
	s *scene

	mu       sync.Mutex
	messages []message.Message
	answer   func(message.Message) error // nil: everything is acknowledged
	ended    int                         // handlers that have returned
}

func (s *scene) inbox() *inbox { return &inbox{s: s} }

func (b *inbox) handle(_ context.Context, m message.Message) error {
	b.mu.Lock()
	b.messages = append(b.messages, m)
	answer := b.answer
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ended++
	}()
	if answer == nil {
		return nil
	}
	return answer(m)
}

func (b *inbox) all() []message.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.messages)
}

// bodies are the bodies of what has arrived, in its order.
func (b *inbox) bodies() []string {
	var texts []string
	for _, m := range b.all() {
		texts = append(texts, string(m.Body))
	}
	return texts
}

// wait waits until so many have arrived.
func (b *inbox) wait(count int) []message.Message {
	b.s.Helper()
	b.s.until(fmt.Sprintf("%d messages", count), func() bool { return len(b.all()) >= count })
	return b.all()
}

// waitFor waits until a message with the body has arrived.
func (b *inbox) waitFor(body string) {
	b.s.Helper()
	b.s.until("message "+body, func() bool { return slices.Contains(b.bodies(), body) })
}

// consumer starts a consumer of the topic, of a group of its own unless the
// subscription names one, and returns where its messages arrive.
func (s *scene) consumer(topic string, sub mq.Subscription) *inbox {
	s.Helper()
	box := s.inbox()
	s.consume(topic, sub, box)
	return box
}

// consume starts a consumer whose messages arrive in the box.
func (s *scene) consume(topic string, sub mq.Subscription, box *inbox) *mq.Consumer {
	s.Helper()
	s.needsStockClient()
	if sub.Group == "" {
		sub.Group = s.group()
	}
	sub.Topic, sub.Handler = topic, box.handle
	return start(s, mq.NewConsumer(s.client(), sub))
}
