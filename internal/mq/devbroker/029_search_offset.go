package devbroker

import (
	"sort"
	"strings"
)

// SearchOffsetByTimestamp (29) finds the first message of a queue that was stored at a time or later.
//
// Asked by: consumers that begin at a time; mqadmin.
// Fields:   topic, queueId, timestamp (epoch milliseconds); boundaryType, lower or upper, may lack.
// Answers:  0 with offset, which is that of the next message if all are older. With the upper boundary
//
//	it is that of the last message at or before the time, or 0. Of a queue that there is not it is 0.
func (b *Broker) searchOffset(r *request) (*response, error) {
	topic, id, at := r.text("topic"), r.int32("queueId"), r.integer("timestamp")
	if err := r.err(); err != nil {
		return nil, err
	}
	offset := int64(0)
	if q := b.queue(topic, id); q != nil {
		offset = q.offsetAt(at)
		if strings.EqualFold(r.optional("boundaryType"), "upper") {
			offset = q.lastOffsetAt(at)
		}
	}
	return &response{ext: answerFields("offset", offset)}, nil
}

// offsetAt is the offset of the first message that was stored at a time or later.
// Time does not run backwards within a queue.
func (q *queue) offsetAt(at int64) int64 {
	i := sort.Search(len(q.entries), func(i int) bool { return q.entries[i].storedAt >= at })
	if i == len(q.entries) {
		return q.end
	}
	return q.entries[i].offset
}

// lastOffsetAt is the offset of the last message that was stored at a time or
// earlier, and 0 if there is none.
func (q *queue) lastOffsetAt(at int64) int64 {
	i := sort.Search(len(q.entries), func(i int) bool { return q.entries[i].storedAt > at })
	if i == 0 {
		return 0
	}
	return q.entries[i-1].offset
}
