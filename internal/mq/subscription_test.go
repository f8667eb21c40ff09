package mq

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/consumer"
)

// No waiting mends a subscription that contradicts itself.
func TestContradictorySubscriptionIsNotTriedForEver(t *testing.T) {
	for name, s := range map[string]Subscription{
		"Filter and Tags":       {Filter: "a > 5", Tags: []string{"paid"}},
		"Broadcast and Ordered": {Broadcast: "me", Ordered: true},
		`"a/b"`:                 {Broadcast: "a/b"},
		`"../up"`:               {Broadcast: "../up"},
		"negative":              {MaxAttempts: -1},
		"dead letters":          {Topic: DeadLetterTopic("g")},
	} {
		c, _ := quiet() // without a name server a good one would be tried until ctx ends
		s.Group = "group"
		if s.Topic == "" {
			s.Topic = "topic"
		}
		k := NewConsumer(c, s)
		if err := k.Start(t.Context()); !errors.Is(err, errInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := k.Stop(t.Context()); err != nil {
			t.Errorf("%s: Stop = %v", name, err)
		}
	}
	for name, s := range map[string]Subscription{
		"plain": {}, "tags": {Tags: []string{"a"}}, "filter": {Filter: "a > 5"}, "ordered": {Ordered: true, MaxAttempts: 3},
		"broadcast": {Broadcast: "node-1_a"}, "dead letters": {Topic: DeadLetterTopic("g"), Ordered: true},
	} {
		if err := s.withDefaults().check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBroadcastWithoutAHomeIsNotTriedForEver(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("rocketmq.client.localOffsetStoreDir", "")
	c, _ := quiet()
	k := NewConsumer(c, Subscription{Group: "group", Topic: "topic", Broadcast: "me"})
	if err := k.Start(t.Context()); !errors.Is(err, errInvalid) {
		t.Errorf("err = %v", err)
	}
}

func TestKindsOfConsumersReachTheLibrary(t *testing.T) {
	option := func(s Subscription, name string) any {
		field := optionsOf(libraryOf(t, s)).FieldByName(name)
		if field.CanInt() {
			return field.Int()
		}
		return field.Bool()
	}
	ordered := Subscription{Group: "g-ordered", Topic: "topic", Ordered: true, MaxAttempts: 3}
	broadcast := Subscription{Group: "g-broadcast", Topic: "topic", Broadcast: "me"}
	plain := Subscription{Group: "g-plain", Topic: "topic"}
	for _, test := range []struct {
		s    Subscription
		name string
		want any
	}{
		{ordered, "ConsumeOrderly", true},
		{ordered, "ConsumerModel", int64(consumer.Clustering)},
		{ordered, "MaxReconsumeTimes", int64(math.MaxInt32 - 1)}, // or the library would send back by itself
		{broadcast, "ConsumerModel", int64(consumer.BroadCasting)},
		{broadcast, "ConsumeOrderly", false},
		{broadcast, "FromWhere", int64(consumer.ConsumeFromFirstOffset)},
		{plain, "ConsumeOrderly", false},
	} {
		if got := option(test.s, test.name); got != test.want {
			t.Errorf("%s: %s = %v, want %v", test.s.Group, test.name, got, test.want)
		}
	}
}

func TestSelectorOfASubscription(t *testing.T) {
	for want, s := range map[consumer.MessageSelector]Subscription{
		{}:                                       {},
		{Type: consumer.TAG, Expression: "a||b"}: {Tags: []string{"a", "b"}},
		{Type: consumer.SQL92, Expression: "a = 'x y'"}: {Filter: "a = 'x y'"},
	} {
		if got := s.selector(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}
