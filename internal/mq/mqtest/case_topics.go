package mqtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// config reads a topic's settings from the broker.
func (s *scene) topicConfig(topic string) (c remoting.TopicConfig) {
	s.Helper()
	s.decode(s.succeed("topic config", s.line().call(remoting.RequestGetTopicConfig, ext("topic", topic), nil)), &c)
	return c
}

// putTopic creates or changes a topic; more fields override the usual ones.
func (s *scene) putTopic(topic string, more ...any) remoting.Command {
	s.Helper()
	f := ext("topic", topic, "defaultTopic", "TBW102", "readQueueNums", 1, "writeQueueNums", 1, "perm", 6,
		"topicFilterType", "SINGLE_TAG", "topicSysFlag", 0, "order", false)
	for name, value := range ext(more...) {
		f[name] = value
	}
	return s.line().call(remoting.RequestUpdateTopic, f, nil)
}

func (s *scene) route(topic string) (r remoting.Route) {
	s.Helper()
	answer := s.names().call(remoting.RequestGetRoute, ext("topic", topic, "acceptStandardJsonOnly", true), nil)
	s.decode(s.succeed("route", answer), &r)
	return r
}

func topicsCreate(s *scene) {
	for _, kind := range []string{"NORMAL", "DELAY", "TRANSACTION", "FIFO"} {
		topic := s.typedTopic(kind, 3)
		c := s.topicConfig(topic)
		if c.Name != topic || c.ReadQueues != 3 || c.WriteQueues != 3 || c.Perm != 6 || c.FilterType != "SINGLE_TAG" ||
			c.Attributes[remoting.AttributeMessageType] != kind {
			s.Errorf("a topic of type %s and 3 queues reads back as %+v", kind, c)
		}
		// Another type is refused by the Admin: the broker itself would take it.
		var mismatch *mq.MismatchError
		if _, err := s.admin.EnsureTopic(s.ctx, mq.TopicSpec{Name: topic, Type: other(kind)}); !errors.As(err, &mismatch) {
			s.Errorf("EnsureTopic with another type: %v, want a *MismatchError", err)
		}
	}
}

func other(kind string) string {
	if kind == "NORMAL" {
		return "DELAY"
	}
	return "NORMAL"
}

func topicsRoute(s *scene) {
	topic := s.topic(3)
	r := s.route(topic)
	want := remoting.QueueData{Broker: s.name, ReadQueues: 3, WriteQueues: 3, Perm: 6}
	if !slices.Equal(r.Queues, []remoting.QueueData{want}) {
		s.Errorf("queues %+v, want %+v", r.Queues, want)
	}
	if len(r.Brokers) != 1 || r.Brokers[0].Name != s.name || r.Brokers[0].Addrs[remoting.MasterID] != s.broker {
		s.Errorf("brokers %+v, want %s at %s", r.Brokers, s.name, s.broker)
	}
	var list remoting.TopicList
	s.decode(s.succeed("topics", s.names().call(remoting.RequestGetAllTopics, nil, nil)), &list)
	if !slices.Contains(list.Topics, topic) {
		s.Errorf("%s is not among all topics: %v", topic, list.Topics)
	}
}

// The stock Go client splits the brokers' addresses by hand: there must be no
// space in them.
func topicsCompactRoute(s *scene) {
	answer := s.succeed("route", s.names().call(remoting.RequestGetRoute, ext("topic", s.topic(1)), nil))
	if text := string(answer.Body); strings.ContainsAny(text, " \n\t") || !strings.Contains(text, `"brokerAddrs":{`) {
		s.Errorf("the route is %s", text)
	}
}

