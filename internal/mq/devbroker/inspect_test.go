package devbroker_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	addr := p.nc.LocalAddr().String()
	fields := settingTopic("orders", 2)
	fields["attributes"] = "+message.type=TRANSACTION"
	p.call(remoting.RequestUpdateTopic, fields, nil)
	p.store("orders", "first", "KEYS", "k", "TAGS", "t", "UNIQ_KEY", "u")
	p.store("orders", "second")
	p.beProducer("c0")
	p.call(remoting.RequestHeartbeat, nil, []byte(`{"clientID":"c1","consumerDataSet":[{"groupName":"g","messageModel":"CLUSTERING",`+
		`"subscriptionDataSet":[{"topic":"orders","subString":"a > ","expressionType":"SQL92","subVersion":1},{"topic":"%RETRY%g","subString":"*","subVersion":1}]}]}`))
	p.call(remoting.RequestUpdateOffset, map[string]string{"consumerGroup": "g", "topic": "orders", "queueId": "0", "commitOffset": "1"}, nil)
	p.call(remoting.RequestSendBack, sendBack("g", newest(t, b, "orders"), -1, 16), nil)
	p.holdPull(b, pulling("g", "orders", 1, 0))

	s := b.Inspect()
	if s.Addr != b.Addr() || !s.Now.Equal(start()) || s.DeadLetters["g"] != 1 || s.Discarded != 0 {
		t.Errorf("snapshot %+v", s)
	}
	frames := 0
	for _, m := range messages(t, p.call(remoting.RequestPullMessage, pulling("g", "orders", 0, 0), nil)) {
		frames += remoting.MessageSize(m)
	}
	orders := devbroker.TopicState{Name: "orders", Type: "TRANSACTION", Perm: 6, Queues: []devbroker.QueueState{
		{ID: 0, Min: 0, Max: 2, Count: 2, Bytes: int64(frames)}, {ID: 1, Held: 1},
	}}
	if i := slices.IndexFunc(s.Topics, func(t devbroker.TopicState) bool { return t.Name == "orders" }); !reflect.DeepEqual(s.Topics[i], orders) {
		t.Errorf("topic %+v, want %+v", s.Topics[i], orders)
	}
	member := devbroker.MemberState{ClientID: "c1", Addr: addr, Language: "GO", Version: remoting.Version}
	g := groupState(t, b, "g")
	if g.Model != "CLUSTERING" || !slices.Equal(g.Members, []devbroker.MemberState{member}) || len(g.Subscriptions) != 2 ||
		!slices.Equal(g.Offsets, []devbroker.OffsetState{
			{Topic: "%RETRY%g", Queue: 0, Offset: -1}, {Topic: "orders", Queue: 0, Offset: 1, Lag: 1}, {Topic: "orders", Queue: 1, Offset: -1},
		}) {
		t.Errorf("group %+v", g)
	}
	if all, bad := g.Subscriptions[0], g.Subscriptions[1]; all != (devbroker.SubscriptionState{Topic: "%RETRY%g", Kind: "TAG", Expression: "*"}) ||
		bad.Topic != "orders" || bad.Kind != "SQL92" || bad.Expression != "a > " || bad.Error == "" {
		t.Errorf("subscriptions %+v", g.Subscriptions)
	}
	if want := []devbroker.ConnectionState{{Addr: addr, Clients: []string{"c0", "c1"}}}; !reflect.DeepEqual(s.Connections, want) {
		t.Errorf("connections %+v, want %+v", s.Connections, want)
	}
	if len(s.Producers) != 1 || s.Producers[0].Group != "producers" || s.Producers[0].Clients[0].ClientID != "c0" {
		t.Errorf("producers %+v", s.Producers)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again devbroker.Snapshot
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	again.Now = s.Now // its location has another name
	if !reflect.DeepEqual(again, s) {
		t.Errorf("as JSON: %s", text)
	}
}

func TestMessagesAndLag(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for n, body := range []string{"a", "b", "c", "d"} {
		ext := sending("orders", "KEYS", "k1 k2", "TAGS", "t", "UNIQ_KEY", body, "own", "x")
		ext["queueId"] = []string{"1", "0"}[n%2]
		p.call(remoting.RequestSendMessage, ext, []byte(body))
		b.Advance(time.Second)
	}
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("got %q", got)
	}
	for limit, want := range []int{4, 1, 2, 3, 4, 4} {
		if got := b.Messages("orders", limit); len(got) != want || string(got[0].Body) != "a" {
			t.Errorf("limit %d: %d messages", limit, len(got))
		}
	}
	m := b.Messages("orders", 3)[2]
	if m.Topic != "orders" || m.Queue != 1 || m.Offset != 1 || m.UniqueKey != "c" || m.Tag != "t" || m.Keys != "k1 k2" || m.Properties["own"] != "x" ||
		m.Attempts != 0 || !m.StoredAt.Equal(start().Add(2*time.Second)) || !m.BornAt.Equal(start()) {
		t.Errorf("message %+v", m)
	}
	m.Body[0] = '!' // it is a copy
	if got := bodies(b, "orders"); got[2] != "c" || b.Messages("none", 0) != nil {
		t.Errorf("got %q", got)
	}
	if lag := b.Lag("nobody", "orders"); lag != 4 {
		t.Errorf("a group that there is not lags by %d", lag)
	}
	p.createGroup("g")
	p.call(remoting.RequestUpdateOffset, map[string]string{"consumerGroup": "g", "topic": "orders", "queueId": "1", "commitOffset": "1"}, nil)
	if lag, none := b.Lag("g", "orders"), b.Lag("g", "none"); lag != 3 || none != 0 {
		t.Errorf("lag %d, and %d of a topic that there is not", lag, none)
	}
}
