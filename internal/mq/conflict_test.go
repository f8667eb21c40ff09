package mq

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orderflow/internal/mq/remoting"
	"orderflow/internal/telemetry/telemetrytest"
)

// groupOf is what a broker answers about a group with one member that consumes so.
func groupOf(model string, subscriptions ...remoting.Subscription) remoting.ConsumerConnections {
	members := remoting.ConsumerConnections{
		Connections:   remoting.Connections{Set: []remoting.Connection{{ClientID: "10.0.0.7@other"}}},
		Subscriptions: map[string]remoting.Subscription{"%RETRY%g": {Topic: "%RETRY%g", Expression: "*"}},
		MessageModel:  model,
	}
	for _, s := range subscriptions {
		members.Subscriptions[s.Topic] = s
	}
	return members
}

func TestT67SubscriptionsThatContradictEachOther(t *testing.T) {
	clustering, broadcasting := remoting.ModelClustering, remoting.ModelBroadcasting
	all := Subscription{Group: "g", Topic: "orders"}
	tagged := Subscription{Group: "g", Topic: "orders", Tags: []string{"paid", "created"}}
	sql := Subscription{Group: "g", Topic: "orders", Filter: "price > 5"}
	everyone := Subscription{Group: "g", Topic: "orders", Broadcast: "me"}
	for _, test := range []struct {
		name  string
		mine  Subscription
		group remoting.ConsumerConnections
		got   string // what the error says of the group; "" for no error
	}{
		{"nobody is there", all, remoting.ConsumerConnections{}, ""},
		{"who has not said yet", all, groupOf(clustering), ""},
		{"the same", all, groupOf(clustering, remoting.Subscription{Topic: "orders", Expression: "*", ExpressionType: "TAG"}), ""},
		{"the same tags", tagged, groupOf(clustering,
			remoting.Subscription{Topic: "orders", Expression: "created || paid||created"}), ""},
		{"the same filter", sql, groupOf(clustering,
			remoting.Subscription{Topic: "orders", Expression: "price > 5", ExpressionType: "SQL92"}), ""},
		{"the same broadcast", everyone, groupOf(broadcasting, remoting.Subscription{Topic: "orders", Expression: "*"}), ""},

		{"another topic", all, groupOf(clustering, remoting.Subscription{Topic: "stock", Expression: "*"}), `topic "stock"`},
		{"one topic more", all, groupOf(clustering, remoting.Subscription{Topic: "stock", Expression: "*"},
			remoting.Subscription{Topic: "orders", Expression: "*"}), `topic "orders" and topic "stock"`},
		{"other tags", tagged, groupOf(clustering, remoting.Subscription{Topic: "orders", Expression: "paid"}),
			`topic "orders" with tags paid`},
		{"tags where all is wanted", all, groupOf(clustering, remoting.Subscription{Topic: "orders", Expression: "b||a"}),
			`topic "orders" with tags a, b`},
		{"another filter", sql, groupOf(clustering,
			remoting.Subscription{Topic: "orders", Expression: "price > 6", ExpressionType: "SQL92"}),
			`topic "orders" where price > 6`},
		{"a tag that looks like the filter", sql, groupOf(clustering,
			remoting.Subscription{Topic: "orders", Expression: "price > 5"}), `topic "orders" with tags price > 5`},
		{"a broadcast", all, groupOf(broadcasting, remoting.Subscription{Topic: "orders", Expression: "*"}),
			`as a broadcast topic "orders"`},
		{"no broadcast", everyone, groupOf(clustering, remoting.Subscription{Topic: "orders", Expression: "*"}),
			`topic "orders"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.mine.compare(test.group)
			var conflict *SubscriptionConflictError
			switch {
			case test.got == "" && err != nil:
				t.Errorf("err = %v", err)
			case test.got == "":
			case !errors.As(err, &conflict) || conflict.Group != "g" || conflict.Got != test.got:
				t.Errorf("err = %v, want a conflict with %s", err, test.got)
			case !strings.Contains(err.Error(), "10.0.0.7@other"):
				t.Errorf("the error does not name the member: %v", err)
			}
		})
	}
}

// A member that would make others lose messages is not let in; once they have gone,
// it is.
func TestT67ConsumerDoesNotJoinAGroupThatConsumesSomethingElse(t *testing.T) {
	s := newFakeServer(t)
	s.topics["topic"] = remoting.TopicConfig{Name: "topic", ReadQueues: 1, WriteQueues: 1}
	s.groups["g"] = json.RawMessage(`{"groupName":"g"}`)
	c, _ := quiet()
	c.NameServers = []string{s.addr}
	k := NewConsumer(c, Subscription{Group: "g", Topic: "topic"})
	defer func() { _ = k.Stop(t.Context()) }()
	s.on(remoting.RequestConsumerConnections, func(r remoting.Command) remoting.Command {
		return withJSON(r, groupOf(remoting.ModelClustering, remoting.Subscription{Topic: "topic", Expression: "a"}))
	})
	var conflict *SubscriptionConflictError
	if err := k.check(t.Context()); !errors.As(err, &conflict) {
		t.Errorf("err = %v", err)
	}
	if errors.Is(conflict, errInvalid) {
		t.Error("the consumer would not try again when the others have gone")
	}
	s.refuse(remoting.RequestConsumerConnections, remoting.ResponseConsumerNotOnline, "not online")
	if err := k.check(t.Context()); err != nil {
		t.Errorf("err = %v", err)
	}
	s.on(remoting.RequestConsumerConnections, func(r remoting.Command) remoting.Command { return withBody(r, "{") })
	if err := k.check(t.Context()); !errors.Is(err, remoting.ErrMalformed) {
		t.Errorf("err = %v", err)
	}
}

// Two that start at the same moment do not see each other; and a client of another
// make asks nobody.
func TestT67ConflictWithALaterMemberIsLoggedOnceAndCounted(t *testing.T) {
	var log bytes.Buffer
	c, registry := quiet()
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	k := NewConsumer(c, Subscription{Group: "g", Topic: "topic"})
	defer func() { _ = k.Stop(t.Context()) }()
	gauge := func() float64 { return telemetrytest.Value(t, registry, "mq_subscription_conflict", "group", "g") }
	conflict := &SubscriptionConflictError{Group: "g", Got: "a", Want: "b"}
	for range 3 {
		k.tellConflict(conflict)
	}
	k.tellConflict(errors.New("broker down")) // says nothing about it
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || gauge() != 1 {
		t.Errorf("logged %d times, gauge %v:\n%s", n, gauge(), log.String())
	}
	k.tellConflict(nil)
	if gauge() != 0 {
		t.Errorf("gauge = %v after the other one has gone", gauge())
	}
	k.tellConflict(conflict)
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 || gauge() != 1 {
		t.Errorf("it came again and was logged %d times, gauge %v", n, gauge())
	}
}

func TestWatchOfMembersEndsWithTheConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k := NewConsumer(c, Subscription{Group: "g", Topic: "topic"})
		k.library = &fakeConsumer{}
		k.watch.Go(func() { k.watchMembers(time.Minute) })
		time.Sleep(5 * time.Minute)
		if err := k.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
