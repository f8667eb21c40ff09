package devbroker

import "time"

// maxExpiry is how often at least messages that are too old are looked for.
const maxExpiry = time.Hour

// planExpiry puts the next look at old messages on the schedule. They may stay a
// tenth longer than they have to, or a minute.
func (b *Broker) planExpiry() {
	later := max(min(b.settings.retention/10, maxExpiry), time.Minute)
	b.schedule.add(b.now()+later.Milliseconds(), nil, dueExpiry)
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
	for _, h := range b.halves {
		if h.replaced && h.entry.storedAt < before {
			b.endHalf(h)
		}
	}
}

func (b *Broker) expireQueue(q *queue, before int64) {
	for len(q.entries) > 0 && q.entries[0].storedAt < before {
		b.end(q.entries[0]) // takes it out of the queue
	}
}
