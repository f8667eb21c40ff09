package devbroker_test

import (
	"errors"
	"testing"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

func TestTopicsAndGroupsAreCreatedFromWithin(t *testing.T) {
	t.Parallel()
	b, err := devbroker.Start(devbroker.WithAutoCreateGroups(false), devbroker.WithDataDir(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing happens
		if err := b.CreateTopic("orders", 3, "FIFO"); err != nil {
			t.Fatal(err)
		}
		if err := b.CreateTopic("any", 1, ""); err != nil {
			t.Fatal(err)
		}
		if err := b.CreateGroup("readers"); err != nil {
			t.Fatal(err)
		}
	}
	p := dial(t, b)
	var config remoting.TopicConfig
	p.body(&config, remoting.RequestGetTopicConfig, ext("topic", "orders"))
	if config.ReadQueues != 3 || config.WriteQueues != 3 || config.Perm != 6 || config.Attributes[remoting.AttributeMessageType] != "FIFO" {
		t.Errorf("%+v", config)
	}
	var group remoting.GroupConfig
	if p.body(&group, remoting.RequestGetGroupConfig, ext("group", "readers")); group != remoting.NewGroupConfig("readers") {
		t.Errorf("%+v", group)
	}
	p.call(remoting.RequestGetRoute, ext("topic", "%RETRY%readers"), nil)
	p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"readers","retryMaxTimes":3}`))
	if err := b.CreateGroup("readers"); err != nil {
		t.Fatal(err)
	}
	if p.body(&group, remoting.RequestGetGroupConfig, ext("group", "readers")); group.RetryMaxTimes != 3 {
		t.Error("CreateGroup has changed a group that was there")
	}
	for what, err := range map[string]error{
		"name of a topic": b.CreateTopic("a b", 1, ""), "own topic": b.CreateTopic("TBW102", 1, ""),
		"queues": b.CreateTopic("x", -1, ""), "type": b.CreateTopic("x", 1, "LARGE"), "name of a group": b.CreateGroup("a b"),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.CreateTopic("late", 1, ""), b.CreateGroup("late")); !errors.Is(err, devbroker.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
