package devbroker

import "orderflow/internal/mq/remoting"

// UpdateConsumerOffset (15) notes how far a group is in a queue.
//
// Asked by: consumers every 5 seconds and when they stop; the Go client without waiting for the answer.
// Fields:   consumerGroup, topic, queueId, commitOffset (the Go client's first one may be -1: as if
//
//	there were none).
//
// Answers:  0; 17 no such topic; 26 no such group, also where groups are created by their use; 29 no
//
//	offset.
//
// Differs:  a queue that there is not is refused with 17.
func (b *Broker) updateConsumerOffset(r *request) (*response, error) {
	name, key := r.text("consumerGroup"), queueKey{r.text("topic"), r.int32("queueId")}
	offset := r.integerOr("commitOffset", 0)
	if err := r.err(); err != nil {
		return nil, err
	}
	g := b.groups[name]
	switch {
	case g == nil:
		return nil, errNoGroup(name)
	case b.topics[key.topic] == nil:
		return nil, refuse(remoting.ResponseTopicNotExist, "Topic %s not exist!", key.topic)
	case r.optional("commitOffset") == "":
		return nil, refuse(remoting.ResponseInvalidParameter, "the custom field <commitOffset> is null")
	case b.queue(key.topic, key.id) == nil:
		return nil, refuse(remoting.ResponseTopicNotExist, "topic %s has no queue %d", key.topic, key.id)
	}
	if _, reset := g.resets[key]; !reset {
		b.setOffset(g, key, offset)
	}
	return &response{}, nil
}
