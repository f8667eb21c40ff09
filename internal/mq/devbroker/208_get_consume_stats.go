package devbroker

import (
	"slices"
	"strings"

	"orderflow/internal/mq/remoting"
)

// GetConsumeStats (208) tells how far a consumer group is in all queues of its topics.
//
// Asked by: mqadmin consumerProgress, and after a query for a message, to tell who has consumed it.
// Fields:   consumerGroup; topic or topicList, names separated by semicolons, may lack.
// Answers:  0 with remoting.ConsumeStats. Without a topic it is about those in which the group has
//
//	offsets; of a group with members only those that they subscribe to, unless topicList is given.
//
// Differs:  consumeTps is 0, and pullOffset is no further than consumerOffset: pulls are not counted.
func (b *Broker) consumeStats(r *request) (*response, error) {
	name := r.text("consumerGroup")
	if err := r.err(); err != nil {
		return nil, err
	}
	g := b.groups[name]
	stats := remoting.ConsumeStats{Queues: remoting.OffsetTable[remoting.ConsumeOffsets]{}}
	for _, topic := range b.topicsForStats(r, g) {
		t := b.topics[topic]
		if t == nil {
			continue
		}
		for _, q := range t.readable() {
			stats.Queues[b.messageQueue(q)] = g.progress(q)
		}
	}
	return &response{body: stats.Encode()}, nil
}

// topicsForStats are the topics that a request for a group's progress is about.
func (b *Broker) topicsForStats(r *request, g *group) []string {
	if list := r.optional("topicList"); strings.TrimSpace(list) != "" {
		return strings.Split(list, ";")
	}
	topics := g.topicsWithOffsets()
	if topic := r.optional("topic"); strings.TrimSpace(topic) != "" {
		topics = []string{topic}
	}
	if g == nil || len(g.subscriptions) == 0 {
		return topics
	}
	return slices.DeleteFunc(topics, func(topic string) bool { return g.subscriptions[topic] == nil })
}

// topicsWithOffsets are the topics that a group, which may be nil, has consumed
// from, each once.
func (g *group) topicsWithOffsets() []string {
	if g == nil {
		return nil
	}
	var topics []string
	for key := range g.offsets {
		topics = append(topics, key.topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// progress is how far a group, which may be nil, is in a queue.
func (g *group) progress(q *queue) remoting.ConsumeOffsets {
	at := max(g.offsetIn(q.key(), -1), 0)
	progress := remoting.ConsumeOffsets{Broker: q.next(), Consumer: at, Pull: at}
	if e := q.at(at - 1); e != nil {
		progress.LastTime = e.storedAt
	}
	return progress
}

// offsetIn is how far a group, which may be nil, is in a queue, or where it was
// reset to; otherwise if it is nowhere.
func (g *group) offsetIn(key queueKey, otherwise int64) int64 {
	if g == nil {
		return otherwise
	}
	if offset, there := g.resets[key]; there {
		return offset
	}
	if offset, there := g.offsets[key]; there {
		return offset
	}
	return otherwise
}

// key names the queue.
func (q *queue) key() queueKey { return queueKey{q.topic.config.Name, q.id} }

// readable are the queues that can be read.
func (t *topic) readable() []*queue { return t.queues[:min(t.config.ReadQueues, len(t.queues))] }

// messageQueue names a queue as clients do.
func (b *Broker) messageQueue(q *queue) remoting.MessageQueue {
	return remoting.MessageQueue{Broker: brokerName, ID: q.id, Topic: q.topic.config.Name}
}