func topicsWiden(s *scene) {
	topic := s.topic(1)
	s.sendAll(topic, 0, "a")
	for _, spec := range []mq.TopicSpec{
		{Name: topic, Type: "NORMAL", Queues: 3},
		{Name: topic, Type: "NORMAL", Queues: 2}, // does not shrink
	} {
		if created, err := s.admin.EnsureTopic(s.ctx, spec); err != nil || created {
			s.Fatalf("EnsureTopic(%+v) = %v, %v", spec, created, err)
		}
	}
	c := s.topicConfig(topic)
	equal(s, "read queues", c.ReadQueues, 3)
	equal(s, "write queues", c.WriteQueues, 3)
	s.sendAll(topic, 2, "b")
	offsets, err := s.admin.TopicMaxOffsets(s.ctx, topic)
	if err != nil {
		s.Fatal(err)
	}
	for queue, want := range []int64{1, 0, 1} {
		equal(s, "max offset", offsets[mq.QueueID{Broker: s.name, Queue: queue}], want)
	}
}

func topicsUnknown(s *scene) {
	topic := s.fresh("unknown")
	notThere := remoting.ResponseTopicNotExist
	s.refuse("route", s.names().call(remoting.RequestGetRoute, ext("topic", topic), nil), notThere)
	s.refuse("config", s.line().call(remoting.RequestGetTopicConfig, ext("topic", topic), nil), notThere)
	s.refuse("send", s.line().post(letter{topic: topic, body: "x"}), notThere)
	s.refuse("send with long names", s.line().call(remoting.RequestSendMessage, letter{topic: topic}.long(), []byte("x")), notThere)
	s.refuse("pull", s.line().call(remoting.RequestPullMessage, pull{topic: topic}.fields(s), nil), notThere)
	s.refuse("stats", s.line().call(remoting.RequestGetTopicStats, ext("topic", topic), nil), notThere)
	// Of a queue that is not there the broker says that it is empty.
	for _, code := range []int{remoting.RequestGetMaxOffset, remoting.RequestGetMinOffset} {
		equal(s, "offset", s.offset(code, topic, 0), 0)
	}
	s.succeed("delete", s.line().call(remoting.RequestDeleteTopic, ext("topic", topic), nil))
	s.succeed("delete route", s.names().call(remoting.RequestDeleteTopicRoute, ext("topic", topic), nil))
	var missing *mq.NotFoundError
	if err := s.admin.CheckTopic(s.ctx, topic); !errors.As(err, &missing) {
		s.Errorf("CheckTopic: %v, want a *NotFoundError", err)
	}
}

func topicsDelete(s *scene) {
	topic := s.topic(1)
	s.sendAll(topic, 0, "old")
	if err := s.admin.DeleteTopic(s.ctx, topic); err != nil {
		s.Fatal(err)
	}
	s.refuse("send", s.line().post(letter{topic: topic, body: "x"}), remoting.ResponseTopicNotExist)
	s.until("the route to be gone", func() bool { // as in topicsPermissions
		return s.names().call(remoting.RequestGetRoute, ext("topic", topic), nil).Code == remoting.ResponseTopicNotExist
	})
	// One of the same name begins empty.
	s.succeed("create", s.putTopic(topic))
	s.sendAll(topic, 0, "new")
	all := s.queue(topic, 0)
	if got := bodies(all); !slices.Equal(got, []string{"new"}) || all[0].QueueOffset != 0 {
		s.Errorf("the new topic has %q", got)
	}
}

// That a topic is not for writing the route says, and producers go by it. That it
// is not for reading the broker minds itself.
func topicsPermissions(s *scene) {
	readOnly, writeOnly := s.topic(1), s.topic(1)
	s.sendAll(readOnly, 0, "a")
	s.succeed("make it read-only", s.putTopic(readOnly, "perm", remoting.PermRead))
	s.succeed("make it write-only", s.putTopic(writeOnly, "perm", remoting.PermWrite))
	// Another change of a topic may overtake this one on its way to RocketMQ's name server;
	// the broker registers everything anew after some seconds.
	for topic, want := range map[string]int{readOnly: remoting.PermRead, writeOnly: remoting.PermWrite} {
		s.until(fmt.Sprintf("permissions %d in the route of %s", want, topic), func() bool {
			return s.route(topic).Queues[0].Perm == want
		})
	}
	if got := bodies(s.queue(readOnly, 0)); !slices.Equal(got, []string{"a"}) {
		s.Errorf("a read-only topic gives %q", got)
	}
	s.succeed("send", s.line().post(letter{topic: writeOnly, body: "x"}))
	s.refuse("pull", s.line().call(remoting.RequestPullMessage, pull{topic: writeOnly}.fields(s), nil), remoting.ResponseNoPermission)
	if err := s.producer(readOnly).Send(s.ctx, message.Message{Topic: readOnly, Body: []byte("c")}); err == nil {
		s.Error("a producer has sent to a read-only topic")
	}
}

