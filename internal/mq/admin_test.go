package mq

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

func spec() TopicSpec { return TopicSpec{Name: "orders", Type: "DELAY", Queues: 4} }

func TestEnsureTopic(t *testing.T) {
	s := newFakeServer(t)
	a := fakeAdmin(t, "http://"+s.addr)
	for _, want := range []bool{true, false} {
		if created, err := a.EnsureTopic(t.Context(), spec()); created != want || err != nil {
			t.Fatalf("EnsureTopic = %v, %v; want %v", created, err, want)
		}
	}
	c := s.topics["orders"]
	if c.ReadQueues != 4 || c.WriteQueues != 4 || c.Perm != 6 || c.FilterType != "SINGLE_TAG" ||
		c.Attributes["message.type"] != "DELAY" {
		t.Errorf("%+v", c)
	}
}

func TestEnsureTopicInvalid(t *testing.T) {
	a := fakeAdmin(t) // no server is asked
	for _, spec := range []TopicSpec{
		{}, {Name: "with space"}, {Name: "ümlaut"}, {Name: strings.Repeat("x", 128)},
		{Name: "t", Type: "delay"}, {Name: "t", Queues: -1},
	} {
		if _, err := a.EnsureTopic(t.Context(), spec); err == nil || errors.Is(err, message.ErrUnavailable) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
}

func TestEnsureTopicRefused(t *testing.T) {
	s := newFakeServer(t)
	a := fakeAdmin(t, s.addr)
	s.refuse(remoting.RequestUpdateTopic, remoting.ResponseInvalidParameter, "conflict with system topic")
	created, err := a.EnsureTopic(t.Context(), spec())
	if created || remoting.ResponseCode(err) != remoting.ResponseInvalidParameter || errors.Is(err, message.ErrUnavailable) {
		t.Errorf("EnsureTopic = %v, %v", created, err)
	}
	s.refuse(remoting.RequestUpdateTopic, remoting.ResponseSystemBusy, "later")
	if _, err := a.EnsureTopic(t.Context(), spec()); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("busy: %v, want ErrUnavailable", err)
	}
}

// TestEnsureTopicNotKept has brokers that say yes and do something else.
func TestEnsureTopicNotKept(t *testing.T) {
	tests := map[string]struct {
		change  func(*remoting.TopicConfig)
		setting string
	}{
		"fewer queues": {func(c *remoting.TopicConfig) { c.WriteQueues = 1 }, "write queues"},
		"no reading":   {func(c *remoting.TopicConfig) { c.Perm = remoting.PermWrite }, "permissions"},
		"no type":      {func(c *remoting.TopicConfig) { c.Attributes = nil }, "message type"},
		"other type":   {func(c *remoting.TopicConfig) { c.Attributes["message.type"] = "NORMAL" }, "message type"},
		"other topic":  {func(c *remoting.TopicConfig) { c.Name = "x" }, "name"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newFakeServer(t)
			s.on(remoting.RequestUpdateTopic, func(r remoting.Command) remoting.Command {
				answer := s.updateTopic(r)
				c := s.topics["orders"]
				test.change(&c)
				s.topics["orders"] = c
				return answer
			})
			var mismatch *MismatchError
			_, err := fakeAdmin(t, s.addr).EnsureTopic(t.Context(), spec())
			if !errors.As(err, &mismatch) || mismatch.Setting != test.setting {
				t.Errorf("err = %v, want a *MismatchError of %s", err, test.setting)
			}
		})
	}
	s := newFakeServer(t)
	s.refuse(remoting.RequestUpdateTopic, remoting.ResponseSuccess, "")
	var missing *NotFoundError
	if _, err := fakeAdmin(t, s.addr).EnsureTopic(t.Context(), spec()); !errors.As(err, &missing) {
		t.Errorf("nothing kept: %v, want a *NotFoundError", err)
	}
}

func TestEnsureTopicWaitsForRoute(t *testing.T) {
	s := newFakeServer(t)
	times := 0
	s.on(remoting.RequestGetRoute, func(r remoting.Command) remoting.Command {
		if times++; times < 4 {
			return r.Response(remoting.ResponseTopicNotExist, "not yet")
		}
		return s.route(r)
	})
	a := fakeAdmin(t, s.addr)
	if _, err := a.EnsureTopic(t.Context(), spec()); err != nil || times != 4 {
		t.Errorf("EnsureTopic asked %d times: %v", times, err)
	}
	s.refuse(remoting.RequestGetRoute, remoting.ResponseTopicNotExist, "never")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.EnsureTopic(ctx, spec()); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("err = %v, want ErrUnavailable", err)
	}
}

