package mqtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

func groupsCreate(s *scene) {
	group := s.fresh("group")
	s.forgetGroup(group)
	var missing *mq.NotFoundError
	if err := s.admin.CheckGroup(s.ctx, group); !errors.As(err, &missing) {
		s.Errorf("CheckGroup before: %v, want a *NotFoundError", err)
	}
	s.refuse("config before", s.line().call(remoting.RequestGetGroupConfig, ext("group", group), nil), remoting.ResponseGroupNotExist)
	for i, attempts := range []int{4, 0, 7} {
		created, err := s.admin.EnsureGroup(s.ctx, mq.GroupSpec{Name: group, MaxAttempts: attempts})
		if err != nil || created != (i == 0) {
			s.Fatalf("EnsureGroup %d = %v, %v", i, created, err)
		}
	}
	var c remoting.GroupConfig
	s.decode(s.succeed("config", s.line().call(remoting.RequestGetGroupConfig, ext("group", group), nil)), &c)
	want := remoting.NewGroupConfig(group)
	want.RetryMaxTimes = 6
	equal(s, "settings", c, want)
	var table remoting.GroupTable
	s.decode(s.succeed("groups", s.line().call(remoting.RequestGetAllGroups, nil, nil)), &table)
	if _, ok := table.Groups[group]; !ok {
		s.Errorf("%s is not among all groups", group)
	}
	s.refuse("junk", s.line().call(remoting.RequestUpdateGroup, nil, []byte("junk")), remoting.ResponseSystemError)
}

// With a group go its offsets, if that is asked for.
func groupsDelete(s *scene) {
	topic, group := s.topic(1), s.group()
	s.sendAll(topic, 0, "a", "b")
	s.succeed("update", s.commit(group, topic, 0, 2))
	if err := s.admin.DeleteGroup(s.ctx, group); err != nil {
		s.Fatal(err)
	}
	equal(s, "code of a pull", s.pull(pull{topic: topic, group: group}).code, remoting.ResponseGroupNotExist)
	s.refuse("config", s.line().call(remoting.RequestGetGroupConfig, ext("group", group), nil), remoting.ResponseGroupNotExist)
	s.putGroup(remoting.NewGroupConfig(group))
	equal(s, "offset of a new group of the name", s.consumed(group, topic, 0), -1)
	s.succeed("delete what is not there", s.line().call(remoting.RequestDeleteGroup, ext("groupName", s.fresh("unknown")), nil))
}

func groupsMembers(s *scene) {
	topic, group := s.topic(1), s.group()
	nobody := s.line().call(remoting.RequestConsumerList, ext("consumerGroup", group), nil)
	s.refuse("nobody is there", nobody, remoting.ResponseSystemError)
	a, b := s.member(), s.member()
	a.consume(group, subscribe(topic))
	if got := s.consumers(group); !slices.Equal(got, []string{a.id}) {
		s.Errorf("after the first heartbeat the group has %q", got)
	}
	b.consume(group, subscribe(topic))
	if got := s.consumers(group); !slices.Equal(got, []string{a.id, b.id}) {
		s.Errorf("after the second heartbeat the group has %q", got)
	}
	// A client that says goodbye is gone when that is answered.
	s.succeed("goodbye", b.call(remoting.RequestUnregisterClient, ext("clientID", b.id, "consumerGroup", group), nil))
	if got := s.consumers(group); !slices.Equal(got, []string{a.id}) {
		s.Errorf("after a goodbye the group has %q", got)
	}
	// One whose connection ends soon after.
	a.close()
	s.until("the end of a connection", func() bool { return s.consumers(group) == nil })
	s.succeed("goodbye of a stranger", s.line().call(remoting.RequestUnregisterClient, ext("clientID", "x", "consumerGroup", s.fresh("unknown")), nil))
}

// The others are told that the group has changed: somebody comes, says goodbye,
// is cut off.
func groupsNotified(s *scene) {
	topic, group := s.topic(1), s.group()
	a, b, c := s.member(), s.member(), s.member()
	a.consume(group, subscribe(topic))
	change := func(members int, do func()) {
		do()
		for {
			told := a.asked(remoting.RequestNotifyConsumers)
			equal(s, "group", told.Ext["consumerGroup"], group)
			if len(s.consumers(group)) == members {
				return
			} // it was about the change before
		}
	}
	change(2, func() { b.consume(group, subscribe(topic)) })
	change(3, func() { c.consume(group, subscribe(topic)) })
	change(2, func() {
		s.succeed("goodbye", b.call(remoting.RequestUnregisterClient, ext("clientID", b.id, "consumerGroup", group), nil))
	})
	change(1, c.close)
}

