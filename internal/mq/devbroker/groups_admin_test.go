package devbroker_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

func TestAGroupIsAsItWasCreated(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.call(remoting.RequestUpdateGroup, nil, []byte(
		`{"groupName":"readers","retryMaxTimes":3,"retryQueueNums":2,"groupRetryPolicy":{"type":"CUSTOMIZED"},"attributes":{}}`))
	want := remoting.NewGroupConfig("readers")
	want.RetryMaxTimes, want.RetryQueues = 3, 2
	var got remoting.GroupConfig
	if p.body(&got, remoting.RequestGetGroupConfig, ext("group", "readers")); got != want {
		t.Errorf("352: %+v, want %+v", got, want)
	}
	var table remoting.GroupTable
	p.body(&table, remoting.RequestGetAllGroups, nil)
	var kept map[string]any
	if err := json.Unmarshal(table.Groups["readers"], &kept); err != nil {
		t.Fatal(err)
	}
	if kept["retryMaxTimes"] != 3.0 || kept["groupRetryPolicy"].(map[string]any)["type"] != "CUSTOMIZED" {
		t.Errorf("201: %v", kept)
	}
	var config remoting.TopicConfig
	if p.body(&config, remoting.RequestGetTopicConfig, ext("topic", "%RETRY%readers")); config.ReadQueues != 2 {
		t.Errorf("the retry topic has %d queues", config.ReadQueues)
	}
	// A second request replaces the settings: what it does not mention is as usual.
	p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"readers","consumeEnable":false}`))
	got = remoting.GroupConfig{}
	if p.body(&got, remoting.RequestGetGroupConfig, ext("group", "readers")); got.RetryMaxTimes != 16 || got.ConsumeEnable {
		t.Errorf("after an update: %+v", got)
	}
	p.store("orders", "a")
	p.refused(remoting.ResponseNoPermission, remoting.RequestPullMessage, pulling("readers", "orders", 0, 0), nil)
}

func TestGroupsThatAreNotCreated(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithAutoCreateGroups(false))
	p := dial(t, b)
	for _, c := range []struct {
		body string
		code int
	}{
		{"", remoting.ResponseSystemError},
		{"{", remoting.ResponseSystemError},
		{"[]", remoting.ResponseSystemError},
		{"null", remoting.ResponseInvalidParameter},
		{"{}", remoting.ResponseInvalidParameter},
		{`{"groupName":"a b"}`, remoting.ResponseInvalidParameter},
		{`{"groupName":"` + strings.Repeat("x", 128) + `"}`, remoting.ResponseInvalidParameter},
		{`{"groupName":"g","retryQueueNums":-1}`, remoting.ResponseInvalidParameter},
		{`{"groupName":"g","retryQueueNums":4097}`, remoting.ResponseInvalidParameter},
		{`{"groupName":"g","retryMaxTimes":"x"}`, remoting.ResponseSystemError},
		{`{"groupName":"g","attributes":{"+a":"b"}}`, remoting.ResponseSystemError},
		{`{"groupName":"g","attributes":7}`, remoting.ResponseSystemError},
		{`{"groupName":"g","x":"` + strings.Repeat("x", 64<<10) + `"}`, remoting.ResponseInvalidParameter},
	} {
		if answer := p.try(remoting.RequestUpdateGroup, nil, []byte(c.body)); answer.Code != c.code {
			t.Errorf("%.60s: code %d (%s), want %d", c.body, answer.Code, answer.Remark, c.code)
		}
	}
	p.refused(remoting.ResponseGroupNotExist, remoting.RequestGetGroupConfig, ext("group", "g"), nil)
	p.call(remoting.RequestGetGroupConfig, ext("group", "TOOLS_CONSUMER"), nil) // mqadmin's own
	var table remoting.GroupTable
	if p.body(&table, remoting.RequestGetAllGroups, nil); len(table.Groups) != 1 {
		t.Errorf("groups: %v", slices.Sorted(maps.Keys(table.Groups)))
	}
	creating, _ := startManual(t)
	dial(t, creating).call(remoting.RequestGetGroupConfig, ext("group", "g"), nil)
}

func TestAGroupIsDeleted(t *testing.T) {
	t.Parallel()
	for _, creates := range []bool{false, true} {
		b, _ := startManual(t, devbroker.WithAutoCreateGroups(creates))
		p := dial(t, b)
		p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"readers","retryMaxTimes":3}`))
		p.store("orders", "a")
		p.commits("readers", "orders", 0, 1)
		p.joins("c1", "readers", "orders")
		p.call(remoting.RequestDeleteGroup, ext("groupName", "readers", "cleanOffset", "true"), nil)
		p.call(remoting.RequestDeleteGroup, ext("groupName", "nobody"), nil)
		members := p.try(remoting.RequestConsumerConnections, ext("consumerGroup", "readers"), nil)
		if !creates {
			answersWith(t, "members", members, remoting.ResponseConsumerNotOnline, "readers")
			p.refused(remoting.ResponseGroupNotExist, remoting.RequestGetGroupConfig, ext("group", "readers"), nil)
			continue
		}
		answersWith(t, "members", members, remoting.ResponseSuccess, "")
		var config remoting.GroupConfig
		if p.body(&config, remoting.RequestGetGroupConfig, ext("group", "readers")); config.RetryMaxTimes != 16 {
			t.Errorf("the group that comes back has %d retries", config.RetryMaxTimes)
		}
		asked := ext("consumerGroup", "readers", "topic", "orders", "queueId", 0, "setZeroIfNotFound", "false")
		p.refused(remoting.ResponseQueryNotFound, remoting.RequestQueryConsumerOffset, asked, nil)
	}
}

