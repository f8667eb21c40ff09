package devbroker

// GetMinOffset (31) tells the offset of the first message that a queue still has.
//
// Asked by: consumers that begin with the oldest message; mqadmin; our Admin.
// Fields:   topic, queueId.
// Answers:  0 with offset, which is 0 for a queue that there is not.
func (b *Broker) minOffset(r *request) (*response, error) {
	topic, id := r.text("topic"), r.int32("queueId")
	if err := r.err(); err != nil {
		return nil, err
	}
	first := int64(0)
	if q := b.queue(topic, id); q != nil {
		first = q.min()
	}
	return &response{ext: answerFields("offset", first)}, nil
}
