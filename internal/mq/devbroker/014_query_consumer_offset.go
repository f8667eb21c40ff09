package devbroker

import "orderflow/internal/mq/remoting"

// QueryConsumerOffset (14) tells how far a group is in a queue.
//
// Asked by: consumers when they are given a queue; mqadmin.
// Fields:   consumerGroup, topic, queueId; setZeroIfNotFound may lack.
// Answers:  0 with offset; 22 if the group has none. Offset 0 is the answer, too, if it has none and
//
//	the queue's first message is still there: the real broker says so while that message is in memory.
func (b *Broker) queryConsumerOffset(r *request) (*response, error) {
	name, key := r.text("consumerGroup"), queueKey{r.text("topic"), r.int32("queueId")}
	if err := r.err(); err != nil {
		return nil, err
	}
	if g := b.groups[name]; g != nil {
		if offset, there := g.offsets[key]; there {
			return &response{ext: answerFields("offset", offset)}, nil
		}
	}
	q := b.queue(key.topic, key.id)
	if r.optional("setZeroIfNotFound") != "false" && q != nil && q.min() == 0 && q.next() > 0 {
		return &response{ext: answerFields("offset", 0)}, nil
	}
	return nil, refuse(remoting.ResponseQueryNotFound, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
}
