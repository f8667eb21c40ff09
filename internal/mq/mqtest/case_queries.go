package mqtest

import (
	"slices"
	"time"

	"orderflow/internal/mq/remoting"
)

// find looks messages up by a key; more fields override the usual ones.
func (s *scene) find(topic, key string, more ...any) remoting.Command {
	s.Helper()
	f := ext("topic", topic, "key", key, "maxNum", 32, "beginTimestamp", 0, "endTimestamp", time.Now().Add(time.Minute).UnixMilli())
	for name, value := range ext(more...) {
		f[name] = value
	}
	return s.line().call(remoting.RequestQueryMessage, f, nil)
}

// found waits until a lookup finds so many messages; the index lags behind. It
// returns their bodies, sorted.
func (s *scene) found(count int, topic, key string, more ...any) (texts []string) {
	s.Helper()
	s.until("messages with the key "+key, func() bool {
		answer := s.find(topic, key, more...)
		if answer.Code == remoting.ResponseQueryNotFound {
			return false
		}
		texts = bodies(s.messages(s.succeed("find", answer).Body))
		return len(texts) >= count
	})
	slices.Sort(texts)
	return texts
}

func queriesByKey(s *scene) {
	topic, second := s.topic(2), s.topic(1)
	s.send(letter{topic: topic, body: "a", properties: map[string]string{"KEYS": "k1 k2"}})
	s.send(letter{topic: topic, queue: 1, body: "b", properties: map[string]string{"KEYS": "k2"}})
	s.send(letter{topic: second, body: "c", properties: map[string]string{"KEYS": "k2"}})
	for _, c := range []struct {
		topic, key string
		want       []string
	}{
		{topic, "k1", []string{"a"}},
		{topic, "k2", []string{"a", "b"}},
		{second, "k2", []string{"c"}},
	} {
		if got := s.found(len(c.want), c.topic, c.key); !slices.Equal(got, c.want) {
			s.Errorf("%s finds %q, want %q", c.key, got, c.want)
		}
	}
	s.refuse("unknown key", s.find(topic, "k3"), remoting.ResponseQueryNotFound)
	s.refuse("part of a key", s.find(topic, "k"), remoting.ResponseQueryNotFound)
	s.refuse("another topic's", s.find(second, "k1"), remoting.ResponseQueryNotFound)
	equal(s, "messages if one is wanted", len(s.found(1, topic, "k2", "maxNum", 1)), 1)
}

func queriesByUniqueKey(s *scene) {
	topic := s.topic(1)
	s.send(letter{topic: topic, body: "a", properties: map[string]string{"UNIQ_KEY": "U1", "KEYS": "k"}})
	s.send(letter{topic: topic, body: "b", properties: map[string]string{"UNIQ_KEY": "U2", "KEYS": "k"}})
	for key, want := range map[string]string{"U1": "a", "U2": "b"} {
		if got := s.found(1, topic, key, remoting.FieldUniqueKeyQuery, true); !slices.Equal(got, []string{want}) {
			s.Errorf("%s finds %q, want %s", key, got, want)
		}
		// The same without saying what kind of key it is.
		if got := s.found(1, topic, key); !slices.Equal(got, []string{want}) {
			s.Errorf("%s as a plain key finds %q, want %s", key, got, want)
		}
	}
	s.refuse("unknown", s.find(topic, "U3", remoting.FieldUniqueKeyQuery, true), remoting.ResponseQueryNotFound)
}

func queriesByTime(s *scene) {
	topic := s.topic(1)
	s.send(letter{topic: topic, body: "a", properties: map[string]string{"KEYS": "k"}})
	at := s.queue(topic, 0)[0].StoredAt
	s.found(1, topic, "k")
	// The index knows times to a second or two.
	s.found(1, topic, "k", "beginTimestamp", at-5000, "endTimestamp", at+5000)
	s.refuse("before", s.find(topic, "k", "beginTimestamp", at-20_000, "endTimestamp", at-10_000), remoting.ResponseQueryNotFound)
	s.refuse("after", s.find(topic, "k", "beginTimestamp", at+10_000, "endTimestamp", at+20_000), remoting.ResponseQueryNotFound)
}

// What was delayed, or a half message, is found where it has arrived.
func queriesLater(s *scene) {
	topic := s.topic(1)
	s.succeed("send", s.line().post(letter{topic: topic, body: "delayed", properties: map[string]string{"KEYS": "k", "DELAY": "1"}}))
	h := s.prepare(s.line(), letter{group: s.fresh("producers"), topic: topic, body: "committed", properties: map[string]string{"KEYS": "k"}})
	s.succeed("commit", s.end(h, commitIt))
	if got := s.found(2, topic, "k"); !slices.Equal(got, []string{"committed", "delayed"}) {
		s.Errorf("the key finds %q", got)
	}
}
