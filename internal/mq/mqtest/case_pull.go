package mqtest

import (
	"fmt"
	"slices"
	"time"

	"orderflow/internal/mq/remoting"
)

// wants compares an answer to a pull.
func (s *scene) wants(what string, c catch, code int, next, minimum, maximum int64, texts ...string) {
	s.Helper()
	if c.code != code || c.next != next || c.min != minimum || c.max != maximum || !slices.Equal(bodies(c.messages), texts) {
		s.Errorf("%s: code %d (%s), next %d of [%d, %d), %q; want code %d, next %d of [%d, %d), %q",
			what, c.code, c.remark, c.next, c.min, c.max, bodies(c.messages), code, next, minimum, maximum, texts)
	}
}

func pullFound(s *scene) {
	topic := s.topic(1)
	s.sendAll(topic, 0, "a", "b", "c")
	c := s.pull(pull{topic: topic, most: 2})
	s.wants("the first two", c, remoting.ResponseSuccess, 2, 0, 3, "a", "b")
	equal(s, "suggested broker", c.suggestedBroker, "0")
	s.wants("the rest", s.pull(pull{topic: topic, offset: 2}), remoting.ResponseSuccess, 3, 0, 3, "c")
	s.wants("one", s.pull(pull{topic: topic, offset: 1, most: 1}), remoting.ResponseSuccess, 2, 0, 3, "b")
	// Less than one is one.
	s.wants("none wanted", s.pull(pull{topic: topic, most: -1}), remoting.ResponseSuccess, 1, 0, 3, "a")
}

// Outside of what a queue holds the answer says where to go on.
func pullOutside(s *scene) {
	topic := s.topic(2)
	s.sendAll(topic, 0, "a", "b", "c")
	const notFound, moved = remoting.ResponsePullNotFound, remoting.ResponsePullOffsetMoved
	s.wants("at the end", s.pull(pull{topic: topic, offset: 3}), notFound, 3, 0, 3)
	s.wants("behind the end", s.pull(pull{topic: topic, offset: 4}), moved, 3, 0, 3)
	s.wants("far behind the end", s.pull(pull{topic: topic, offset: 1 << 40}), moved, 3, 0, 3)
	s.wants("before the beginning", s.pull(pull{topic: topic, offset: -1}), moved, 0, 0, 3)
	s.wants("empty queue", s.pull(pull{topic: topic, queue: 1}), notFound, 0, 0, 0)
	s.wants("behind an empty queue", s.pull(pull{topic: topic, queue: 1, offset: 5}), moved, 0, 0, 0)
	// No reason to hold the request.
	s.wants("waiting behind the end", s.pull(pull{topic: topic, offset: 4, wait: 30 * time.Second}), moved, 3, 0, 3)
}

func pullMany(s *scene) {
	topic := s.topic(1)
	entries := make([]remoting.BatchEntry, 50)
	for i := range entries {
		entries[i] = entry(fmt.Sprint(i), nil)
	}
	s.succeed("batch", s.postBatch(letter{topic: topic}, s.batch(entries...)))
	all := s.wait(topic, 0, 50)
	for i, m := range all {
		if string(m.Body) != fmt.Sprint(i) || m.QueueOffset != int64(i) {
			s.Errorf("message %d at offset %d is %q", i, m.QueueOffset, m.Body)
		}
	}
	equal(s, "messages", len(s.pull(pull{topic: topic, most: 32}).messages), 32)
	equal(s, "messages", len(s.pull(pull{topic: topic, most: 7, offset: 20}).messages), 7)
}

// A pull that may wait is answered when a message comes.
func pullWakes(s *scene) {
	topic := s.topic(2)
	answers := map[*line]<-chan remoting.Command{}
	for range 2 { // each of them gets it
		l := s.dial(s.broker)
		answers[l] = l.begin(remoting.RequestPullMessage, pull{topic: topic, queue: 1, wait: 20 * time.Second}.fields(s), nil)
	}
	s.sendAll(topic, 0, "other queue")
	start := time.Now()
	s.sendAll(topic, 1, "x")
	for l, answer := range answers {
		s.wants("woken", s.caught(l.await("the pull", answer)), remoting.ResponseSuccess, 1, 0, 1, "x")
	}
	if took := time.Since(start); took > late {
		s.Errorf("it took %v", took)
	}
}

