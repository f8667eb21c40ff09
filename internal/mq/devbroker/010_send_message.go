package devbroker

// SendMessage (10) stores a message: a plain one, a delayed one, or a half message.
//
// Asked by: the Go client, for every send but batches.
// Fields:   topic, queueId (-1: any), sysFlag, bornTimestamp, flag;
//
//	producerGroup, properties, reconsumeTimes, maxReconsumeTimes, batch, defaultTopicQueueNums may lack.
//
// Body:     the message's.
// Answers:  0 with msgId, queueId, queueOffset; 13 message illegal (size, timer too far ahead);
//
//	14 the broker refuses writes; 16 topic not writable or the broker's own; 17 no such topic;
//	29 name or queue id illegal; 26 retry topic of a group that does not exist.
//
// Differs:  a message without a body is refused with 13; the real broker refuses it, too, but later. The
//
//	real broker takes a message for a topic that is read-only; here it is refused.
func (b *Broker) sendMessage(r *request) (*response, error) { return b.sendAny(r, false) }

func (b *Broker) sendAny(r *request, short bool) (*response, error) {
	s, err := r.parseSend(short)
	if err != nil {
		return nil, err
	}
	if s.batch {
		return b.sendBatch(r, s)
	}
	return b.send(r, s)
}
