package devbroker

import "orderflow/internal/mq/remoting"

// timeSpan is a queue's part of the answer; all times are epoch milliseconds, -1 if
// there is no such message.
type timeSpan struct {
	Queue    remoting.MessageQueue `json:"messageQueue"`
	First    int64                 `json:"minTimeStamp"`     // of the first message
	Last     int64                 `json:"maxTimeStamp"`     // of the last one
	Consumed int64                 `json:"consumeTimeStamp"` // of the last one that the group has consumed
	Behind   int64                 `json:"delayTime"`        // since when the next one waits for it, in milliseconds
}

// QueryConsumeTimeSpan (303) tells how far a consumer group is in a topic, in times.
//
// Asked by: the Java admin client.
// Fields:   topic, group.
// Answers:  0 with {"consumeTimeSpanSet": one for each queue}; 17 no such topic.
// Differs:  for a group without offsets the real broker's delayTime is the present time; here it is that of
//
//	a group that has consumed nothing.
func (b *Broker) consumeTimeSpan(r *request) (*response, error) {
	topic, name := r.text("topic"), r.text("group")
	if err := r.err(); err != nil {
		return nil, err
	}
	t := b.topics[topic]
	if t == nil {
		return nil, refuse(remoting.ResponseTopicNotExist, "topic[%s] not exist", topic)
	}
	spans := []timeSpan{}
	for _, q := range t.queues[:min(t.config.WriteQueues, len(t.queues))] {
		at := max(b.groups[name].offsetIn(q.key(), 0), 0)
		span := timeSpan{Queue: b.messageQueue(q), First: q.timeOf(q.min()), Last: q.timeOf(q.next() - 1)}
		span.Consumed = span.First
		if at > 0 {
			span.Consumed = q.timeOf(at - 1)
		}
		if next := q.timeOf(max(at, q.min())); next >= 0 {
			span.Behind = r.now - next
		}
		spans = append(spans, span)
	}
	return jsonResponse(struct {
		Spans []timeSpan `json:"consumeTimeSpanSet"`
	}{spans})
}
