package mq

import (
	"errors"
	"testing"

	"orderflow/internal/mq/remoting"
)

func TestLagOfAConsumer(t *testing.T) {
	s := newFakeServer(t)
	s.topics["topic"] = remoting.TopicConfig{Name: "topic", ReadQueues: 2, WriteQueues: 2}
	offset := func(n string) func(remoting.Command) remoting.Command {
		return func(r remoting.Command) remoting.Command {
			answer := r.Response(remoting.ResponseSuccess, "")
			answer.Ext = map[string]string{"offset": n}
			return answer
		}
	}
	s.on(remoting.RequestGetMaxOffset, offset("10"))
	s.on(remoting.RequestQueryConsumerOffset, offset("7"))
	c, _ := quiet()
	c.NameServers = []string{s.addr}
	k := NewConsumer(c, Subscription{Group: "group", Topic: "topic"})
	if lag, err := k.Lag(t.Context()); lag != 6 || err != nil {
		t.Errorf("Lag = %d, %v", lag, err)
	}
	if got := s.last(t, remoting.RequestQueryConsumerOffset).Ext; got["consumerGroup"] != "group" || got["topic"] != "topic" {
		t.Errorf("asked for %v", got)
	}
	if err := k.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Lag(t.Context()); !errors.Is(err, remoting.ErrClosed) {
		t.Errorf("after Stop: %v", err)
	}
	broadcast := NewConsumer(c, Subscription{Group: "group", Topic: "topic", Broadcast: "me"})
	if lag, err := broadcast.Lag(t.Context()); err == nil {
		t.Errorf("a broadcast's lag is %d", lag)
	}
	if err := broadcast.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
