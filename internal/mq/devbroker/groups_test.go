package devbroker_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// join makes the client of a peer a member of a group.
func (p *peer) join(client, group string, topics ...string) {
	p.t.Helper()
	p.call(remoting.RequestHeartbeat, nil, beat(p.t, client, group, remoting.ModelClustering, topics...))
}

func beat(t testing.TB, client, group, model string, topics ...string) []byte {
	t.Helper()
	g := remoting.ConsumerGroup{Name: group, ConsumeType: remoting.ConsumePassively, MessageModel: model}
	for _, topic := range topics {
		g.Subscriptions = append(g.Subscriptions, remoting.Subscription{Topic: topic, Expression: "*", Version: 1})
	}
	text, err := json.Marshal(remoting.Heartbeat{ClientID: client, Consumers: []remoting.ConsumerGroup{g}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func groupState(t testing.TB, b *devbroker.Broker, name string) devbroker.GroupState {
	t.Helper()
	for _, g := range b.Inspect().Groups {
		if g.Name == name {
			return g
		}
	}
	t.Fatalf("there is no group %s", name)
	return devbroker.GroupState{}
}

func memberIDs(g devbroker.GroupState) []string {
	ids := []string{}
	for _, m := range g.Members {
		ids = append(ids, m.ClientID)
	}
	return ids
}

func TestMembersAreToldOfEachOther(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	first, second := dial(t, b), dial(t, b)
	told := func(peers ...*peer) {
		t.Helper()
		for _, p := range peers {
			if ext := p.next(remoting.RequestNotifyConsumers).Ext; ext["consumerGroup"] != "g" {
				t.Errorf("told of %v", ext)
			}
		}
	}
	first.join("c1", "g", "orders")
	told(first)
	first.join("c1", "g", "orders")
	first.quiet() // once is enough
	second.join("c2", "g", "orders")
	told(first, second)
	second.join("c2", "g", "orders", "payments")
	told(first, second)
	if got := groupState(t, b, "g"); len(got.Subscriptions) != 2 || !slices.Equal(memberIDs(got), []string{"c1", "c2"}) || got.Model != remoting.ModelClustering {
		t.Errorf("group %+v", got)
	}
	second.join("c2", "g", "orders")
	told(first, second)
	if got := groupState(t, b, "g"); len(got.Subscriptions) != 1 {
		t.Errorf("subscriptions %+v", got.Subscriptions)
	}
	second.call(remoting.RequestUnregisterClient, map[string]string{"clientID": "c2", "consumerGroup": "g"}, nil)
	told(first)
	second.quiet()
	second.join("c2", "g", "orders")
	told(first, second)
	first.close()
	told(second)

	// A client that comes back by another connection does not leave with the old one.
	third := dial(t, b)
	third.join("c2", "g", "orders")
	told(third)
	second.close()
	eventually(t, "the old connection has gone", func() bool { return len(b.Inspect().Connections) == 1 })
	third.quiet()
	if ids := third.call(remoting.RequestConsumerList, map[string]string{"consumerGroup": "g"}, nil); string(ids.Body) != `{"consumerIdList":["c2"]}` {
		t.Errorf("members %s", ids.Body)
	}
	third.close()
	eventually(t, "nobody is left", func() bool { return len(groupState(t, b, "g").Members) == 0 })
	if got := groupState(t, b, "g"); len(got.Subscriptions) != 0 || got.Model != "" {
		t.Errorf("left: %+v", got)
	}
}

// Who gets every message has nothing to share.
func TestBroadcastMembersAreNotTold(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.call(remoting.RequestHeartbeat, nil, beat(t, "c1", "g", remoting.ModelBroadcasting, "orders"))
	p.quiet()
}

func TestLocks(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "creates the topic")
	lock := func(client string, ids ...int) []int {
		t.Helper()
		request := remoting.LockRequest{Group: "g", ClientID: client}
		for _, id := range ids {
			request.Queues = append(request.Queues, remoting.MessageQueue{Topic: "orders", Broker: "devbroker", ID: id})
		}
		body, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		var result remoting.LockResult
		if err := remoting.DecodeBody(p.call(remoting.RequestLockQueues, nil, body).Body, &result); err != nil {
			t.Fatal(err)
		}
		got := []int{}
		for _, q := range result.Locked {
			got = append(got, q.ID)
		}
		return got
	}
	expect := func(got []int, want ...int) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("locked %v, want %v", got, want)
		}
	}
	expect(lock("c1", 0, 1, 99, -1), 0, 1) // there are four
	expect(lock("c2", 1, 2), 2)
	b.Advance(30 * time.Second)
	expect(lock("c1", 0), 0) // renewed
	b.Advance(30 * time.Second)
	expect(lock("c2", 0, 1), []int{}...)
	b.Advance(time.Millisecond)
	expect(lock("c2", 0, 1), 1) // that of queue 1 is over
	locks := groupState(t, b, "g").Locks
	want := []devbroker.LockState{
		{Topic: "orders", Queue: 0, ClientID: "c1", Until: start().Add(90 * time.Second)},
		{Topic: "orders", Queue: 1, ClientID: "c2", Until: start().Add(120*time.Second + time.Millisecond)},
	}
	if !slices.Equal(locks, want) {
		t.Errorf("locks %+v, want %+v", locks, want)
	}
	for _, client := range []string{"c2", "c1"} { // the first one has no lock of it
		p.call(remoting.RequestUnlockQueues, nil, fmt.Appendf(nil, `{"consumerGroup":"g","clientId":%q,"mqSet":[{"topic":"orders","queueId":0}]}`, client))
		if client == "c2" {
			expect(lock("c2", 0), []int{}...)
		}
	}
	expect(lock("c2", 0), 0)
}