// A heartbeat is for groups that exist; of another one the broker says yes and
// forgets it.
func groupsUnknownInHeartbeat(s *scene) {
	topic, group := s.topic(1), s.fresh("unknown")
	m := s.member()
	m.consume(group, subscribe(topic))
	if got := s.consumers(group); got != nil {
		s.Errorf("a group that does not exist has the members %q", got)
	}
	s.refuse("junk", m.call(remoting.RequestHeartbeat, nil, []byte("junk")), remoting.ResponseSystemError)
	s.refuse("no body", m.call(remoting.RequestHeartbeat, nil, nil), remoting.ResponseSystemError)
	m.consume(s.group(), subscribe(topic)) // the connection is usable
}

// crew is some consumers of one group that note who has got what.
type crew struct {
	mu  sync.Mutex
	got map[string][]string // member → bodies
}

// share starts a member of a group of consumers.
func (c *crew) join(s *scene, name string, sub mq.Subscription, topic string) *mq.Consumer {
	s.Helper()
	box := s.inbox()
	box.answer = func(m message.Message) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got[name] = append(c.got[name], string(m.Body))
		return nil
	}
	return s.consume(topic, sub, box)
}

func (c *crew) all() map[string][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.got)
}

func (c *crew) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = map[string][]string{}
}

// round sends a message to each queue, waits until all have arrived somewhere, and
// returns who got which queues; -1 times stands for what arrived twice.
func (c *crew) round(s *scene, topic string, queues, number int) (shares map[string]int, repeated int) {
	s.Helper()
	c.forget()
	for queue := range queues {
		s.sendAll(topic, queue, fmt.Sprintf("%d/%d", number, queue))
	}
	prefix := fmt.Sprintf("%d/", number)
	s.until("all messages of a round", func() bool {
		shares, repeated = map[string]int{}, 0
		seen := map[string]bool{}
		for member, texts := range c.all() {
			for _, text := range texts {
				if len(text) < len(prefix) || text[:len(prefix)] != prefix {
					continue
				}
				if seen[text] {
					repeated++
				}
				seen[text] = true
				shares[member]++
			}
		}
		return len(seen) == queues
	})
	return shares, repeated
}

// Between rounds of messages the group comes to rest: then each queue has exactly
// one reader, and the queues are spread evenly.
func groupsRebalance(members int) func(*scene) {
	const queues = 6
	return func(s *scene) {
		topic, group := s.topic(queues), s.group()
		c := &crew{got: map[string][]string{}}
		sub := mq.Subscription{Group: group}
		var last *mq.Consumer
		for i := range members {
			last = c.join(s, fmt.Sprint("member", i), sub, topic)
		}
		number := 0
		evenly := func(members int) bool {
			number++
			shares, repeated := c.round(s, topic, queues, number)
			if len(shares) != members || repeated != 0 {
				return false
			}
			for _, n := range shares {
				if n != queues/members {
					return false
				}
			}
			return true
		}
		s.until(fmt.Sprintf("an even share for %d members", members), func() bool { return evenly(members) })
		if err := last.Stop(s.ctx); err != nil {
			s.Fatal(err)
		}
		if rest := members - 1; queues%rest == 0 {
			s.until("the rest to take over", func() bool { return evenly(rest) })
		}
	}
}

// Each of two groups gets everything.
func groupsTwo(s *scene) {
	topic := s.topic(2)
	a, b := s.consumer(topic, mq.Subscription{}), s.consumer(topic, mq.Subscription{})
	s.sendAll(topic, 0, "x")
	s.sendAll(topic, 1, "y")
	for _, box := range []*inbox{a, b} {
		box.wait(2)
		got := box.bodies()
		slices.Sort(got)
		if !slices.Equal(got, []string{"x", "y"}) {
			s.Errorf("a group gets %q", got)
		}
	}
}