func TestWhoIsThere(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p, other := dial(t, b), dial(t, b)
	consumers := func() (c remoting.ConsumerConnections) {
		p.body(&c, remoting.RequestConsumerConnections, ext("consumerGroup", "readers"))
		return c
	}
	answersWith(t, "nobody", p.try(remoting.RequestConsumerConnections, ext("consumerGroup", "readers"), nil),
		remoting.ResponseConsumerNotOnline, "the consumer group[readers] not online")
	p.joins("c2", "readers", "orders")
	other.joins("c1", "readers", "orders")
	c := consumers()
	if len(c.Set) != 2 || c.Set[0].ClientID != "c1" || c.Set[0].Addr != other.nc.LocalAddr().String() ||
		c.Set[0].Language != "GO" || c.Set[0].Version != remoting.Version || c.Set[1].ClientID != "c2" {
		t.Errorf("connections %+v", c.Set)
	}
	if c.ConsumeType != remoting.ConsumePassively || c.MessageModel != remoting.ModelClustering ||
		c.ConsumeFrom != remoting.ConsumeFromFirst || c.Subscriptions["orders"].Expression != "*" {
		t.Errorf("%+v", c)
	}
	other.close()
	eventually(t, "one to be gone", func() bool { return len(consumers().Set) == 1 })

	producers := ext("producerGroup", "writers", "topic", "orders")
	answersWith(t, "no producer", p.try(remoting.RequestProducerConnections, producers, nil),
		remoting.ResponseSystemError, "the producer group[writers] not exist")
	p.call(remoting.RequestHeartbeat, nil, []byte(`{"clientID":"w","producerDataSet":[{"groupName":"writers"}]}`))
	var w remoting.Connections
	p.body(&w, remoting.RequestProducerConnections, producers)
	if want := (remoting.Connection{ClientID: "w", Addr: p.nc.LocalAddr().String(), Language: "GO", Version: remoting.Version}); !slices.Equal(w.Set, []remoting.Connection{want}) {
		t.Errorf("producers %+v, want %+v", w.Set, want)
	}
}

