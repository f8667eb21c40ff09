package devbroker

import "orderflow/internal/mq/remoting"

// UpdateConsumerOffset (15) notes how far a group is in a queue.
//
// Asked by: consumers every 5 seconds and when they stop; the Go client without waiting for the answer.
// Fields:   consumerGroup, topic, queueId, commitOffset (the Go client's first one may be -1: as if
//
//	there were none).
//
// Answers:  0; 17 no such topic; 26 no such group; 29 no offset.
func (b *Broker) updateConsumerOffset(r *request) (*response, error) {
	name, key := r.text("consumerGroup"), queueKey{r.text("topic"), r.int32("queueId")}
	if r.failed == nil && r.optional("commitOffset") == "" {
		return nil, refuse(remoting.ResponseInvalidParameter, "the custom field <commitOffset> is null")
	}
	offset := r.integer("commitOffset")
	if err := r.err(); err != nil {
		return nil, err
	}
	if b.queue(key.topic, key.id) == nil {
		return nil, refuse(remoting.ResponseTopicNotExist, "Topic %s not exist!", key.topic)
	}
	g := b.groupFor(name)
	if g == nil {
		return nil, errNoGroup(name)
	}
	if _, reset := g.resets[key]; !reset {
		b.setOffset(g, key, offset)
	}
	return &response{}, nil
}
