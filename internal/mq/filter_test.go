package mq

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// The library asks nobody whether a filter is understood, and consumes nothing if
// it is not.
func TestFilterIsCheckedBeforeTheStart(t *testing.T) {
	s := newFakeServer(t)
	s.topics["topic"] = remoting.TopicConfig{Name: "topic", ReadQueues: 1, WriteQueues: 1}
	s.groups["group"] = json.RawMessage(`{"groupName":"group"}`)
	c, _ := quiet()
	c.NameServers = []string{s.addr}
	k := NewConsumer(c, Subscription{Group: "group", Topic: "topic", Filter: "a > > 5"})
	defer func() { _ = k.Stop(t.Context()) }()

	s.refuse(remoting.RequestCheckClientConfig, remoting.ResponseSubscriptionInvalid, "Encountered > >")
	if err := k.Start(t.Context()); !errors.Is(err, errInvalid) || !strings.Contains(err.Error(), "a > > 5") {
		t.Errorf("err = %v", err)
	}
	var asked struct {
		Group        string `json:"group"`
		Subscription struct {
			Topic, ExpressionType string
			SubString             string `json:"subString"`
		} `json:"subscriptionData"`
	}
	if err := json.Unmarshal(s.last(t, remoting.RequestCheckClientConfig).Body, &asked); err != nil {
		t.Fatal(err)
	}
	if asked.Group != "group" || asked.Subscription.SubString != "a > > 5" ||
		asked.Subscription.ExpressionType != "SQL92" || asked.Subscription.Topic != "topic" {
		t.Errorf("asked %+v", asked)
	}

	// A broker may be set to filter by SQL later.
	s.refuse(remoting.RequestCheckClientConfig, remoting.ResponseSystemError, "does not support")
	if err := k.check(t.Context()); err == nil || errors.Is(err, errInvalid) {
		t.Errorf("err = %v", err)
	}
	s.on(remoting.RequestCheckClientConfig, hangUp)
	if err := k.check(t.Context()); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
	s.on(remoting.RequestCheckClientConfig, func(r remoting.Command) remoting.Command { return r.Response(remoting.ResponseSuccess, "") })
	if err := k.check(t.Context()); err != nil {
		t.Errorf("err = %v", err)
	}
	delete(s.topics, "topic")
	if err := k.admin.checkFilter(t.Context(), k.sub); err == nil {
		t.Error("no topic is no error")
	}
}
