package devbroker

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"orderflow/internal/mq/remoting"
)

// Snapshot is what a broker holds at a moment. Lists are sorted, so that two
// snapshots of the same are equal.
type Snapshot struct {
	Addr        string            `json:"addr"`
	Now         time.Time         `json:"now"` // by the broker's clock
	Topics      []TopicState      `json:"topics"`
	Groups      []GroupState      `json:"groups"`
	Halves      []HalfState       `json:"halfMessages"` // undecided, oldest first
	Timers      []TimerState      `json:"timers"`       // what waits for its time, the next first
	DeadLetters map[string]int    `json:"deadLetters"`  // how many there are, by group
	Discarded   int               `json:"discarded"`    // half messages that nobody decided about
	Producers   []ProducerState   `json:"producers"`
	Connections []ConnectionState `json:"connections"`
}

// TopicState is a topic.
type TopicState struct {
	Name   string       `json:"name"`
	Type   string       `json:"type,omitempty"` // its attribute message.type
	Perm   int          `json:"perm"`           // bits, see remoting.PermRead and PermWrite
	Queues []QueueState `json:"queues"`
}

// QueueState is a queue. Min is the offset of its first message and Max that of
// the next one.
type QueueState struct {
	ID    int   `json:"id"`
	Min   int64 `json:"min"`
	Max   int64 `json:"max"`
	Count int   `json:"count"` // messages that are there
	Bytes int64 `json:"bytes"` // of them, as they are stored
	Held  int   `json:"held"`  // pulls that wait for a message
}

// GroupState is a consumer group. What members say of themselves is empty while it
// has none.
type GroupState struct {
	Name          string              `json:"name"`
	Model         string              `json:"model,omitempty"` // CLUSTERING or BROADCASTING
	Members       []MemberState       `json:"members,omitempty"`
	Subscriptions []SubscriptionState `json:"subscriptions,omitempty"`
	Offsets       []OffsetState       `json:"offsets,omitempty"`
	Locks         []LockState         `json:"locks,omitempty"` // of queues that are consumed in order
}

// MemberState is a client of a group.
type MemberState struct {
	ClientID string `json:"clientId"`
	Addr     string `json:"addr"`
	Language string `json:"language"`
	Version  int    `json:"version"` // of the protocol
}

// SubscriptionState is what a group wants of a topic.
type SubscriptionState struct {
	Topic      string `json:"topic"`
	Kind       string `json:"kind"` // TAG or SQL92
	Expression string `json:"expression"`
	Error      string `json:"error,omitempty"` // why it cannot be parsed
}

// OffsetState is how far a group is in a queue.
type OffsetState struct {
	Topic  string `json:"topic"`
	Queue  int    `json:"queue"`
	Offset int64  `json:"offset"` // of the next message that it consumes; -1 if it has none yet
	Lag    int64  `json:"lag"`    // messages from there on
}

// LockState says which client consumes a queue in order.
type LockState struct {
	Topic    string    `json:"topic"`
	Queue    int       `json:"queue"`
	ClientID string    `json:"clientId"`
	Until    time.Time `json:"until"` // unless it is renewed
}

// HalfState is a half message.
type HalfState struct {
	UniqueKey string    `json:"uniqueKey"`
	Keys      string    `json:"keys,omitempty"`
	Topic     string    `json:"topic"` // where it goes when it is committed
	Group     string    `json:"group"` // of its producer
	Checks    int       `json:"checks"`
	NextCheck time.Time `json:"nextCheck"`
}

// TimerState is a message that waits for its time.
type TimerState struct {
	UniqueKey string    `json:"uniqueKey"`
	Keys      string    `json:"keys,omitempty"`
	Topic     string    `json:"topic"` // where it goes then
	Kind      string    `json:"kind"`  // level, timer, or retry
	Due       time.Time `json:"due"`
}

// ProducerState is a producer group with its clients.
type ProducerState struct {
	Group   string        `json:"group"`
	Clients []MemberState `json:"clients"`
}

// ConnectionState is a connection. Clients are those of groups, not all that use it.
type ConnectionState struct {
	Addr    string   `json:"addr"`
	Clients []string `json:"clients,omitempty"`
}

// Inspect tells everything that the broker holds but the messages themselves, for
// which there is Messages. It looks at each of them, and holds all requests up
// while it does.
func (b *Broker) Inspect() Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{
		Addr: b.addr.String(), Now: b.settings.clock.Now(), DeadLetters: map[string]int{},
		Topics: []TopicState{}, Groups: []GroupState{},
		Halves: b.halfStates(), Timers: b.timerStates(), Producers: b.producerStates(), Connections: b.connectionStates(),
	}
	for _, name := range slices.Sorted(maps.Keys(b.topics)) {
		t := b.topics[name].inspect()
		s.Topics = append(s.Topics, t)
		if group, dead := strings.CutPrefix(name, deadPrefix); dead {
			s.DeadLetters[group] = t.count()
		}
		if name == topicDiscarded {
			s.Discarded = t.count()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.groups)) {
		s.Groups = append(s.Groups, b.inspectGroup(b.groups[name]))
	}
	return s
}

func (t TopicState) count() int {
	n := 0
	for _, q := range t.Queues {
		n += q.Count
	}
	return n
}

