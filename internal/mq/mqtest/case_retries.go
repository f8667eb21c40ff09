package mqtest

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// back sends a message back for another delivery; more fields override the usual
// ones.
func (s *scene) back(group string, m remoting.StoredMessage, level int, more ...any) remoting.Command {
	s.Helper()
	f := ext("group", group, "offset", m.PhysicalOffset, "delayLevel", level, "originTopic", m.Topic,
		"originMsgId", property(m, "UNIQ_KEY"), "unitMode", false)
	for name, value := range ext(more...) {
		f[name] = value
	}
	return s.line().call(remoting.RequestSendBack, f, nil)
}

// original makes a message to send back.
func (s *scene) original() remoting.StoredMessage {
	s.Helper()
	topic := s.topic(2)
	s.send(letter{topic: topic, queue: 1, body: "x", flag: 3, properties: map[string]string{
		"UNIQ_KEY": "U" + topic, "KEYS": "k", "TAGS": "t", "own": "1",
	}})
	return s.wait(topic, 1, 1)[0]
}

// returned compares a message that was sent back with what it was.
func (s *scene) returned(got, was remoting.StoredMessage, attempts int32, more map[string]string) {
	s.Helper()
	equal(s, "attempts", got.Attempts, attempts)
	equal(s, "body", string(got.Body), string(was.Body))
	equal(s, "flag", got.Flag, was.Flag)
	equal(s, "born at", got.BornAt, was.BornAt)
	equal(s, "born host", got.BornHost, was.BornHost)
	properties := remoting.ParseProperties(got.Properties)
	for _, name := range []string{"UNIQ_KEY", "KEYS", "TAGS", "own"} {
		equal(s, name, properties[name], property(was, name))
	}
	for name, want := range more {
		equal(s, name, properties[name], want)
	}
}

// A message comes back on the group's own topic, later and later: the first time
// by level 3, then 4 and so on.
func retriesFrame(s *scene) {
	was, group := s.original(), s.group()
	retries := mq.RetryTopic(group)
	id := remoting.OffsetMessageID(netip.MustParseAddrPort(s.broker), was.PhysicalOffset)
	last := was
	for i := range 2 {
		sent := s.during(func() { s.succeed("send back", s.back(group, last, 0)) })
		last = s.wait(retries, 0, i+1)[i]
		s.onTime("the redelivery", last, sent, time.Second)
		s.returned(last, was, int32(i+1), map[string]string{
			"RETRY_TOPIC": was.Topic, "ORIGIN_MESSAGE_ID": id, "DELAY": string(rune('3' + i)),
			"REAL_TOPIC": retries, "REAL_QID": "0",
		})
	}
}

func retriesLevel(s *scene) {
	was, group := s.original(), s.group()
	sent := s.during(func() { s.succeed("send back", s.back(group, was, 6)) })
	got := s.wait(mq.RetryTopic(group), 0, 1)[0]
	s.onTime("the redelivery", got, sent, 2*time.Second)
	s.returned(got, was, 1, map[string]string{"DELAY": "6"})
}

// What has been delivered often enough, or is to be given up, is put aside at
// once, on a topic that is made for it.
func retriesDead(s *scene) {
	was, group := s.original(), s.group()
	dead := mq.DeadLetterTopic(group)
	s.succeed("give up", s.back(group, was, -1))
	s.succeed("no more", s.back(group, was, 0, "maxReconsumeTimes", 0))
	config := remoting.NewGroupConfig(group)
	config.RetryMaxTimes = 0
	s.putGroup(config)
	s.succeed("no more by the group's settings", s.back(group, was, 0))
	id := remoting.OffsetMessageID(netip.MustParseAddrPort(s.broker), was.PhysicalOffset)
	for _, got := range s.wait(dead, 0, 3) {
		equal(s, "topic", got.Topic, dead)
		s.returned(got, was, 1, map[string]string{"RETRY_TOPIC": was.Topic, "ORIGIN_MESSAGE_ID": id, "DELAY": "0"})
	}
	c := s.topicConfig(dead)
	if c.ReadQueues != 1 || c.WriteQueues != 1 || c.Perm != 6 {
		s.Errorf("the topic of the dead letters is %+v", c)
	}
	equal(s, "redeliveries", s.offset(remoting.RequestGetMaxOffset, mq.RetryTopic(group), 0), 0)
	// The client's number counts more than the group's.
	s.succeed("another attempt", s.back(group, was, 0, "maxReconsumeTimes", 5))
	s.wait(mq.RetryTopic(group), 0, 1)
}

