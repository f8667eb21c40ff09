package devbroker

import (
	"cmp"
	"slices"
	"time"

	"orderflow/internal/mq/remoting"
)

// Message is a stored message, taken apart.
type Message struct {
	Topic          string            `json:"topic"`
	Queue          int               `json:"queue"`
	Offset         int64             `json:"offset"`
	PhysicalOffset int64             `json:"physicalOffset"`
	UniqueKey      string            `json:"uniqueKey"` // the id that its producer gave it
	Tag            string            `json:"tag,omitempty"`
	Keys           string            `json:"keys,omitempty"` // separated by spaces
	Properties     map[string]string `json:"properties"`     // all, those included
	Body           []byte            `json:"body"`           // as it was sent, perhaps compressed
	BornAt         time.Time         `json:"bornAt"`         // by the producer's clock
	StoredAt       time.Time         `json:"storedAt"`       // by the broker's clock
	Attempts       int               `json:"attempts"`       // how often it was redelivered
}

// Messages are the first messages of a topic in the order in which they were
// stored, at most limit unless that is 0. There are none if there is no topic.
func (b *Broker) Messages(topic string, limit int) []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[topic]
	if t == nil {
		return nil
	}
	var stored []*entry
	for _, q := range t.queues {
		taken := 0
		for _, e := range q.entries {
			if limit > 0 && taken == limit {
				break
			}
			if e.frame != nil {
				stored = append(stored, e)
				taken++
			}
		}
	}
	slices.SortFunc(stored, func(x, y *entry) int { return cmp.Compare(x.physical, y.physical) })
	if limit > 0 && len(stored) > limit {
		stored = stored[:limit]
	}
	messages := make([]Message, len(stored))
	for i, e := range stored {
		messages[i] = e.inspect()
	}
	return messages
}

func (e *entry) inspect() Message {
	m := e.message()
	return Message{
		Topic: m.Topic, Queue: m.QueueID, Offset: m.QueueOffset, PhysicalOffset: m.PhysicalOffset,
		UniqueKey: remoting.Property(m.Properties, remoting.PropertyUniqueKey), Tag: e.tag,
		Keys:       remoting.Property(m.Properties, remoting.PropertyKeys),
		Properties: remoting.ParseProperties(m.Properties), Body: slices.Clone(m.Body),
		BornAt: time.UnixMilli(m.BornAt), StoredAt: time.UnixMilli(m.StoredAt), Attempts: int(m.Attempts),
	}
}

// Lag is how many messages of a topic a group has not consumed yet. In queues of
// which it has no offset that is all of them, and so it is if there is no group.
func (b *Broker) Lag(group, topic string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[topic]
	if t == nil {
		return 0
	}
	var lag int64
	for _, q := range t.queues {
		at := q.min()
		if g := b.groups[group]; g != nil {
			if offset, there := g.offsets[queueKey{topic, q.id}]; there {
				at = offset
			}
		}
		lag += q.lag(at)
	}
	return lag
}