func TestHowFarAGroupIs(t *testing.T) {
	t.Parallel()
	b, manual := startManual(t)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, topicFields("orders", 2), nil)
	for range 3 {
		p.store("orders", "x")
		manual.Advance(time.Second)
	}
	p.store("other", "y")
	p.commits("readers", "orders", 0, 2)
	p.commits("readers", "other", 0, 1)
	queue := func(topic string, id int) remoting.MessageQueue {
		return remoting.MessageQueue{Topic: topic, Broker: "devbroker", ID: id}
	}
	second := start().Add(time.Second).UnixMilli()
	orders := remoting.OffsetTable[remoting.ConsumeOffsets]{
		queue("orders", 0): {Broker: 3, Consumer: 2, Pull: 2, LastTime: second}, queue("orders", 1): {},
	}
	stats := func(pairs ...any) remoting.OffsetTable[remoting.ConsumeOffsets] {
		var s remoting.ConsumeStats
		p.body(&s, remoting.RequestGetConsumeStats, but(ext("consumerGroup", "readers"), pairs...))
		return s.Queues
	}
	if all := stats(); len(all) != 6 || all[queue("orders", 0)] != orders[queue("orders", 0)] || all[queue("other", 0)].Consumer != 1 {
		t.Errorf("all topics: %+v", all)
	}
	for _, pairs := range [][]any{{"topic", "orders"}, {"topicList", "orders;nothing;"}} {
		if got := stats(pairs...); !maps.Equal(got, orders) {
			t.Errorf("%v: %+v, want %+v", pairs, got, orders)
		}
	}
	if got := stats("consumerGroup", "nobody"); len(got) != 0 {
		t.Errorf("of a group that there is not: %+v", got)
	}
	p.joins("c", "readers", "orders") // the others do not count any more
	if got := stats(); !maps.Equal(got, orders) {
		t.Errorf("with a member: %+v, want %+v", got, orders)
	}
	if got := stats("topicList", "other"); len(got) != 4 {
		t.Errorf("a list: %+v", got)
	}

	var spans struct {
		Spans []struct {
			Queue    remoting.MessageQueue `json:"messageQueue"`
			First    int64                 `json:"minTimeStamp"`
			Last     int64                 `json:"maxTimeStamp"`
			Consumed int64                 `json:"consumeTimeStamp"`
			Behind   int64                 `json:"delayTime"`
		} `json:"consumeTimeSpanSet"`
	}
	p.body(&spans, remoting.RequestGetConsumeTimeSpan, ext("topic", "orders", "group", "readers"))
	if len(spans.Spans) != 2 {
		t.Fatalf("time spans %+v", spans)
	}
	s, none := spans.Spans[0], spans.Spans[1]
	if s.First != second-1000 || s.Last != second+1000 || s.Consumed != second || s.Behind != 1000 {
		t.Errorf("time span %+v", s)
	}
	if none.First != -1 || none.Last != -1 || none.Consumed != -1 || none.Behind != 0 {
		t.Errorf("time span of an empty queue %+v", none)
	}
	p.refused(remoting.ResponseTopicNotExist, remoting.RequestGetConsumeTimeSpan, ext("topic", "nothing", "group", "readers"), nil)
}