func TestAdminNameServers(t *testing.T) {
	dead, s := newFakeServer(t), newFakeServer(t)
	dead.stop()
	a := fakeAdmin(t, dead.addr, s.addr)
	if _, err := a.EnsureTopic(t.Context(), spec()); err != nil {
		t.Errorf("one of two is dead: %v", err)
	}
	for _, a := range []*Admin{fakeAdmin(t), fakeAdmin(t, dead.addr)} {
		if err := a.CheckTopic(t.Context(), "orders"); !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("CheckTopic: %v, want ErrUnavailable", err)
		}
		if err := a.CheckGroup(t.Context(), "g"); !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("CheckGroup: %v, want ErrUnavailable", err)
		}
		if _, err := a.EnsureTopic(t.Context(), spec()); !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("EnsureTopic: %v, want ErrUnavailable", err)
		}
	}
	s.on(remoting.RequestGetRoute, hangUp)
	if err := fakeAdmin(t, s.addr).CheckTopic(t.Context(), "orders"); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("hung up: %v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := fakeAdmin(t, s.addr).CheckTopic(ctx, "orders")
	if !errors.Is(err, context.Canceled) || errors.Is(err, message.ErrUnavailable) {
		t.Errorf("cancelled: %v, want Canceled only", err)
	}
}

func TestCheckTopicUncertain(t *testing.T) {
	s := newFakeServer(t)
	a := fakeAdmin(t, s.addr)
	var missing *NotFoundError
	if err := a.CheckTopic(t.Context(), "orders"); !errors.As(err, &missing) {
		t.Errorf("missing: %v, want a *NotFoundError", err)
	}
	s.topics["orders"] = remoting.TopicConfig{Name: "orders"}
	s.refuse(remoting.RequestGetRoute, remoting.ResponseTopicNotExist, "restarted")
	if err := a.CheckTopic(t.Context(), "orders"); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("a broker has it: %v, want ErrUnavailable", err)
	}
	s.on(remoting.RequestClusterInfo, func(r remoting.Command) remoting.Command { return withBody(r, "{}") })
	if err := a.CheckTopic(t.Context(), "orders"); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("no brokers are known: %v, want ErrUnavailable", err)
	}
}

func TestEnsureGroup(t *testing.T) {
	s := newFakeServer(t)
	s.groups["g"] = json.RawMessage(`{"groupName":"g","retryMaxTimes":16,"retryQueueNums":3,"consumeEnable":false,` +
		`"attributes":{"x":"y"},"future":{"setting":1}}`)
	a := fakeAdmin(t, s.addr)
	if created, err := a.EnsureGroup(t.Context(), GroupSpec{Name: "g", MaxAttempts: 6}); created || err != nil {
		t.Fatalf("EnsureGroup = %v, %v", created, err)
	}
	want := `{"consumeEnable":false,"future":{"setting":1},"groupName":"g","retryMaxTimes":5,"retryQueueNums":3}`
	if got := string(s.groups["g"]); got != want {
		t.Errorf("group is\n%s, want\n%s", got, want)
	}
	if got := s.topics["%RETRY%g"]; got.WriteQueues != 3 || len(got.Attributes) != 0 {
		t.Errorf("retry topic: %+v", got)
	}
	if created, err := a.EnsureGroup(t.Context(), GroupSpec{Name: "new"}); !created || err != nil {
		t.Errorf("EnsureGroup = %v, %v; want created", created, err)
	}
	if err := a.CheckGroup(t.Context(), "new"); err != nil {
		t.Error(err)
	}
}

