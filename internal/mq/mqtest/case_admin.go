package mqtest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/remoting"
)

func adminSettings(s *scene) {
	for name, want := range map[string]string{
		"brokerName": s.name, "maxMessageSize": "4194304", "transactionTimeOut": "1000", "transactionCheckInterval": "1000",
	} {
		equal(s, name, s.config[name], want)
	}
	levels, err := s.admin.DelayLevels(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	table, err := remoting.ParseDelayLevels(s.config["messageDelayLevel"])
	if err != nil || !slices.Equal(levels.Durations(), table) {
		s.Errorf("delay levels %v, want %v, %v", levels.Durations(), table, err)
	}
}

func adminCluster(s *scene) {
	var info remoting.ClusterInfo
	s.decode(s.succeed("cluster", s.names().call(remoting.RequestClusterInfo, nil, nil)), &info)
	b := info.Brokers[s.name]
	if b.Name != s.name || b.Addrs[remoting.MasterID] != s.broker || !slices.Contains(info.Clusters[b.Cluster], s.name) {
		s.Errorf("the cluster is %+v", info)
	}
	equal(s, "cluster name", b.Cluster, s.config["brokerClusterName"])
	// What mqadmin clusterList shows of a broker.
	var table remoting.Table
	s.decode(s.succeed("runtime", s.line().call(remoting.RequestGetBrokerRuntime, nil, nil)), &table)
	for _, name := range []string{"brokerVersionDesc", "putTps", "getTransferredTps", "sendThreadPoolQueueSize", "pullThreadPoolQueueSize"} {
		if table.Values[name] == "" {
			s.Errorf("the runtime table has no %s", name)
		}
	}
}

func (s *scene) connections(code int, more ...any) remoting.Command {
	s.Helper()
	return s.line().call(code, ext(more...), nil)
}

func adminConnections(s *scene) {
	topic, group, producers := s.topic(1), s.group(), s.fresh("producers")
	nobody := s.connections(remoting.RequestConsumerConnections, "consumerGroup", group)
	s.refuse("no consumer", nobody, remoting.ResponseConsumerNotOnline)
	// There is no code of its own for producers.
	nobody = s.connections(remoting.RequestProducerConnections, "producerGroup", producers, "topic", topic)
	s.refuse("no producer", nobody, remoting.ResponseSystemError)
	if !strings.Contains(nobody.Remark, "not exist") {
		s.Errorf("of a group without producers the broker says %q", nobody.Remark)
	}
	m := s.member()
	s.succeed("heartbeat", m.beat([]string{producers}, consuming(group, subscribe(topic, "a", "b"))))
	var consumers remoting.ConsumerConnections
	s.decode(s.succeed("consumers", s.connections(remoting.RequestConsumerConnections, "consumerGroup", group)), &consumers)
	addr := m.nc.LocalAddr().String()
	want := []remoting.Connection{{ClientID: m.id, Addr: addr, Language: "GO", Version: remoting.Version}}
	if !slices.Equal(consumers.Set, want) || consumers.ConsumeType != remoting.ConsumePassively ||
		consumers.MessageModel != remoting.ModelClustering || consumers.ConsumeFrom != remoting.ConsumeFromFirst {
		s.Errorf("consumers %+v, want %+v", consumers, want)
	}
	equal(s, "subscription", consumers.Subscriptions[topic].Expression, "a || b")
	// The group's own topic of redeliveries is subscribed to by the client itself.
	var online remoting.Connections
	s.decode(s.succeed("producers", s.connections(remoting.RequestProducerConnections, "producerGroup", producers)), &online)
	if !slices.Equal(online.Set, want) {
		s.Errorf("producers %+v, want %+v", online.Set, want)
	}
	if ok, err := s.admin.ConsumerOnline(s.ctx, group, m.id); !ok || err != nil {
		s.Errorf("ConsumerOnline = %v, %v", ok, err)
	}
	if ok, err := s.admin.ProducerOnline(s.ctx, producers, topic, m.id); !ok || err != nil {
		s.Errorf("ProducerOnline = %v, %v", ok, err)
	}
	m.close()
	s.until("both offline", func() bool {
		consumer, err := s.admin.ConsumerOnline(s.ctx, group, m.id)
		producer, err2 := s.admin.ProducerOnline(s.ctx, producers, topic, m.id)
		return !consumer && !producer && err == nil && err2 == nil
	})
}

// A group has one table of subscriptions, that of the last heartbeat: what other
// members said before is gone (T67).
func adminContradiction(s *scene) {
	topic, other, group := s.topic(1), s.topic(1), s.group()
	check := func(topic string, tags ...string) error {
		return s.admin.CheckSubscription(s.ctx, mq.Subscription{Group: group, Topic: topic, Tags: tags})
	}
	equal(s, "the check of a group without members", check(topic), error(nil))
	first, second := s.member(), s.member()
	s.succeed("first", first.beat(nil, consuming(group, subscribe(topic, "b", "a"))))
	equal(s, "the check of the same tags", check(topic, "a", "b"), error(nil))
	var conflict *mq.SubscriptionConflictError
	for _, err := range []error{check(topic), check(topic, "a"), check(other, "a", "b")} {
		if !errors.As(err, &conflict) || len(conflict.Who) != 1 || conflict.Who[0] != first.id {
			s.Errorf("err = %v, want a conflict with %s", err, first.id)
		}
	}
	s.succeed("second", second.beat(nil, consuming(group, subscribe(other))))
	equal(s, "the check of what the second said", check(other), error(nil))
	if err := check(topic, "a", "b"); !errors.As(err, &conflict) || len(conflict.Who) != 2 {
		s.Errorf("err = %v, want a conflict with both", err)
	}
}

// What mqadmin topicStatus shows.
func adminTopicStats(s *scene) {
	topic := s.topic(2)
	s.sendAll(topic, 1, "a", "b")
	var stats remoting.TopicStats
	s.decode(s.succeed("stats", s.line().call(remoting.RequestGetTopicStats, ext("topic", topic), nil)), &stats)
	equal(s, "queues", len(stats.Queues), 2)
	got := stats.Queues[remoting.MessageQueue{Broker: s.name, Topic: topic, ID: 1}]
	equal(s, "ends", got, remoting.TopicOffsets{Min: 0, Max: 2, LastTime: s.queue(topic, 1)[1].StoredAt})
	equal(s, "ends of an empty queue", stats.Queues[remoting.MessageQueue{Broker: s.name, Topic: topic}], remoting.TopicOffsets{})
}

// What mqadmin consumerProgress shows.
func adminProgress(s *scene) {
	topic, group := s.topic(2), s.group()
	s.sendAll(topic, 1, "a", "b", "c")
	s.succeed("offset", s.commit(group, topic, 1, 2))
	ask := func(more ...any) (stats remoting.ConsumeStats) {
		s.decode(s.succeed("progress", s.line().call(remoting.RequestGetConsumeStats, ext(more...), nil)), &stats)
		return stats
	}
	stats := ask("consumerGroup", group, "topic", topic)
	equal(s, "queues", len(stats.Queues), 2)
	got := stats.Queues[remoting.MessageQueue{Broker: s.name, Topic: topic, ID: 1}]
	equal(s, "end", got.Broker, 3)
	equal(s, "offset", got.Consumer, 2)
	equal(s, "time of the last acknowledged", got.LastTime, s.queue(topic, 1)[1].StoredAt)
	got = stats.Queues[remoting.MessageQueue{Broker: s.name, Topic: topic}]
	equal(s, "end of an empty queue", got.Broker, 0)
	equal(s, "offset in an empty queue", got.Consumer, 0)
	// Without a topic: all that the group consumes.
	if _, ok := ask("consumerGroup", group).Queues[remoting.MessageQueue{Broker: s.name, Topic: topic, ID: 1}]; !ok {
		s.Error("without a topic the queue is missing")
	}
	equal(s, "queues of an unknown group", len(ask("consumerGroup", s.fresh("unknown")).Queues), 0)
	if lag, err := s.admin.Lag(s.ctx, group, topic); err != nil || lag != 1 {
		s.Errorf("Lag = %d, %v, want 1", lag, err)
	}
}

func adminWhoConsumes(s *scene) {
	topic, group := s.topic(1), s.group()
	m := s.member()
	m.consume(group, subscribe(topic, "a"))
	s.succeed("offset", s.commit(group, topic, 0, 0)) // without one the group may not count
	var groups remoting.GroupList
	s.decode(s.succeed("groups", s.line().call(remoting.RequestGetGroupsOfTopic, ext("topic", topic), nil)), &groups)
	if !slices.Contains(groups.Groups, group) {
		s.Errorf("groups of the topic %q", groups.Groups)
	}
	var topics remoting.TopicList
	s.decode(s.succeed("topics", s.line().call(remoting.RequestGetTopicsOfGroup, ext("group", group), nil)), &topics)
	if !slices.Contains(topics.Topics, topic) {
		s.Errorf("topics of the group %q", topics.Topics)
	}
	var info remoting.SubscriptionInfo
	s.decode(s.succeed("subscription", s.line().call(remoting.RequestGetSubscription, ext("group", group, "topic", topic), nil)), &info)
	if info.Group != group || info.Topic != topic || info.Subscription == nil || info.Subscription.Expression != "a" {
		s.Errorf("subscription %+v", info)
	}
}

// reset asks for a new place of a group.
func (s *scene) reset(group, topic string, more ...any) remoting.Command {
	s.Helper()
	f := ext("topic", topic, "group", group, "timestamp", 0, "isForce", true)
	for name, value := range ext(more...) {
		f[name] = value
	}
	return s.line().call(remoting.RequestInvokeResetOffset, f, nil)
}

// A reset takes place at the broker: the group's next pull of the queue is sent to
// the new offset, once, and until then its commits count for nothing
// (useServerSideResetOffset, which is on in 5.3.3; before, clients were told by
// RequestResetOffset).
func resetByTime(s *scene) {
	topic, group := s.topic(2), s.group()
	s.sendAll(topic, 1, "a")
	s.until("a later millisecond", func() bool { return time.Now().UnixMilli() > s.queue(topic, 1)[0].StoredAt+2 })
	s.sendAll(topic, 1, "b", "c")
	s.succeed("offset", s.commit(group, topic, 1, 3))
	m := s.member()
	m.consume(group, subscribe(topic))
	answer := s.succeed("reset", s.reset(group, topic, "timestamp", s.queue(topic, 1)[1].StoredAt))
	var table remoting.ResetOffsets
	s.decode(answer, &table)
	equal(s, "queues", len(table.Queues), 2)
	equal(s, "new offset", table.Queues[remoting.MessageQueue{Broker: s.name, Topic: topic, ID: 1}], 1)
	equal(s, "new offset of an empty queue", table.Queues[remoting.MessageQueue{Broker: s.name, Topic: topic}], 0)
	equal(s, "offset", s.consumed(group, topic, 1), 1)
	s.succeed("commit", s.commit(group, topic, 1, 3))
	equal(s, "offset after a commit", s.consumed(group, topic, 1), 1)
	p := pull{group: group, topic: topic, queue: 1, offset: 3}
	s.wants("first pull", s.pull(p), remoting.ResponsePullOffsetMoved, 1, 0, 3)
	s.wants("second pull", s.pull(p), remoting.ResponsePullNotFound, 3, 0, 3)
	s.succeed("commit", s.commit(group, topic, 1, 2))
	equal(s, "offset after a later commit", s.consumed(group, topic, 1), 2)
}

func resetQueue(s *scene) {
	topic, group := s.topic(2), s.group()
	s.sendAll(topic, 0, "a", "b")
	s.sendAll(topic, 1, "c", "d")
	for queue := range 2 {
		s.succeed("offset", s.commit(group, topic, queue, 2))
	}
	s.succeed("one queue to an offset", s.reset(group, topic, "queueId", 1, "offset", 1))
	equal(s, "offset", s.consumed(group, topic, 1), 1)
	equal(s, "offset of the other queue", s.consumed(group, topic, 0), 2)
	s.refuse("behind the end", s.reset(group, topic, "queueId", 1, "offset", 9), remoting.ResponseSystemError)
	s.succeed("to the end", s.reset(group, topic, "timestamp", -1))
	s.refuse("unknown group", s.reset(s.fresh("unknown"), topic), remoting.ResponseGroupNotExist)
	s.refuse("unknown topic", s.reset(group, s.fresh("unknown")), remoting.ResponseTopicNotExist)
	if lag, err := s.admin.Lag(s.ctx, group, topic); err != nil || lag != 0 {
		s.Errorf("after a reset to the end the lag is %d, %v", lag, err)
	}
}

// What mqadmin asks to know all topics of a broker or a cluster.
func adminAllTopics(s *scene) {
	topic := s.typedTopic("FIFO", 3)
	var table struct {
		Topics map[string]remoting.TopicConfig `json:"topicConfigTable"`
	}
	s.decode(s.succeed("all", s.line().call(remoting.RequestGetAllTopicConfig, nil, nil)), &table)
	c := table.Topics[topic]
	if c.Name != topic || c.ReadQueues != 3 || c.WriteQueues != 3 || c.Perm != 6 || c.Attributes[remoting.AttributeMessageType] != "FIFO" {
		s.Errorf("among all topics there is %+v", c)
	}
	var list remoting.TopicList
	cluster := s.config["brokerClusterName"]
	s.decode(s.succeed("cluster", s.names().call(remoting.RequestGetTopicsOfCluster, ext("cluster", cluster), nil)), &list)
	if !slices.Contains(list.Topics, topic) {
		s.Errorf("the cluster has the topics %q", list.Topics)
	}
	list = remoting.TopicList{}
	s.decode(s.succeed("no cluster", s.names().call(remoting.RequestGetTopicsOfCluster, ext("cluster", s.fresh("unknown")), nil)), &list)
	equal(s, "topics of an unknown cluster", len(list.Topics), 0)
}
