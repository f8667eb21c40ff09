package mqtest

import (
	"encoding/json"
	"slices"
	"time"

	"orderflow/internal/mq/remoting"
)

// member is a client of which a case writes the heartbeats itself.
type member struct {
	*line
	id string
}

// member connects a client that the broker does not know yet.
func (s *scene) member() *member {
	s.Helper()
	return &member{line: s.dial(s.broker), id: s.fresh("client")}
}

// subscribe makes a subscription by tags as clients write it; all messages if
// there are none.
func subscribe(topic string, tags ...string) remoting.Subscription {
	sub := remoting.Subscription{
		Topic: topic, Expression: "*", Version: time.Now().UnixMilli(), ExpressionType: remoting.ExpressionTag,
	}
	for i, tag := range tags {
		if i == 0 {
			sub.Expression = tag
		} else {
			sub.Expression += " || " + tag
		}
		sub.Tags, sub.TagHashes = append(sub.Tags, tag), append(sub.TagHashes, remoting.TagHash(tag))
	}
	return sub
}

// subscribeSQL makes a subscription by an expression.
func subscribeSQL(topic, expression string) remoting.Subscription {
	return remoting.Subscription{
		Topic: topic, Expression: expression, Version: time.Now().UnixMilli(), ExpressionType: remoting.ExpressionSQL,
	}
}

// beat sends a heartbeat with everything that the client is.
func (m *member) beat(producers []string, consumers ...remoting.ConsumerGroup) remoting.Command {
	m.s.Helper()
	h := remoting.Heartbeat{ClientID: m.id, Producers: []remoting.ProducerGroup{}, Consumers: []remoting.ConsumerGroup{}}
	for _, group := range producers {
		h.Producers = append(h.Producers, remoting.ProducerGroup{Name: group})
	}
	h.Consumers = append(h.Consumers, consumers...)
	body, err := json.Marshal(h)
	if err != nil {
		m.s.Fatal(err)
	}
	return m.call(remoting.RequestHeartbeat, nil, body)
}

// consuming is a group as its push consumers announce it.
func consuming(group string, subscriptions ...remoting.Subscription) remoting.ConsumerGroup {
	return remoting.ConsumerGroup{
		Name: group, ConsumeType: remoting.ConsumePassively, MessageModel: remoting.ModelClustering,
		ConsumeFrom: remoting.ConsumeFromFirst, Subscriptions: subscriptions,
	}
}

// consume makes the client a member of a consumer group.
func (m *member) consume(group string, subscriptions ...remoting.Subscription) {
	m.s.Helper()
	m.s.succeed("heartbeat", m.beat(nil, consuming(group, subscriptions...)))
}

// produce makes the client a member of a producer group.
func (m *member) produce(group string) {
	m.s.Helper()
	m.s.succeed("heartbeat", m.beat([]string{group}))
}

// consumers are the client ids that the broker counts as the group's, sorted;
// none if it refuses to say.
func (s *scene) consumers(group string) []string {
	s.Helper()
	answer := s.line().call(remoting.RequestConsumerList, ext("consumerGroup", group), nil)
	if answer.Code != remoting.ResponseSuccess {
		return nil
	}
	var list remoting.ConsumerList
	s.decode(answer, &list)
	slices.Sort(list.ClientIDs)
	return list.ClientIDs
}