func TestEnsureGroupFails(t *testing.T) {
	s := newFakeServer(t)
	a := fakeAdmin(t, s.addr)
	g := GroupSpec{Name: "g", MaxAttempts: 3}
	for _, bad := range []GroupSpec{{}, {Name: "a b"}, {Name: "g", MaxAttempts: -1}} {
		if _, err := a.EnsureGroup(t.Context(), bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	s.refuse(remoting.RequestUpdateGroup, remoting.ResponseSuccess, "")
	var missing *NotFoundError
	if _, err := a.EnsureGroup(t.Context(), g); !errors.As(err, &missing) {
		t.Errorf("nothing kept: %v, want a *NotFoundError", err)
	}
	s.groups["g"] = json.RawMessage(`{"groupName":"g","retryMaxTimes":16}`)
	var mismatch *MismatchError
	if _, err := a.EnsureGroup(t.Context(), g); !errors.As(err, &mismatch) {
		t.Errorf("not kept: %v, want a *MismatchError", err)
	}
	s.refuse(remoting.RequestUpdateGroup, remoting.ResponseNoPermission, "")
	if _, err := a.EnsureGroup(t.Context(), g); remoting.ResponseCode(err) != remoting.ResponseNoPermission {
		t.Errorf("refused: %v", err)
	}
}

func TestDelayLevelsOfBrokers(t *testing.T) {
	one, two := newFakeServer(t), newFakeServer(t)
	one.on(remoting.RequestClusterInfo, func(r remoting.Command) remoting.Command {
		return withBody(r, `{"brokerAddrTable":{"a":{"brokerAddrs":{0:"%s",1:"x"}},"b":{"brokerAddrs":{0:"%s"}},"c":{"brokerAddrs":{1:"slave:1"}}}}`,
			one.addr, two.addr)
	})
	config := func(table string) func(remoting.Command) remoting.Command {
		return func(r remoting.Command) remoting.Command { return withBody(r, "x=1=2\n%s\nlast=\n", table) }
	}
	one.on(remoting.RequestGetBrokerConfig, config("messageDelayLevel=1s 5s"))
	two.on(remoting.RequestGetBrokerConfig, config("messageDelayLevel = 1s 5s "))
	a := fakeAdmin(t, one.addr)
	levels, err := a.DelayLevels(t.Context())
	if err != nil || len(levels.Durations()) != 2 {
		t.Errorf("DelayLevels = %v, %v", levels.Durations(), err)
	}
	for _, table := range []string{"messageDelayLevel=1s 6s", "messageDelayLevel=", "other=1s"} {
		two.on(remoting.RequestGetBrokerConfig, config(table))
		if levels, err := a.DelayLevels(t.Context()); err == nil {
			t.Errorf("%s: %v, no error", table, levels.Durations())
		}
	}
}

func TestSendBack(t *testing.T) {
	s := newFakeServer(t)
	s.topics["orders"] = remoting.TopicConfig{Name: "orders"}
	s.refuse(remoting.RequestSendBack, remoting.ResponseSuccess, "")
	a := fakeAdmin(t, s.addr)
	r := SendBackRequest{
		Group: "g", Topic: "orders", BrokerName: "b", CommitLogOffset: 1 << 40, MessageID: "id", DelayLevel: 3, MaxAttempts: 6,
	}
	if err := a.SendBack(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"group": "g", "originTopic": "orders", "originMsgId": "id", "offset": "1099511627776",
		"delayLevel": "3", "maxReconsumeTimes": "5", "unitMode": "false",
	}
	if got := s.last(t, remoting.RequestSendBack).Ext; !maps.Equal(got, want) {
		t.Errorf("fields %v, want %v", got, want)
	}
	r.MaxAttempts = 0
	if err := a.SendBack(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.last(t, remoting.RequestSendBack).Ext["maxReconsumeTimes"]; ok {
		t.Errorf("maxReconsumeTimes = %s without MaxAttempts", got)
	}
	// The stock client acknowledges the message after this.
	s.refuse(remoting.RequestSendBack, remoting.ResponseSystemError, "look message by offset failed")
	if err := a.SendBack(t.Context(), r); remoting.ResponseCode(err) != remoting.ResponseSystemError {
		t.Errorf("refused: %v", err)
	}
	s.on(remoting.RequestSendBack, hangUp)
	if err := a.SendBack(t.Context(), r); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("hung up: %v, want ErrUnavailable", err)
	}
}

// TestSendBackFollowsBroker moves the broker to another address.
func TestSendBackFollowsBroker(t *testing.T) {
	ns, before, after := newFakeServer(t), newFakeServer(t), newFakeServer(t)
	at := before.addr
	ns.on(remoting.RequestGetRoute, func(r remoting.Command) remoting.Command {
		return withBody(r, `{"brokerDatas":[{"brokerAddrs":{2:"slave:2",0:"%s"},"brokerName":"b"}]}`, at)
	})
	for _, s := range []*fakeServer{before, after} {
		s.refuse(remoting.RequestSendBack, remoting.ResponseSuccess, "")
	}
	a := fakeAdmin(t, ns.addr)
	r := SendBackRequest{Group: "g", Topic: "orders", BrokerName: "b"}
	if err := a.SendBack(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	before.stop()
	ns.mu.Lock()
	at = after.addr
	ns.mu.Unlock()
	// The first call may find the old connection broken only when it uses it.
	if err := a.SendBack(t.Context(), r); err != nil {
		if err := a.SendBack(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	after.last(t, remoting.RequestSendBack)
	after.stop()
	if err := a.SendBack(t.Context(), r); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("it is gone: %v, want ErrUnavailable", err)
	}
}

func TestOnlineRefused(t *testing.T) {
	s := newFakeServer(t)
	s.topics["orders"] = remoting.TopicConfig{Name: "orders"}
	a := fakeAdmin(t, s.addr)
	s.refuse(remoting.RequestProducerConnections, remoting.ResponseSystemError, "the producer group[g] not exist")
	if online, err := a.ProducerOnline(t.Context(), "g", "orders", "id"); online || err != nil {
		t.Errorf("no producer: %v, %v", online, err)
	}
	s.refuse(remoting.RequestProducerConnections, remoting.ResponseSystemError, "out of memory")
	if _, err := a.ProducerOnline(t.Context(), "g", "orders", "id"); err == nil {
		t.Error("a refusal for another reason is no error")
	}
	s.refuse(remoting.RequestConsumerConnections, remoting.ResponseConsumerNotOnline, "")
	if online, err := a.ConsumerOnline(t.Context(), "g", "id"); online || err != nil {
		t.Errorf("no consumer: %v, %v", online, err)
	}
}