func (t *topic) inspect() TopicState {
	s := TopicState{
		Name: t.config.Name, Type: t.config.Attributes[remoting.AttributeMessageType], Perm: t.config.Perm,
		Queues: make([]QueueState, len(t.queues)),
	}
	for i, q := range t.queues {
		s.Queues[i] = QueueState{ID: q.id, Min: q.min(), Max: q.end, Held: len(q.held)}
		for _, e := range q.entries {
			if e.frame != nil {
				s.Queues[i].Count++
				s.Queues[i].Bytes += int64(len(e.frame))
			}
		}
	}
	return s
}

func (b *Broker) inspectGroup(g *group) GroupState {
	s := GroupState{Name: g.name, Members: memberStates(g.members)}
	if len(g.members) > 0 {
		s.Model = g.model
	}
	for _, topic := range slices.Sorted(maps.Keys(g.subscriptions)) {
		sub := g.subscriptions[topic]
		state := SubscriptionState{Topic: topic, Kind: cmp.Or(sub.ExpressionType, remoting.ExpressionTag), Expression: sub.Expression}
		if sub.failed != nil {
			state.Error = sub.failed.Error()
		}
		s.Subscriptions = append(s.Subscriptions, state)
	}
	s.Offsets = b.offsetStates(g)
	for _, key := range slices.SortedFunc(maps.Keys(g.locks), compareQueues) {
		if lock := g.locks[key]; !lock.expired(b.now()) {
			s.Locks = append(s.Locks, LockState{
				Topic: key.topic, Queue: key.id, ClientID: lock.clientID, Until: time.UnixMilli(lock.at + lockTime),
			})
		}
	}
	return s
}

// offsetStates are those of the queues where the group has been, and of the topics
// that its members share.
func (b *Broker) offsetStates(g *group) []OffsetState {
	offsets := maps.Clone(g.offsets)
	for topic := range g.subscriptions {
		t := b.topics[topic]
		if t == nil || g.model == remoting.ModelBroadcasting {
			continue // its members keep their offsets for themselves
		}
		for _, q := range t.queues {
			if _, there := offsets[queueKey{topic, q.id}]; !there {
				offsets[queueKey{topic, q.id}] = -1
			}
		}
	}
	states := make([]OffsetState, 0, len(offsets))
	for _, key := range slices.SortedFunc(maps.Keys(offsets), compareQueues) {
		state := OffsetState{Topic: key.topic, Queue: key.id, Offset: offsets[key]}
		if q := b.queue(key.topic, key.id); q != nil {
			state.Lag = q.lag(state.Offset)
		}
		states = append(states, state)
	}
	return states
}

func compareQueues(x, y queueKey) int {
	return cmp.Or(strings.Compare(x.topic, y.topic), cmp.Compare(x.id, y.id))
}

// lag is how many messages there are from an offset on.
func (q *queue) lag(offset int64) int64 { return max(q.end-max(offset, q.min()), 0) }

func memberStates(members map[string]*member) []MemberState {
	states := []MemberState{}
	for _, id := range slices.Sorted(maps.Keys(members)) {
		m := members[id]
		states = append(states, MemberState{
			ClientID: id, Addr: m.conn.peer.String(), Language: m.language.String(), Version: m.version,
		})
	}
	return states
}

func (b *Broker) halfStates() []HalfState {
	states := []HalfState{}
	for _, h := range b.halvesInOrder() {
		if h.replaced {
			continue
		}
		properties := h.entry.message().Properties
		states = append(states, HalfState{
			UniqueKey: remoting.Property(properties, remoting.PropertyUniqueKey),
			Keys:      remoting.Property(properties, remoting.PropertyKeys),
			Topic:     remoting.Property(properties, remoting.PropertyRealTopic),
			Group:     remoting.Property(properties, remoting.PropertyProducerGroup),
			Checks:    h.asked, NextCheck: time.UnixMilli(h.next),
		})
	}
	return states
}

func (b *Broker) timerStates() []TimerState {
	var waiting []due
	for _, d := range b.schedule.heap {
		if d.what == dueDelivery && d.entry.frame != nil {
			waiting = append(waiting, d)
		}
	}
	slices.SortFunc(waiting, func(x, y due) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.order, y.order))
	})
	states := []TimerState{}
	for _, d := range waiting {
		m := d.entry.message()
		state := TimerState{
			UniqueKey: remoting.Property(m.Properties, remoting.PropertyUniqueKey),
			Keys:      remoting.Property(m.Properties, remoting.PropertyKeys),
			Topic:     remoting.Property(m.Properties, remoting.PropertyRealTopic),
			Kind:      "level", Due: time.UnixMilli(d.at),
		}
		switch {
		case m.Topic == topicTimer:
			state.Kind = "timer"
		case strings.HasPrefix(state.Topic, retryPrefix):
			state.Kind = "retry"
		}
		states = append(states, state)
	}
	return states
}

func (b *Broker) producerStates() []ProducerState {
	states := []ProducerState{}
	for _, group := range slices.Sorted(maps.Keys(b.producers)) {
		states = append(states, ProducerState{Group: group, Clients: memberStates(b.producers[group])})
	}
	return states
}

func (b *Broker) connectionStates() []ConnectionState {
	states := []ConnectionState{}
	for c := range b.conns {
		ids := map[string]bool{}
		for client := range c.clients {
			ids[client.clientID] = true
		}
		states = append(states, ConnectionState{Addr: c.peer.String(), Clients: slices.Sorted(maps.Keys(ids))})
	}
	slices.SortFunc(states, func(x, y ConnectionState) int { return strings.Compare(x.Addr, y.Addr) })
	return states
}
