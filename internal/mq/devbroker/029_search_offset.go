package devbroker

import "sort"

// SearchOffsetByTimestamp (29) finds the first message of a queue that was stored at a time or later.
//
// Asked by: consumers that begin at a time; mqadmin.
// Fields:   topic, queueId, timestamp (epoch milliseconds).
// Answers:  0 with offset, which is that of the next message if all are older; 17 or 29 as PullMessage.
func (b *Broker) searchOffset(r *request) (*response, error) {
	topic, id, at := r.text("topic"), r.int32("queueId"), r.integer("timestamp")
	if err := r.err(); err != nil {
		return nil, err
	}
	q, err := b.readableQueue(topic, id)
	if err != nil {
		return nil, err
	}
	return &response{ext: answerFields("offset", q.offsetAt(at))}, nil
}

// offsetAt is the offset of the first message that was stored at a time or later.
// Time does not run backwards within a queue.
func (q *queue) offsetAt(at int64) int64 {
	return q.first + int64(sort.Search(len(q.entries), func(i int) bool {
		return q.entries[i] != nil && q.entries[i].storedAt >= at
	}))
}