func TestGroupsAndTheirTopics(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "a")
	p.commits("past", "orders", 0, 1)
	p.joins("c", "present", "orders")
	groups := func(topic string) []string {
		var list remoting.GroupList
		p.body(&list, remoting.RequestGetGroupsOfTopic, ext("topic", topic))
		return list.Groups
	}
	if got := groups("orders"); !slices.Equal(got, []string{"past", "present"}) {
		t.Errorf("groups of the topic: %q", got)
	}
	if got := groups("nothing"); got == nil || len(got) != 0 {
		t.Errorf("groups of no topic: %#v", got)
	}
	var list remoting.TopicList
	p.body(&list, remoting.RequestGetTopicsOfGroup, ext("group", "nobody"))
	if list.Topics == nil || len(list.Topics) != 0 || list.BrokerAddr != b.Addr() {
		t.Errorf("topics of no group: %+v", list)
	}
	var info remoting.SubscriptionInfo
	p.body(&info, remoting.RequestGetSubscription, ext("group", "present", "topic", "orders"))
	if info.Subscription == nil || info.Subscription.Expression != "*" || info.Group != "present" || info.Topic != "orders" {
		t.Errorf("subscription %+v", info)
	}
	for _, group := range []string{"past", "nobody"} {
		info = remoting.SubscriptionInfo{}
		if p.body(&info, remoting.RequestGetSubscription, ext("group", group, "topic", "orders")); info.Subscription != nil {
			t.Errorf("subscription of %s: %+v", group, info)
		}
	}
}

func TestOffsetsAreCloned(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "a")
	p.store("other", "a")
	p.commits("from", "orders", 0, 1)
	p.commits("from", "other", 0, 1)
	topics := func(group string) []string {
		var list remoting.TopicList
		p.body(&list, remoting.RequestGetTopicsOfGroup, ext("group", group))
		return list.Topics
	}
	clone := func(to string, pairs ...any) []string {
		p.call(remoting.RequestCloneOffsets, but(ext("srcGroup", "from", "destGroup", to, "offline", "false"), pairs...), nil)
		return topics(to)
	}
	if got := clone("one", "topic", "orders"); !slices.Equal(got, []string{"orders"}) {
		t.Errorf("one topic: %q", got)
	}
	if got := clone("all"); !slices.Equal(got, []string{"orders", "other"}) {
		t.Errorf("all topics: %q", got)
	}
	p.joins("c", "from", "other")
	if got := clone("online"); !slices.Equal(got, []string{"other"}) {
		t.Errorf("what an online group subscribes to: %q", got)
	}
	if got := clone("offline", "offline", "true"); !slices.Equal(got, []string{"orders", "other"}) {
		t.Errorf("all the same: %q", got)
	}
	if got := clone("nothing", "srcGroup", "nobody"); len(got) != 0 {
		t.Errorf("of nobody: %q", got)
	}
	strict, _ := startManual(t, devbroker.WithAutoCreateGroups(false))
	dial(t, strict).refused(remoting.ResponseGroupNotExist, remoting.RequestCloneOffsets, ext("srcGroup", "a", "destGroup", "b"), nil)
}

func TestWhatIsSetSurvivesARestart(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithDataDir(t.TempDir()))
	if err := b.CreateTopic("orders", 2, "FIFO"); err != nil {
		t.Fatal(err)
	}
	p := dial(t, b)
	p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"readers","retryMaxTimes":3,"x":"y"}`))
	p.call(remoting.RequestUpdateTopic, topicFields("gone", 1), nil)
	p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"past"}`))
	p.commits("readers", "gone", 0, 1)
	p.commits("readers", "orders", 1, 7)
	p.call(remoting.RequestDeleteTopic, ext("topic", "gone"), nil)
	p.call(remoting.RequestDeleteGroup, ext("groupName", "past"), nil)
	state := func() [3]any {
		p := dial(t, b)
		var table remoting.GroupTable
		p.body(&table, remoting.RequestGetAllGroups, nil)
		var topics struct {
			Configs map[string]remoting.TopicConfig `json:"topicConfigTable"`
		}
		p.body(&topics, remoting.RequestGetAllTopicConfig, nil)
		var list remoting.TopicList
		p.body(&list, remoting.RequestGetTopicsOfGroup, ext("group", "readers"))
		return [3]any{table.Groups, topics.Configs, list.Topics}
	}
	before := state()
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	if after := state(); !reflect.DeepEqual(before, after) {
		t.Errorf("before %s\nafter %s", before, after)
	}
	if topics := before[2]; !reflect.DeepEqual(topics, []string{"orders"}) {
		t.Errorf("offsets in %v", topics)
	}
}
