package devbroker

import "orderflow/internal/mq/remoting"

// GetTopicStatsInfo (202) tells the ends of all queues of a topic.
//
// Asked by: mqadmin topicStatus; the Java admin client.
// Fields:   topic.
// Answers:  0 with remoting.TopicStats; 17 no such topic.
// Differs:  topicPutTps is 0.
func (b *Broker) topicStats(r *request) (*response, error) {
	name := r.text("topic")
	if err := r.err(); err != nil {
		return nil, err
	}
	t := b.topics[name]
	if t == nil {
		return nil, refuse(remoting.ResponseTopicNotExist, "topic[%s] not exist", name)
	}
	stats := remoting.TopicStats{Queues: remoting.OffsetTable[remoting.TopicOffsets]{}}
	for _, q := range t.queues[:min(max(t.config.ReadQueues, t.config.WriteQueues), len(t.queues))] {
		offsets := remoting.TopicOffsets{Min: q.min(), Max: q.next()}
		if q.next() > 0 {
			offsets.LastTime = q.timeOf(q.next() - 1)
		}
		stats.Queues[b.messageQueue(q)] = offsets
	}
	return &response{body: stats.Encode()}, nil
}