// A message that the filter keeps back does not end the wait.
func pullWakesForWhatMatches(s *scene) {
	topic := s.topic(1)
	l := s.dial(s.broker)
	answer := l.begin(remoting.RequestPullMessage, pull{topic: topic, filter: "wanted", wait: 20 * time.Second}.fields(s), nil)
	s.send(letter{topic: topic, body: "a", properties: map[string]string{"TAGS": "other"}})
	s.send(letter{topic: topic, body: "b", properties: map[string]string{"TAGS": "wanted"}})
	c := s.caught(l.await("the pull", answer))
	for c.code == remoting.ResponsePullRetry { // it was woken by the other
		c = s.pull(pull{topic: topic, filter: "wanted", offset: c.next, wait: 20 * time.Second})
	}
	s.wants("woken", c, remoting.ResponseSuccess, 2, 0, 2, "b")
}

// Without a message the answer comes when the wait is over. The real broker looks
// every five seconds (PullRequestHoldService).
func pullTimesOut(s *scene) {
	topic := s.topic(1)
	s.sendAll(topic, 0, "a")
	start := time.Now()
	c := s.pull(pull{topic: topic, offset: 1, wait: time.Second})
	took := time.Since(start)
	s.wants("in vain", c, remoting.ResponsePullNotFound, 1, 0, 1)
	if took < time.Second || took > 5*time.Second+late {
		s.Errorf("a wait of 1 s took %v", took)
	}
	start = time.Now()
	s.wants("without a wait", s.pull(pull{topic: topic, offset: 1}), remoting.ResponsePullNotFound, 1, 0, 1)
	if took := time.Since(start); took > late {
		s.Errorf("no wait took %v", took)
	}
}

// A pull may carry the offset up to which the group is done.
func pullCommitsOffset(s *scene) {
	topic, group := s.topic(1), s.group()
	s.sendAll(topic, 0, "a", "b", "c")
	s.pull(pull{topic: topic, group: group, offset: 2, commit: true, committed: 2})
	equal(s, "offset", s.consumed(group, topic, 0), 2)
	s.pull(pull{topic: topic, group: group, offset: 2, committed: 1})
	equal(s, "offset that was not to be kept", s.consumed(group, topic, 0), 2)
	// Also when the pull finds nothing and waits.
	l := s.dial(s.broker)
	l.begin(remoting.RequestPullMessage, pull{
		topic: topic, group: group, offset: 3, commit: true, committed: 3, wait: 20 * time.Second,
	}.fields(s), nil)
	s.until("the offset of a waiting pull", func() bool { return s.consumed(group, topic, 0) == 3 })
}

func pullRefused(s *scene) {
	topic, group := s.topic(2), s.group()
	for _, queue := range []int{-1, 2, 99} {
		c := s.pull(pull{topic: topic, queue: queue})
		equal(s, fmt.Sprint("code of queue ", queue), c.code, remoting.ResponseInvalidParameter)
	}
	unknown := s.pull(pull{topic: topic, group: s.fresh("unknown")})
	equal(s, "code of an unknown group", unknown.code, remoting.ResponseGroupNotExist)
	config := remoting.NewGroupConfig(group)
	config.ConsumeEnable = false
	s.putGroup(config)
	equal(s, "code of a group that must not consume", s.pull(pull{topic: topic, group: group}).code, remoting.ResponseNoPermission)
}

// A pull without a filter of its own is for what the heartbeat has subscribed to.
func pullBySubscription(s *scene) {
	topic, group := s.topic(1), s.group()
	p := pull{topic: topic, group: group, subscribed: true}
	equal(s, "code without a heartbeat", s.pull(p).code, remoting.ResponseSubscriptionNotExist)
	m := s.member()
	m.consume(group, subscribe(topic, "a", "b"))
	for _, tag := range []string{"a", "x", "b", "x"} {
		s.send(letter{topic: topic, body: tag, properties: map[string]string{"TAGS": tag}})
	}
	s.wants("by heartbeat", s.pull(p), remoting.ResponseSuccess, 4, 0, 4, "a", "b")
	p.version = time.Now().Add(time.Minute).UnixMilli()
	equal(s, "code of a newer subscription", s.pull(p).code, remoting.ResponseSubscriptionNotLatest)
	p.version, p.topic = 0, s.topic(1)
	equal(s, "code of another topic", s.pull(p).code, remoting.ResponseSubscriptionNotExist)
	m.consume(group, subscribe(topic, "x"))
	p.topic = topic
	s.wants("by the next heartbeat", s.pull(p), remoting.ResponseSuccess, 4, 0, 4, "x", "x")
}
