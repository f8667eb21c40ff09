package mqtest

import (
	"slices"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/remoting"
)

// query asks how far a group is in a queue.
func (s *scene) query(group, topic string, queue int, more ...any) remoting.Command {
	s.Helper()
	f := ext("consumerGroup", group, "topic", topic, "queueId", queue)
	for name, value := range ext(more...) {
		f[name] = value
	}
	return s.line().call(remoting.RequestQueryConsumerOffset, f, nil)
}

// consumed is how far a group is in a queue; -1 if the broker does not know.
func (s *scene) consumed(group, topic string, queue int) int64 {
	s.Helper()
	answer := s.query(group, topic, queue, "setZeroIfNotFound", false)
	if answer.Code == remoting.ResponseQueryNotFound {
		return -1
	}
	return s.number(s.succeed("query offset", answer), "offset")
}

// commit tells the broker how far a group is.
func (s *scene) commit(group, topic string, queue int, offset int64) remoting.Command {
	s.Helper()
	return s.line().call(remoting.RequestUpdateOffset, ext("consumerGroup", group, "topic", topic, "queueId", queue, "commitOffset", offset), nil)
}

// A group that has never been seen is told to begin at 0 if the queue's first
// message is there still, whatever it has said about first and last: so a young
// topic is replayed in any case.
func offsetsUnknown(s *scene) {
	topic, group := s.topic(1), s.group()
	s.refuse("empty queue", s.query(group, topic, 0), remoting.ResponseQueryNotFound)
	s.sendAll(topic, 0, "a", "b")
	equal(s, "offset", s.number(s.succeed("young queue", s.query(group, topic, 0)), "offset"), 0)
	s.refuse("zero not wanted", s.query(group, topic, 0, "setZeroIfNotFound", false), remoting.ResponseQueryNotFound)
	s.refuse("unknown topic", s.query(group, s.fresh("unknown"), 0), remoting.ResponseQueryNotFound)
	s.refuse("unknown queue", s.query(group, topic, 99), remoting.ResponseQueryNotFound)
	equal(s, "offset of an unknown group", s.number(s.succeed("unknown group", s.query(s.fresh("unknown"), topic, 0)), "offset"), 0)
}

func offsetsUpdate(s *scene) {
	topic, group, second := s.topic(2), s.group(), s.group()
	s.sendAll(topic, 0, "a", "b")
	for _, offset := range []int64{2, 1, 99} { // back, and further than there is
		s.succeed("update", s.commit(group, topic, 0, offset))
		equal(s, "offset", s.consumed(group, topic, 0), offset)
	}
	equal(s, "offset of another queue", s.consumed(group, topic, 1), -1)
	equal(s, "offset of another group", s.consumed(second, topic, 0), -1)
	// What the stock client commits before it knows better counts as nothing.
	s.succeed("update", s.commit(group, topic, 0, -1))
	equal(s, "offset after -1", s.consumed(group, topic, 0), -1)
	s.refuse("unknown group", s.commit(s.fresh("unknown"), topic, 0, 1), remoting.ResponseGroupNotExist)
	s.refuse("unknown topic", s.commit(group, s.fresh("unknown"), 0, 1), remoting.ResponseTopicNotExist)
	missing := s.line().call(remoting.RequestUpdateOffset, ext("consumerGroup", group, "topic", topic, "queueId", 0), nil)
	s.refuse("no offset", missing, remoting.ResponseInvalidParameter)
}

// A one-way update, as clients send it, is done before what follows it on the
// connection is answered, or soon after.
func offsetsOneWay(s *scene) {
	topic, group := s.topic(1), s.group()
	s.line().oneWay(remoting.RequestUpdateOffset, ext("consumerGroup", group, "topic", topic, "queueId", 0, "commitOffset", 5), nil)
	s.until("the offset", func() bool { return s.consumed(group, topic, 0) == 5 })
}

func offsetsEnds(s *scene) {
	topic := s.topic(2)
	const first, end = remoting.RequestGetMinOffset, remoting.RequestGetMaxOffset
	equal(s, "end of an empty queue", s.offset(end, topic, 0), 0)
	s.sendAll(topic, 0, "a", "b", "c")
	equal(s, "end", s.offset(end, topic, 0), 3)
	equal(s, "first", s.offset(first, topic, 0), 0)
	equal(s, "end of another queue", s.offset(end, topic, 1), 0)
	equal(s, "end of an unknown queue", s.offset(end, topic, 99), 0)
	earliest := s.line().call(remoting.RequestGetEarliestStoreTime, ext("topic", topic, "queueId", 0), nil)
	equal(s, "time of the first", s.number(s.succeed("earliest", earliest), "timestamp"), s.queue(topic, 0)[0].StoredAt)
	earliest = s.line().call(remoting.RequestGetEarliestStoreTime, ext("topic", topic, "queueId", 1), nil)
	equal(s, "time of an empty queue's first", s.number(s.succeed("earliest", earliest), "timestamp"), -1)
}

// The offset at a time is that of the first message at or after it; with the
// upper bound asked for, that of the last message at or before it.
func offsetsByTime(s *scene) {
	topic := s.topic(1)
	at := make([]int64, 3)
	for i := range at {
		s.until("a later millisecond", func() bool { return i == 0 || time.Now().UnixMilli() > at[i-1]+2 })
		s.sendAll(topic, 0, "x")
		at[i] = s.wait(topic, 0, i+1)[i].StoredAt
	}
	search := func(t int64, more ...any) int64 {
		f := ext("topic", topic, "queueId", 0, "timestamp", t)
		for name, value := range ext(more...) {
			f[name] = value
		}
		return s.number(s.succeed("search", s.line().call(remoting.RequestSearchOffset, f, nil)), "offset")
	}
	for _, c := range []struct{ at, lower, upper int64 }{
		{0, 0, 0},
		{at[0] - 1, 0, 0},
		{at[0], 0, 0},
		{at[0] + 1, 1, 0},
		{at[1], 1, 1},
		{at[1] + 1, 2, 1},
		{at[2], 2, 2},
		{at[2] + 1, 3, 2},
		{at[2] + 1_000_000, 3, 2},
	} {
		equal(s, "offset", search(c.at), c.lower)
		equal(s, "lower offset", search(c.at, "boundaryType", "lower"), c.lower)
		equal(s, "upper offset", search(c.at, "boundaryType", "upper"), c.upper)
	}
}

// A new group of the wrapper begins with the oldest message, and goes on where it
// was when it comes back.
func offsetsNewGroup(s *scene) {
	topic, group := s.topic(2), s.group()
	s.sendAll(topic, 0, "a")
	s.sendAll(topic, 1, "b")
	box := s.inbox()
	first := s.consume(topic, mq.Subscription{Group: group}, box)
	box.wait(2)
	if err := first.Stop(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.until("the offsets", func() bool { return s.consumed(group, topic, 0) == 1 && s.consumed(group, topic, 1) == 1 })
	s.sendAll(topic, 0, "c")
	again := s.inbox()
	s.consume(topic, mq.Subscription{Group: group}, again)
	again.waitFor("c")
	if got := again.bodies(); !slices.Equal(got, []string{"c"}) {
		s.Errorf("after a restart the group gets %q", got)
	}
	lag, err := s.admin.Lag(s.ctx, group, topic)
	if err != nil || lag < 0 || lag > 1 {
		s.Errorf("lag %d, %v", lag, err)
	}
}
