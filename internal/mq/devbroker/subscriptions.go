package devbroker

import (
	"orderflow/internal/mq/devbroker/filter"
	"orderflow/internal/mq/remoting"
)

// subscription is what a group wants of a topic, by its members' last heartbeat.
type subscription struct {
	remoting.Subscription
	version int64
	let     filter.Expression // nil lets everything through
	failed  error             // why the expression could not be parsed
}

// newSubscription parses a subscription. One that cannot be parsed is kept with its
// error, which the pulls of the group get.
func newSubscription(s remoting.Subscription) *subscription {
	sub := &subscription{Subscription: s, version: s.Version}
	sub.let, sub.failed = filter.Parse(s.ExpressionType, s.Expression)
	return sub
}

// subscribe brings a group's subscriptions to those of a heartbeat, and tells
// whether the topics are others now. An older one never replaces a newer one:
// members start one after the other with new filters.
func (g *group) subscribe(wanted []remoting.Subscription) (changed bool) {
	topics := make(map[string]bool, len(wanted))
	for _, s := range wanted {
		topics[s.Topic] = true
		old := g.subscriptions[s.Topic]
		if old != nil && (old.version > s.Version || old.version == s.Version && old.Expression == s.Expression) {
			continue
		}
		changed = changed || old == nil
		g.subscriptions[s.Topic] = newSubscription(s)
	}
	for topic := range g.subscriptions {
		if !topics[topic] {
			delete(g.subscriptions, topic)
			changed = true
		}
	}
	return changed
}
