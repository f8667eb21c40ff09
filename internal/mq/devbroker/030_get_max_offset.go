package devbroker

// GetMaxOffset (30) tells the offset that the next message of a queue will get.
//
// Asked by: consumers that begin with what is new; mqadmin; our Admin.
// Fields:   topic, queueId.
// Answers:  0 with offset, which is 0 for a queue that there is not.
func (b *Broker) maxOffset(r *request) (*response, error) {
	topic, id := r.text("topic"), r.int32("queueId")
	if err := r.err(); err != nil {
		return nil, err
	}
	next := int64(0)
	if q := b.queue(topic, id); q != nil {
		next = q.next()
	}
	return &response{ext: answerFields("offset", next)}, nil
}