// A heartbeat that would have the broker keep too much is refused as a whole.
func TestBoundsOfHeartbeats(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	many := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return strings.Join(all, ",")
	}
	long := strings.Repeat("x", 1025)
	for name, body := range map[string]string{
		"groups":        `{"clientID":"c","producerDataSet":[` + many(4097, `{"groupName":"p%d"}`) + `]}`,
		"both":          `{"clientID":"c","producerDataSet":[` + many(2049, `{"groupName":"p%d"}`) + `],"consumerDataSet":[` + many(2048, `{"groupName":"g%d"}`) + `]}`,
		"subscriptions": `{"clientID":"c","consumerDataSet":[{"groupName":"g","subscriptionDataSet":[` + many(1025, `{"topic":"t%d"}`) + `]}]}`,
		"client":        `{"clientID":"` + long + `","producerDataSet":[{"groupName":"p"}]}`,
		"producer":      `{"clientID":"c","producerDataSet":[{"groupName":"` + long + `"}]}`,
		"consumer":      `{"clientID":"c","consumerDataSet":[{"groupName":"` + long + `"}]}`,
		"model":         `{"clientID":"c","consumerDataSet":[{"groupName":"g","messageModel":"` + long + `"}]}`,
		"no client":     `{"producerDataSet":[{"groupName":"p"}]}`,
		"no JSON":       `{"clientID":"c"`,
		"other JSON":    `[1]`,
	} {
		p.refused(remoting.ResponseSystemError, remoting.RequestHeartbeat, nil, []byte(body))
		if s := b.Inspect(); len(s.Groups)+len(s.Producers) != 0 {
			t.Fatalf("%s: %d groups and %d producers are there", name, len(s.Groups), len(s.Producers))
		}
	}
	p.call(remoting.RequestHeartbeat, nil, []byte(`{"clientID":"c","producerDataSet":[`+many(4096, `{"groupName":"p%d"}`)+`]}`))
	p.call(remoting.RequestHeartbeat, nil, []byte(`{"clientID":"c","producerDataSet":[{"groupName":"p7"}]}`)) // nothing new
	p.refused(remoting.ResponseSystemError, remoting.RequestHeartbeat, nil, []byte(`{"clientID":"d","producerDataSet":[{"groupName":"p7"}]}`))
}

// An offset does not create its group, whoever else does.
func TestOffsetsThatAreRefused(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "m")
	ext := func(group, topic, queue string) map[string]string {
		return map[string]string{"consumerGroup": group, "topic": topic, "queueId": queue, "commitOffset": "1"}
	}
	p.refused(remoting.ResponseGroupNotExist, remoting.RequestUpdateOffset, ext("g", "none", "0"), nil)
	p.createGroup("g")
	p.refused(remoting.ResponseTopicNotExist, remoting.RequestUpdateOffset, ext("g", "none", "0"), nil)
	p.refused(remoting.ResponseTopicNotExist, remoting.RequestUpdateOffset, ext("g", "orders", "99"), nil)
	without := ext("g", "orders", "0")
	delete(without, "commitOffset")
	p.refused(remoting.ResponseInvalidParameter, remoting.RequestUpdateOffset, without, nil)
	p.call(remoting.RequestUpdateOffset, ext("g", "orders", "0"), nil)
	if offsets := groupState(t, b, "g").Offsets; len(offsets) != 1 || offsets[0].Offset != 1 {
		t.Errorf("offsets %+v", offsets)
	}
}
