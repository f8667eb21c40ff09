package mqtest

import (
	"context"
	"errors"
	"slices"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// A consumer of dead letters waits for their topic, which is not there yet, and is told
// where each was sent to: also when it tries again what it could not handle.
func drainDeadLetters(s *scene) {
	topic, group, drain := s.topic(1), s.group(), s.group()
	box := s.inbox()
	box.answer = func(message.Message) error {
		if len(box.all()) == 1 {
			return errors.New("not now")
		}
		return nil
	}
	s.consumeLater(mq.DeadLetterTopic(group), drain, box)
	dying := s.inbox()
	dying.answer = func(message.Message) error { return errors.New("never") }
	s.consume(topic, mq.Subscription{Group: group, MaxAttempts: 1}, dying)
	s.send(letter{topic: topic, body: "x", properties: map[string]string{"TAGS": "t", "KEYS": "a b", "own": "1"}})
	for i, m := range box.wait(2) {
		equal(s, "origin", m.Origin, message.Origin{Topic: topic})
		equal(s, "body", string(m.Body), "x")
		equal(s, "tag", m.Tag, "t")
		equal(s, "own property", m.Properties["own"], "1")
		equal(s, "attempt", m.Attempt, 2+i) // the broker counts the burial, too
		if !slices.Equal(m.Keys, []string{"a", "b"}) {
			s.Errorf("keys %q", m.Keys)
		}
	}
	equal(s, "deliveries", len(dying.all()), 1)
}

// Half messages that were checked too often can be consumed. All producer groups
// share the topic, so each is told whose they are, and what they were to be.
func drainHalfMessages(s *scene) {
	topic, producers, drain := s.typedTopic("TRANSACTION", 1), s.fresh("producers"), s.group()
	box := s.inbox()
	s.consumeLater(mq.DiscardedTopic, drain, box)
	m := s.member()
	m.produce(producers)
	s.prepare(m.line, letter{group: producers, topic: topic, body: "x", properties: map[string]string{
		"TAGS": "t", "KEYS": "a", "own": "1", "TRANSACTION_CHECK_TIMES": s.config["transactionCheckMax"],
	}})
	var found message.Message
	s.until("the half message", func() bool {
		all := box.all()
		i := slices.IndexFunc(all, func(m message.Message) bool { return m.Origin.ProducerGroup == producers })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	equal(s, "origin", found.Origin, message.Origin{Topic: topic, ProducerGroup: producers})
	equal(s, "tag", found.Tag, "t")
	equal(s, "body", string(found.Body), "x")
	equal(s, "own property", found.Properties["own"], "1")
	equal(s, "messages", s.offset(remoting.RequestGetMaxOffset, topic, 0), 0)
}

// consumeLater starts a consumer of a topic that may not be there yet.
func (s *scene) consumeLater(topic, group string, box *inbox) {
	s.Helper()
	s.needsStockClient()
	consumer := mq.NewConsumer(s.client(), mq.Subscription{
		Group: group, Topic: topic, Handler: box.handle, LateTopic: true, Ordered: true,
	})
	ctx, cancel := context.WithCancel(s.Context())
	started := make(chan error, 1)
	go func() { started <- consumer.Start(ctx) }()
	s.Cleanup(func() {
		cancel()
		if err := <-started; err != nil {
			s.Errorf("the consumer of %s has not started: %v", topic, err)
		}
		ctx, cancel := s.cleaningUp()
		defer cancel()
		if err := consumer.Stop(ctx); err != nil {
			s.Errorf("stop: %v", err)
		}
	})
}
