package devbroker

// GetMaxOffset (30) tells the offset that the next message of a queue will get.
//
// Asked by: consumers that begin with what is new; mqadmin.
// Fields:   topic, queueId.
// Answers:  0 with offset; 17 or 29 as PullMessage.
func (b *Broker) maxOffset(r *request) (*response, error) {
	topic, id := r.text("topic"), r.int32("queueId")
	if err := r.err(); err != nil {
		return nil, err
	}
	q, err := b.readableQueue(topic, id)
	if err != nil {
		return nil, err
	}
	return &response{ext: answerFields("offset", q.next())}, nil
}
