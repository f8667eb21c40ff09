package devbroker

import "orderflow/internal/mq/remoting"

// QuerySubscriptionByConsumer (345) tells what the members of a consumer group subscribe to of a topic.
//
// Asked by: the Java admin client.
// Fields:   group, topic.
// Answers:  0 with remoting.SubscriptionInfo.
func (b *Broker) groupSubscription(r *request) (*response, error) {
	name, topic := r.text("group"), r.text("topic")
	if err := r.err(); err != nil {
		return nil, err
	}
	info := remoting.SubscriptionInfo{Group: name, Topic: topic}
	if g := b.groups[name]; g != nil && g.subscriptions[topic] != nil {
		info.Subscription = &g.subscriptions[topic].Subscription
	}
	return jsonResponse(info)
}
