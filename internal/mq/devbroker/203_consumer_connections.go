package devbroker

import (
	"maps"
	"slices"

	"orderflow/internal/mq/remoting"
)

// GetConsumerConnectionList (203) lists the clients of a consumer group and what it subscribes to.
//
// Asked by: mqadmin consumerConnection and consumerProgress; our Admin.
// Fields:   consumerGroup.
// Answers:  0 with remoting.ConsumerConnections; 206 if the group has no members.
func (b *Broker) consumerConnections(r *request) (*response, error) {
	name := r.text("consumerGroup")
	if err := r.err(); err != nil {
		return nil, err
	}
	g := b.groups[name]
	if g == nil || len(g.members) == 0 {
		return nil, refuse(remoting.ResponseConsumerNotOnline, "the consumer group[%s] not online", name)
	}
	answer := remoting.ConsumerConnections{
		Connections: connections(g.members), Subscriptions: make(map[string]remoting.Subscription, len(g.subscriptions)),
		ConsumeType: g.kind, MessageModel: g.model, ConsumeFrom: g.from,
	}
	for topic, s := range g.subscriptions {
		answer.Subscriptions[topic] = s.Subscription
	}
	return jsonResponse(answer)
}

// connections are members, in the order of their client ids.
func connections(members map[string]*member) remoting.Connections {
	set := make([]remoting.Connection, 0, len(members))
	for _, id := range slices.Sorted(maps.Keys(members)) {
		m := members[id]
		set = append(set, remoting.Connection{
			ClientID: id, Addr: m.conn.peer.String(), Language: m.language.String(), Version: m.version,
		})
	}
	return remoting.Connections{Set: set}
}
