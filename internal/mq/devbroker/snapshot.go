package devbroker

import (
	"encoding/json"
	"maps"
	"slices"
)

// liveBytes is about how large a journal of the present state alone would be.
func (b *Broker) liveBytes() int64 {
	var size int64
	for _, e := range b.log {
		size += int64(len(e.frame))
	}
	return size
}

// snapshot yields the records that make the present state from nothing.
func (b *Broker) snapshot(yield func(record []byte) error) error {
	var head []byte
	add := func(kind byte, content any) {
		text, err := json.Marshal(content)
		if err != nil {
			panic("a change cannot be encoded: " + err.Error()) // only types of this package
		}
		head = appendChange(head, kind, text)
	}
	for _, name := range slices.Sorted(maps.Keys(b.topics)) {
		t := b.topics[name]
		add(changeTopic, t.config)
		for _, q := range t.queues {
			if len(q.entries) == 0 && q.first > 0 {
				add(changeNextQueue, offsetChange{Topic: name, Queue: q.id, Offset: q.first})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.groups)) {
		g := b.groups[name]
		head = appendChange(head, changeGroup, g.raw)
		for key, offset := range g.offsets {
			add(changeOffset, offsetChange{Group: name, Topic: key.topic, Queue: key.id, Offset: offset})
		}
	}
	if err := yield(head); err != nil {
		return err
	}
	for _, e := range b.log {
		if e.frame == nil {
			continue
		}
		if err := yield(appendChange(nil, changeMessage, e.frame)); err != nil {
			return err
		}
	}
	tail := appendChange(nil, changeNextByte, appendNumbers(nil, b.physical, 0))
	for physical, h := range b.halves {
		tail = appendChange(tail, changeChecked, appendNumbers(nil, physical, int64(h.asked)))
	}
	return yield(tail)
}

// expire forgets the messages that are older than the retention, from the heads
// of their queues. Those that still wait for their time stay.
func (b *Broker) expire() {
	before := b.now() - b.settings.retention.Milliseconds()
	for name, t := range b.topics {
		if name == topicSchedule || name == topicTimer || name == topicHalf {
			continue
		}
		for _, q := range t.queues {
			b.expireQueue(q, before)
		}
	}
}

func (b *Broker) expireQueue(q *queue, before int64) {
	for _, e := range q.entries {
		if e != nil && e.frame != nil {
			if e.storedAt >= before {
				break
			}
			b.drop(e)
		}
	}
	q.trim()
}
