package devbroker

import "orderflow/internal/mq/remoting"

// GetRouteInfoByTopic (105) tells on which brokers a topic has queues. There is one.
//
// Asked by: all clients, from the name server, before they first use a topic and every 30 seconds.
// Fields:   topic.
// Answers:  0 with remoting.Route; 17 no such topic.
func (b *Broker) route(r *request) (*response, error) {
	name := r.text("topic")
	if err := r.err(); err != nil {
		return nil, err
	}
	t := b.topics[name]
	if t == nil {
		return nil, refuse(remoting.ResponseTopicNotExist, "No topic route info in name server for the topic: %s", name)
	}
	return jsonResponse(remoting.Route{
		Brokers: []remoting.BrokerData{b.data()}, Filters: map[string][]string{},
		Queues: []remoting.QueueData{{
			Broker: brokerName, ReadQueues: t.config.ReadQueues, WriteQueues: t.config.WriteQueues,
			Perm: t.config.Perm & b.settings.permission, SysFlag: t.config.SysFlag,
		}},
	})
}

// data is how the broker is known to the name server.
func (b *Broker) data() remoting.BrokerData {
	return remoting.BrokerData{
		Cluster: clusterName, Name: brokerName, Addrs: map[string]string{remoting.MasterID: b.addr.String()},
	}
}
