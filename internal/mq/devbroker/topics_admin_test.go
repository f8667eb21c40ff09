package devbroker_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/remoting"
)

func TestATopicIsAsItWasCreated(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, but(topicFields("orders", 3), "writeQueueNums", 2, "perm", 4, "order", "true",
		"topicFilterType", "MULTI_TAG", "topicSysFlag", 1, "attributes", "+message.type=FIFO,+cleanup.policy=DELETE"), nil)
	want := remoting.TopicConfig{
		Name: "orders", ReadQueues: 3, WriteQueues: 2, Perm: 4, FilterType: "MULTI_TAG", SysFlag: 1, Order: true,
		Attributes: map[string]string{"message.type": "FIFO", "cleanup.policy": "DELETE"},
	}
	var got remoting.TopicConfig
	if p.body(&got, remoting.RequestGetTopicConfig, ext("topic", "orders")); !reflect.DeepEqual(got, want) {
		t.Errorf("351: %+v, want %+v", got, want)
	}
	var all struct {
		Configs map[string]remoting.TopicConfig `json:"topicConfigTable"`
	}
	if p.body(&all, remoting.RequestGetAllTopicConfig, nil); !reflect.DeepEqual(all.Configs["orders"], want) {
		t.Errorf("21: %+v, want %+v", all.Configs["orders"], want)
	}
	var route remoting.Route
	p.body(&route, remoting.RequestGetRoute, ext("topic", "orders"))
	if q := route.Queues[0]; q.ReadQueues != 3 || q.WriteQueues != 2 || q.Perm != 4 || q.SysFlag != 1 {
		t.Errorf("105: %+v", q)
	}
	// Another request changes what it names, and keeps the attributes.
	p.call(remoting.RequestUpdateTopic, but(topicFields("orders", 5), "attributes", "-cleanup.policy"), nil)
	got = remoting.TopicConfig{}
	p.body(&got, remoting.RequestGetTopicConfig, ext("topic", "orders"))
	if got.ReadQueues != 5 || got.Perm != 6 || got.Order || !maps.Equal(got.Attributes, map[string]string{"message.type": "FIFO"}) {
		t.Errorf("after an update: %+v", got)
	}
}

func TestTopicsThatAreNotCreated(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for _, c := range []struct {
		what   string
		change []any
		code   int
		remark string
	}{
		{"no name", []any{"topic", ""}, remoting.ResponseInvalidParameter, "blank"},
		{"name of spaces", []any{"topic", "a b"}, remoting.ResponseInvalidParameter, "illegal"},
		{"name too long", []any{"topic", strings.Repeat("x", 128)}, remoting.ResponseInvalidParameter, "longer"},
		{"own topic", []any{"topic", "SCHEDULE_TOPIC_XXXX"}, remoting.ResponseInvalidParameter, "conflict"},
		{"own prefix", []any{"topic", "rmq_sys_x"}, remoting.ResponseInvalidParameter, "conflict"},
		{"filter type", []any{"topicFilterType", "X"}, remoting.ResponseSystemError, "topicFilterType"},
		{"negative queues", []any{"readQueueNums", -1}, remoting.ResponseInvalidParameter, "-1"},
		{"too many queues", []any{"writeQueueNums", 4097}, remoting.ResponseInvalidParameter, "4097"},
		{"attribute", []any{"attributes", "+x=y"}, remoting.ResponseSystemError, "unsupported key: x"},
		{"value", []any{"attributes", "+message.type=WRONG"}, remoting.ResponseSystemError, "message.type"},
		{"mixed", []any{"attributes", "+message.type=MIXED"}, remoting.ResponseInvalidParameter, "MIXED"},
		{"no sign", []any{"attributes", "message.type=FIFO"}, remoting.ResponseSystemError, "neither"},
		{"two signs", []any{"attributes", "++message.type=FIFO"}, remoting.ResponseSystemError, "neither"},
		{"deletes nothing", []any{"attributes", "-message.type"}, remoting.ResponseSystemError, "nonexistent"},
		{"twice", []any{"attributes", "+message.type=FIFO,+message.type=DELAY"}, remoting.ResponseSystemError, "duplication"},
		{"empty change", []any{"attributes", "+message.type=FIFO,"}, remoting.ResponseSystemError, "neither"},
	} {
		answer := p.try(remoting.RequestUpdateTopic, but(topicFields("orders", 1), c.change...), nil)
		answersWith(t, c.what, answer, c.code, c.remark)
	}
	p.refused(remoting.ResponseTopicNotExist, remoting.RequestGetTopicConfig, ext("topic", "orders"), nil)
	p.refused(remoting.ResponseTopicNotExist, remoting.RequestGetTopicStats, ext("topic", "orders"), nil)
}

