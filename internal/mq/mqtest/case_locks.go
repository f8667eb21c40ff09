package mqtest

import (
	"encoding/json"
	"slices"
	"time"

	"orderflow/internal/mq/remoting"
)

// locks sends a request to lock or unlock queues.
func (s *scene) locks(code int, group, client, topic string, queues ...int) remoting.Command {
	s.Helper()
	request := remoting.LockRequest{Group: group, ClientID: client}
	for _, id := range queues {
		request.Queues = append(request.Queues, remoting.MessageQueue{Topic: topic, Broker: s.name, ID: id})
	}
	body, err := json.Marshal(request)
	if err != nil {
		s.Fatal(err)
	}
	return s.line().call(code, nil, body)
}

// locked locks queues and returns which the client has got.
func (s *scene) locked(group, client, topic string, queues ...int) (ids []int) {
	s.Helper()
	var result remoting.LockResult
	s.decode(s.succeed("lock", s.locks(remoting.RequestLockQueues, group, client, topic, queues...)), &result)
	for _, q := range result.Locked {
		ids = append(ids, q.ID)
	}
	slices.Sort(ids)
	return ids
}

// A queue is one client's until it gives it back.
func locksFrame(s *scene) {
	topic, group := s.topic(3), s.group()
	wants := func(what, client string, queues, want []int) {
		s.Helper()
		if got := s.locked(group, client, topic, queues...); !slices.Equal(got, want) {
			s.Errorf("%s: the client gets %v, want %v", what, got, want)
		}
	}
	wants("first", "a", []int{0, 1}, []int{0, 1})
	wants("the same again", "a", []int{0, 1}, []int{0, 1})
	wants("another client", "b", []int{0, 1, 2}, []int{2})
	s.succeed("unlock of what is another's", s.locks(remoting.RequestUnlockQueues, group, "b", topic, 0))
	wants("still locked", "b", []int{0}, nil)
	s.succeed("unlock", s.locks(remoting.RequestUnlockQueues, group, "a", topic, 0))
	wants("given back", "b", []int{0, 1}, []int{0})
	if got := s.locked(s.group(), "b", topic, 1); !slices.Equal(got, []int{1}) {
		s.Errorf("another group gets %v", got)
	}
	s.refuse("junk", s.line().call(remoting.RequestLockQueues, nil, []byte("junk")), remoting.ResponseSystemError)
}

// A lock that is not renewed ends after a minute (RebalanceLockManager).
func locksExpire(s *scene) {
	topic, group := s.topic(1), s.group()
	if got := s.locked(group, "a", topic, 0); !slices.Equal(got, []int{0}) {
		s.Fatalf("the first gets %v", got)
	}
	s.pass(30 * time.Second)
	if got := s.locked(group, "b", topic, 0); len(got) != 0 {
		s.Errorf("after half a minute another gets %v", got)
	}
	s.pass(31 * time.Second)
	if got := s.locked(group, "b", topic, 0); !slices.Equal(got, []int{0}) {
		s.Errorf("after a minute another gets %v", got)
	}
}
