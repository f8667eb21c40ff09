package devbroker

import (
	"slices"

	"orderflow/internal/mq/remoting"
)

// InvokeBrokerToResetOffset (222) makes a consumer group go on at a time, or a queue at an offset.
//
// Asked by: mqadmin resetOffsetByTime and skipAccumulatedMessage; the Java admin client.
// Fields:   group, topic, timestamp (epoch milliseconds; negative: what is new from now on), isForce,
//
//	which is not used; queueId (negative: all) and offset (-1: by the timestamp) may lack.
//
// Answers:  0 with remoting.ResetOffsets; 1 offset outside the queue, or there are no queues; 17 no such
//
//	topic; 26 no such group. Members or not, the group has the new offsets at once and keeps them:
//	they cannot be updated until each queue's next pull, which gets 21 with the new offset. No
//	client is told (220), as with useServerSideResetOffset, which is the default.
//
// Differs:  a queue that there is not is refused with 29; the real broker resets it. A pull that is held
//
//	is answered at once, not when its time is over. Resets that no pull has seen end with the process.
func (b *Broker) resetOffset(r *request) (*response, error) {
	name, topic, at := r.text("group"), r.text("topic"), r.integer("timestamp")
	id, offset := r.integerOr("queueId", -1), r.integerOr("offset", -1)
	if err := r.err(); err != nil {
		return nil, err
	}
	t, g := b.topics[topic], b.groups[name]
	switch {
	case t == nil:
		return nil, refuse(remoting.ResponseTopicNotExist, "Topic %s does not exist", topic)
	case g == nil:
		return nil, refuse(remoting.ResponseGroupNotExist, "Group %s does not exist", name)
	}
	queues := t.readable()
	switch {
	case len(queues) == 0:
		return nil, refuse(remoting.ResponseSystemError, "No queues to reset.")
	case id >= int64(len(queues)):
		return nil, refuse(remoting.ResponseInvalidParameter, "the custom field <queueId> is %d, topic %s has %d", id, topic, len(queues))
	case id >= 0:
		queues = queues[id : id+1]
	}
	if id < 0 || offset == -1 {
		return b.resetQueues(g, queues, func(q *queue) int64 { return q.offsetFor(at) })
	}
	if q := queues[0]; offset < q.min() || offset > q.next()+1 {
		return nil, refuse(remoting.ResponseSystemError, "Target offset %d not in consume queue range [%d-%d]", offset, q.min(), q.next())
	}
	return b.resetQueues(g, queues, func(*queue) int64 { return offset })
}

// offsetFor is where a group goes on that wants what was stored at a time or later,
// or, if that is negative, what is new.
func (q *queue) offsetFor(at int64) int64 {
	if at < 0 {
		return q.next()
	}
	return q.offsetAt(at)
}

// resetQueues sets the offsets of a group and tells those who wait in the queues.
func (b *Broker) resetQueues(g *group, queues []*queue, offset func(*queue) int64) (*response, error) {
	answer := remoting.ResetOffsets{Queues: make(remoting.OffsetTable[int64], len(queues))}
	for _, q := range queues {
		to := offset(q)
		answer.Queues[b.messageQueue(q)] = to
		g.resets[q.key()] = to
		b.setOffset(g, q.key(), to)
		for _, h := range slices.Clone(q.held) {
			b.answerHeld(h, b.read(q, h.pull)) // the next pull gets the new offset
		}
	}
	return &response{body: answer.Encode()}, nil
}