func retriesRefused(s *scene) {
	was, group := s.original(), s.group()
	s.refuse("unknown group", s.back(s.fresh("unknown"), was, 0), remoting.ResponseGroupNotExist)
	for _, offset := range []int64{-1, was.PhysicalOffset + 1, was.PhysicalOffset + 1<<40} {
		s.refuse("wrong offset", s.back(group, was, 0, "offset", offset), remoting.ResponseSystemError)
	}
	// A group without queues for redeliveries: the broker says yes and drops it.
	config := remoting.NewGroupConfig(group)
	config.RetryQueues = 0
	s.putGroup(config)
	s.succeed("no queues", s.back(group, was, 1))
	s.succeed("no queues, dead", s.back(group, was, -1))
	config.RetryQueues = 1
	s.putGroup(config)
	s.succeed("a queue", s.back(group, was, 1)) // behind it would be the others
	equal(s, "redeliveries", len(s.wait(mq.RetryTopic(group), 0, 1)), 1)
	s.refuse("dead letters", s.line().call(remoting.RequestGetTopicConfig, ext("topic", mq.DeadLetterTopic(group)), nil), remoting.ResponseTopicNotExist)
}

// The handler that fails gets the message again as it was, counted.
func retriesConsumer(s *scene) {
	topic, group := s.topic(1), s.group()
	box := s.inbox()
	box.answer = func(m message.Message) error {
		if m.Attempt < 3 {
			return errors.New("later")
		}
		return nil
	}
	s.consume(topic, mq.Subscription{Group: group}, box)
	m := message.Message{Topic: topic, Tag: "created", Keys: []string{"k"}, Body: []byte("x"), Properties: map[string]string{"own": "1"}}
	if err := s.producer(topic).Send(s.ctx, m); err != nil {
		s.Fatal(err)
	}
	all := box.wait(3)
	// When they were sent back the broker does not know: after it had them.
	last := s.queue(topic, 0)[0]
	for i, got := range s.wait(mq.RetryTopic(group), 0, 2) {
		equal(s, "level", property(got, "DELAY"), fmt.Sprint(3+i))
		if took := got.StoredAt - last.StoredAt; took < 1000 {
			s.Errorf("delivery %d is stored %d ms after the one before", i+2, took)
		}
		last = got
	}
	for i, got := range all {
		equal(s, "attempt", got.Attempt, i+1)
		equal(s, "topic", got.Topic, topic)
		equal(s, "tag", got.Tag, "created")
		equal(s, "body", string(got.Body), "x")
		equal(s, "own property", got.Properties["own"], "1")
		equal(s, "id", got.ID, all[0].ID)
	}
}

// After the last attempt the message is a dead letter.
func retriesConsumerGivesUp(s *scene) {
	topic, group := s.topic(1), s.group()
	box := s.inbox()
	box.answer = func(message.Message) error { return errors.New("never") }
	s.consume(topic, mq.Subscription{Group: group, MaxAttempts: 2}, box)
	s.send(letter{topic: topic, body: "x", properties: map[string]string{"own": "1"}})
	dead := s.wait(mq.DeadLetterTopic(group), 0, 1)
	equal(s, "dead letters", len(dead), 1)
	equal(s, "own property", property(dead[0], "own"), "1")
	equal(s, "origin", property(dead[0], "RETRY_TOPIC"), topic)
	equal(s, "deliveries", len(box.all()), 2)
}

// A client may also send a message back as a new one to the group's topic. How
// often it was delivered it says itself, and the broker sees to the dead letters.
func retriesAsMessage(s *scene) {
	topic, group := s.topic(1), s.group()
	post := func(times, most int, more map[string]string) {
		s.Helper()
		properties := map[string]string{"RETRY_TOPIC": topic, "ORIGIN_MESSAGE_ID": "abc"}
		for name, value := range more {
			properties[name] = value
		}
		f := letter{topic: mq.RetryTopic(group), properties: properties}.short()
		f["j"], f["l"] = fmt.Sprint(times), fmt.Sprint(most)
		s.succeed("send", s.line().call(remoting.RequestSendMessageV2, f, []byte("x")))
	}
	sent := s.during(func() { post(1, 2, map[string]string{"DELAY": "3"}) })
	got := s.wait(mq.RetryTopic(group), 0, 1)[0]
	s.onTime("the redelivery", got, sent, time.Second)
	equal(s, "level", property(got, "DELAY"), "3")
	equal(s, "attempts", got.Attempts, 1)
	equal(s, "origin", property(got, "ORIGIN_MESSAGE_ID"), "abc")
	post(2, 2, nil)
	s.wait(mq.RetryTopic(group), 0, 2)
	post(3, 2, map[string]string{"DELAY": "3"})
	dead := s.wait(mq.DeadLetterTopic(group), 0, 1)[0]
	equal(s, "attempts of the dead letter", dead.Attempts, 3)
	equal(s, "origin of the dead letter", property(dead, "RETRY_TOPIC"), topic)
	// Of a group that consumes in order everything that comes back is dead.
	s.locked(group, "mqtest", topic, 0)
	post(1, 2, map[string]string{"DELAY": "3"})
	equal(s, "attempts of the ordered one", s.wait(mq.DeadLetterTopic(group), 0, 2)[1].Attempts, 1)
	unknown := s.line().post(letter{topic: mq.RetryTopic(s.fresh("unknown")), body: "x"})
	s.refuse("unknown group", unknown, remoting.ResponseGroupNotExist)
}