// The real broker takes a send to a read-only topic from who has not looked at the
// route: none of its checks is about the topic's permissions
// (AbstractSendMessageProcessor.msgCheck).
func topicsReadOnlySend(s *scene) {
	topic := s.topic(1)
	s.succeed("make it read-only", s.putTopic(topic, "perm", remoting.PermRead))
	s.sendAll(topic, 0, "x")
}

// A topic may have more queues to read than to write, as while its queues are
// being reduced. The broker takes a send to any of either.
func topicsReadMoreThanWrite(s *scene) {
	topic := s.topic(1)
	s.succeed("widen", s.putTopic(topic, "readQueueNums", 4, "writeQueueNums", 2))
	s.sendAll(topic, 3, "a")
	s.refuse("send behind", s.line().post(letter{topic: topic, queue: 4, body: "x"}), remoting.ResponseInvalidParameter)
	s.succeed("shrink", s.putTopic(topic))
	pulled := s.line().call(remoting.RequestPullMessage, pull{topic: topic, queue: 3}.fields(s), nil)
	s.refuse("pull of a queue that is gone", pulled, remoting.ResponseInvalidParameter)
	s.succeed("widen again", s.putTopic(topic, "readQueueNums", 4, "writeQueueNums", 4))
	if got := bodies(s.queue(topic, 3)); !slices.Equal(got, []string{"a"}) {
		s.Errorf("after shrinking and widening the queue has %q, want a", got)
	}
}

func topicsNames(s *scene) {
	for _, name := range []string{"", "a b", "a.b", strings.Repeat("x", 128)} {
		s.refuse("create "+name, s.putTopic(name), remoting.ResponseInvalidParameter)
		s.refuse("send to "+name, s.line().post(letter{topic: name, body: "x"}), remoting.ResponseInvalidParameter)
	}
	for _, name := range []string{"SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "TBW102", "rmq_sys_mine"} {
		s.refuse("create "+name, s.putTopic(name), remoting.ResponseInvalidParameter)
		s.refuse("delete "+name, s.line().call(remoting.RequestDeleteTopic, ext("topic", name), nil), remoting.ResponseInvalidParameter)
	}
	for _, name := range []string{"SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC"} {
		s.refuse("send to "+name, s.line().post(letter{topic: name, body: "x"}), remoting.ResponseNoPermission)
	}
	longest := s.fresh("") + strings.Repeat("x", 127)
	longest = longest[:127]
	s.forgetTopic(longest)
	s.succeed("create the longest", s.putTopic(longest))
	s.sendAll(longest, 0, "x")
	equal(s, "topic", s.wait(longest, 0, 1)[0].Topic, longest)
}

func topicsAttributes(s *scene) {
	topic := s.fresh("topic")
	s.forgetTopic(topic)
	for _, attributes := range []string{"+message.type=FOO", "+unknown=x", "message.type=NORMAL"} {
		s.refuse(attributes, s.putTopic(topic, "attributes", attributes), remoting.ResponseSystemError)
	}
	s.succeed("create", s.putTopic(topic, "attributes", "+message.type=FIFO"))
	equal(s, "type", s.topicConfig(topic).Attributes[remoting.AttributeMessageType], "FIFO")
	s.succeed("keep", s.putTopic(topic))
	equal(s, "type that is not mentioned", s.topicConfig(topic).Attributes[remoting.AttributeMessageType], "FIFO")
}