func TestATopicIsDeletedWithAllThatIsAboutIt(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("gone", "a", "KEYS", "k")
	p.store("stays", "b")
	p.commits("readers", "gone", 0, 1)
	p.commits("readers", "stays", 0, 1)
	held := p.ask(remoting.RequestPullMessage, waiting(pulling("readers", "gone", 0, 1), time.Hour), nil)
	deleter := dial(t, b)
	eventually(t, "the pull to be held", func() bool { return heldPulls(b.Inspect(), "gone") == 1 })
	deleter.call(remoting.RequestDeleteTopic, ext("topic", "gone"), nil)
	if answer := p.await(held); answer.Code != remoting.ResponsePullNotFound {
		t.Errorf("the pull that was held: code %d (%s), want %d", answer.Code, answer.Remark, remoting.ResponsePullNotFound)
	}
	deleter.call(remoting.RequestDeleteTopicRoute, ext("topic", "gone"), nil)
	deleter.call(remoting.RequestDeleteTopic, ext("topic", "gone"), nil) // what is not there
	deleter.refused(remoting.ResponseTopicNotExist, remoting.RequestGetRoute, ext("topic", "gone"), nil)
	deleter.refused(remoting.ResponseTopicNotExist, remoting.RequestPullMessage, pulling("readers", "gone", 0, 0), nil)
	var list remoting.TopicList
	if deleter.body(&list, remoting.RequestGetTopicsOfGroup, ext("group", "readers")); !slices.Equal(list.Topics, []string{"stays"}) {
		t.Errorf("the group has offsets in %q", list.Topics)
	}
	deleter.call(remoting.RequestUpdateTopic, topicFields("gone", 1), nil)
	if got := bodies(b, "gone"); len(got) != 0 {
		t.Errorf("a new topic of the name has %q", got)
	}
	none := ext("topic", "gone", "key", "k", "maxNum", 1, "beginTimestamp", 0, "endTimestamp", 1<<62)
	deleter.refused(remoting.ResponseQueryNotFound, remoting.RequestQueryMessage, none, nil)
	for _, name := range []string{"", " ", "TBW102", "RMQ_SYS_TRANS_HALF_TOPIC"} {
		deleter.refused(remoting.ResponseInvalidParameter, remoting.RequestDeleteTopic, map[string]string{"topic": name}, nil)
	}
}

func TestListsOfTopics(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, topicFields("orders", 1), nil)
	p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"readers"}`))
	for _, c := range []struct {
		code    int
		fields  map[string]string
		with    []string
		without []string
	}{
		{remoting.RequestGetAllTopics, nil, []string{"orders", "%RETRY%readers", "SCHEDULE_TOPIC_XXXX"}, nil},
		{remoting.RequestGetTopicsOfCluster, ext("cluster", "DefaultCluster"), []string{"orders"}, nil},
		{remoting.RequestGetTopicsOfCluster, ext("cluster", "other"), nil, []string{"orders", "SCHEDULE_TOPIC_XXXX"}},
		{remoting.RequestGetSystemTopics, nil, []string{"DefaultCluster"}, []string{"orders"}},
		{remoting.RequestGetBrokerSystemTopics, nil, []string{"SCHEDULE_TOPIC_XXXX", "rmq_sys_wheel_timer"}, []string{"orders", "%RETRY%readers"}},
	} {
		var list remoting.TopicList
		p.body(&list, c.code, c.fields)
		if list.Topics == nil || !slices.IsSorted(list.Topics) {
			t.Errorf("%d: %q", c.code, list.Topics)
		}
		for _, name := range c.with {
			if !slices.Contains(list.Topics, name) {
				t.Errorf("%d %v: no %s in %q", c.code, c.fields, name, list.Topics)
			}
		}
		for _, name := range c.without {
			if slices.Contains(list.Topics, name) {
				t.Errorf("%d %v: %s in %q", c.code, c.fields, name, list.Topics)
			}
		}
	}
	var list remoting.TopicList
	if p.body(&list, remoting.RequestGetSystemTopics, nil); list.BrokerAddr != b.Addr() {
		t.Errorf("the address to ask is %q", list.BrokerAddr)
	}
}

func TestTheEndsOfATopicsQueues(t *testing.T) {
	t.Parallel()
	b, manual := startManual(t)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, but(topicFields("orders", 2), "writeQueueNums", 3), nil)
	p.store("orders", "a")
	manual.Advance(time.Second)
	p.store("orders", "b")
	var stats remoting.TopicStats
	p.body(&stats, remoting.RequestGetTopicStats, ext("topic", "orders"))
	queue := func(id int) remoting.MessageQueue {
		return remoting.MessageQueue{Topic: "orders", Broker: "devbroker", ID: id}
	}
	want := remoting.OffsetTable[remoting.TopicOffsets]{
		queue(0): {Max: 2, LastTime: start().Add(time.Second).UnixMilli()}, queue(1): {}, queue(2): {},
	}
	if !maps.Equal(stats.Queues, want) {
		t.Errorf("%+v, want %+v", stats.Queues, want)
	}
	// As the Java client reads it: an object as the key, which is no JSON.
	if text := p.call(remoting.RequestGetTopicStats, ext("topic", "orders"), nil).Body; json.Valid(text) {
		t.Errorf("%s", text)
	}
}

func TestTheBroker(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	var info remoting.ClusterInfo
	dial(t, b).body(&info, remoting.RequestClusterInfo, nil)
	set := info.Brokers["devbroker"]
	if set.Addrs[remoting.MasterID] != b.Addr() || set.Cluster != "DefaultCluster" ||
		!slices.Equal(info.Clusters["DefaultCluster"], []string{"devbroker"}) || len(info.Brokers) != 1 {
		t.Errorf("%+v", info)
	}
}
