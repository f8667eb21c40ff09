package devbroker

// GetEarliestMsgStoretime (32) tells when the first message that a queue still has was stored.
//
// Asked by: mqadmin.
// Fields:   topic, queueId.
// Answers:  0 with timestamp in epoch milliseconds, -1 if the queue is empty or not there.
func (b *Broker) earliestStoreTime(r *request) (*response, error) {
	topic, id := r.text("topic"), r.int32("queueId")
	if err := r.err(); err != nil {
		return nil, err
	}
	at := int64(-1)
	if q := b.queue(topic, id); q != nil {
		at = q.timeOf(q.min())
	}
	return &response{ext: answerFields("timestamp", at)}, nil
}

// timeOf is when the message with the offset was stored, -1 if it is not there.
func (q *queue) timeOf(offset int64) int64 {
	if e := q.at(offset); e != nil {
		return e.storedAt
	}
	return -1
}
