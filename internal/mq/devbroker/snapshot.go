package devbroker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// changeSize is about how large a change is that is no message, without the names
// that are in it.
const changeSize = 40

// liveBytes is about how large a journal of the present state alone would be.
func (b *Broker) liveBytes() int64 {
	var size int64
	for _, e := range b.log {
		size += int64(len(e.frame))
	}
	for name, t := range b.topics {
		size += int64((len(t.queues) + 4) * (len(name) + changeSize))
	}
	for name, g := range b.groups {
		size += int64(len(g.raw) + changeSize)
		for key := range g.offsets {
			size += int64(len(name) + len(key.topic) + changeSize)
		}
	}
	return size
}

// compact writes the journal anew when most of it is about what is gone. Until it
// has all of the state, nobody gets the lock to append to it.
func (b *Broker) compact() error {
	if b.journal == nil {
		return nil
	}
	b.writeRecord()
	if size := b.journal.Size(); b.failure.err == nil && size > compactAbove && size > 2*b.liveBytes() {
		if err := b.journal.Rewrite(b.snapshot); err != nil {
			return fmt.Errorf("compact the data folder: %w", err)
		}
	}
	return b.failure.err
}

// recordSize is about how large the records of a snapshot get; the journal takes
// 32 MiB.
const recordSize = 1 << 20

// changes are records in the making, for a journal that is written anew.
type changes struct {
	yield  func(record []byte) error
	record []byte
	err    error // the first one of yield
}

func (c *changes) add(kind byte, content []byte) {
	c.record = appendChange(c.record, kind, content)
	if len(c.record) >= recordSize {
		c.flush()
	}
}

func (c *changes) addJSON(kind byte, content any) {
	text, err := json.Marshal(content)
	if err != nil {
		panic("a change cannot be encoded: " + err.Error()) // only types of this package
	}
	c.add(kind, text)
}

func (c *changes) flush() {
	if c.err == nil && len(c.record) > 0 {
		c.err = c.yield(c.record)
	}
	c.record = c.record[:0]
}

// snapshot yields the records that make the present state from nothing.
func (b *Broker) snapshot(yield func(record []byte) error) error {
	c := &changes{yield: yield}
	topics := slices.Sorted(maps.Keys(b.topics))
	for _, name := range topics {
		c.addJSON(changeTopic, b.topics[name].config)
	}
	for _, name := range slices.Sorted(maps.Keys(b.groups)) {
		g := b.groups[name]
		c.add(changeGroup, g.raw)
		for key, offset := range g.offsets {
			c.addJSON(changeOffset, offsetChange{Group: name, Topic: key.topic, Queue: key.id, Offset: offset})
		}
	}
	for _, e := range b.log {
		if e.frame != nil {
			c.add(changeMessage, e.frame)
		}
	}
	for _, name := range topics { // their last messages may be gone
		for _, q := range b.topics[name].queues {
			if q.end > 0 {
				c.addJSON(changeNextQueue, offsetChange{Topic: name, Queue: q.id, Offset: q.end})
			}
		}
	}
	c.add(changeNextByte, appendNumbers(nil, b.physical))
	for _, h := range b.halvesInOrder() {
		next := h.next
		if h.replaced {
			next = neverAgain
		}
		c.add(changeChecked, appendNumbers(nil, h.entry.physical, int64(h.asked), next))
	}
	c.flush()
	return c.err
}
