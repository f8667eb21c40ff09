package devbroker

import (
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"strings"

	"orderflow/internal/mq/remoting"
)

// The topics that the broker keeps for itself, by the real broker's names.
const (
	topicSchedule  = "SCHEDULE_TOPIC_XXXX"        // delayed messages, a queue for each level
	topicTimer     = "rmq_sys_wheel_timer"        // messages with a time of their own
	topicHalf      = "RMQ_SYS_TRANS_HALF_TOPIC"   // half messages
	topicDiscarded = "TRANS_CHECK_MAX_TIME_TOPIC" // half messages that nobody decided about
	topicDefault   = "TBW102"                     // what a topic that is created by its use is like
	topicSelfTest  = "SELF_TEST_TOPIC"
)

// The topics of a consumer group.
const (
	retryPrefix = "%RETRY%"
	deadPrefix  = "%DLQ%"
)

// state is what a broker keeps over a restart.
type state struct {
	topics   map[string]*topic
	queues   int // of all topics
	groups   map[string]*group
	halves   map[int64]*half   // undecided half messages by physical offset
	copies   map[int64][]int64 // physical offsets of their copies, oldest first, by the offset of the first
	log      []*entry          // all messages, by physical offset; some may be gone
	gone     int               // how many of log are
	physical int64             // offset of the next message
	tags     map[string]string
}

// topic is a topic and its messages.
type topic struct {
	config remoting.TopicConfig
	queues []*queue
}

// queue is one queue of a topic. Offsets count from its first message ever.
type queue struct {
	topic   *topic
	id      int
	end     int64    // the offset that the next message gets
	entries []*entry // by offset; where a message is gone there is one without a frame, or none
	held    []*heldPull
}

// next is the offset that the next message gets.
func (q *queue) next() int64 { return q.end }

// min is the first offset that can be read.
func (q *queue) min() int64 {
	if len(q.entries) == 0 {
		return q.end
	}
	return q.entries[0].offset
}

// at is the message with the offset, or nil.
func (q *queue) at(offset int64) *entry {
	if offset < q.min() || offset >= q.end {
		return nil
	}
	i := int(min(offset-q.min(), int64(len(q.entries)-1))) // it is there, or further ahead if some are missing
	if q.entries[i].offset != offset {
		i = sort.Search(i, func(i int) bool { return q.entries[i].offset >= offset })
	}
	if e := q.entries[i]; e.offset == offset && e.frame != nil {
		return e
	}
	return nil
}

// trim forgets the messages at the head that are gone.
func (q *queue) trim() {
	n := 0
	for n < len(q.entries) && q.entries[n].frame == nil {
		n++
	}
	clear(q.entries[:n])
	q.entries = q.entries[n:]
}

// entry is a stored message.
type entry struct {
	frame    []byte // as it goes over the wire; nil when the message is gone
	queue    *queue
	tag      string
	physical int64
	offset   int64
	storedAt int64
}

// message decodes the entry. Only frames that this package encoded get here.
func (e *entry) message() remoting.StoredMessage {
	m, _, err := remoting.ReadMessage(e.frame)
	if err != nil {
		panic("a stored message cannot be read: " + err.Error())
	}
	return m
}

// uniqueKey is the id that the producer gave the message.
func (e *entry) uniqueKey() string {
	return remoting.Property(e.message().Properties, remoting.PropertyUniqueKey)
}

// queueKey names a queue.
type queueKey struct {
	topic string
	id    int
}

// group is a consumer group: its settings and offsets are kept, its members come
// and go with their connections.
type group struct {
	name    string
	config  remoting.GroupConfig
	raw     json.RawMessage // the settings as they came
	offsets map[queueKey]int64

	members       map[string]*member       // by client id
	subscriptions map[string]*subscription // by topic
	model         string                   // CLUSTERING or BROADCASTING
	kind          string                   // CONSUME_PASSIVELY or CONSUME_ACTIVELY
	from          string                   // where a new group begins
	locks         map[queueKey]queueLock
	resets        map[queueKey]int64 // offsets that were set and not yet pulled from
}

func newState() *state {
	s := &state{
		topics: map[string]*topic{}, groups: map[string]*group{}, halves: map[int64]*half{}, copies: map[int64][]int64{},
		tags: map[string]string{},
	}
	return s
}

// addSystemTopics makes the topics that every broker has.
func (s *state) addSystemTopics(levels int, byUse bool) {
	own := map[string]int{topicSchedule: levels, topicTimer: 1, topicHalf: 1, topicSelfTest: 1}
	if byUse {
		own[topicDefault] = 8
	}
	for name, queues := range own {
		s.setTopic(newTopicConfig(name, queues))
	}
}

// newTopicConfig is a topic that can be read and written.
func newTopicConfig(name string, queues int) remoting.TopicConfig {
	return remoting.TopicConfig{
		Name: name, ReadQueues: queues, WriteQueues: queues, Perm: remoting.PermRead | remoting.PermWrite,
		FilterType: "SINGLE_TAG", Attributes: map[string]string{},
	}
}

// setTopic creates a topic or changes its settings. Queues are never taken away
// with their messages: they can only no longer be read or written.
func (s *state) setTopic(config remoting.TopicConfig) *topic {
	t := s.topics[config.Name]
	if t == nil {
		t = &topic{}
		s.topics[config.Name] = t
	}
	t.config = config
	s.growTopic(t, max(config.ReadQueues, config.WriteQueues))
	return t
}

// growTopic gives a topic the first queues, as far as it has them not.
func (s *state) growTopic(t *topic, queues int) {
	for id := len(t.queues); id < queues; id++ {
		t.queues = append(t.queues, &queue{topic: t, id: id})
		s.queues++
	}
}

// queue finds a queue, or returns nil.
func (s *state) queue(name string, id int) *queue {
	t := s.topics[name]
	if t == nil || id < 0 || id >= len(t.queues) {
		return nil
	}
	return t.queues[id]
}

// newGroup makes a group without settings of its own.
func newGroup(name string) *group {
	return &group{
		name: name, config: remoting.NewGroupConfig(name), offsets: map[queueKey]int64{},
		members: map[string]*member{}, subscriptions: map[string]*subscription{}, locks: map[queueKey]queueLock{},
		resets: map[queueKey]int64{},
	}
}

// add puts a frame into its queue and the log, where its offsets say. It is the
// only way a message gets into the state.
func (s *state) add(q *queue, m remoting.StoredMessage, frame []byte) *entry {
	e := &entry{
		frame: frame, queue: q, tag: s.intern(remoting.Property(m.Properties, remoting.PropertyTags)),
		physical: m.PhysicalOffset, offset: m.QueueOffset, storedAt: m.StoredAt,
	}
	s.log = append(s.log, e)
	s.physical = m.PhysicalOffset + int64(len(frame))
	q.entries = append(q.entries, e)
	q.end = m.QueueOffset + 1
	return e
}

// maxTags bounds the table of tags; above it equal tags are stored twice.
const maxTags = 10_000

// intern makes equal tags one string.
func (s *state) intern(tag string) string {
	if tag == "" {
		return ""
	}
	if known, there := s.tags[tag]; there {
		return known
	}
	own := strings.Clone(tag)
	if len(s.tags) < maxTags {
		s.tags[own] = own
	}
	return own
}

// lastStored is when the last message was stored, in epoch milliseconds.
func (s *state) lastStored() int64 {
	if len(s.log) == 0 {
		return 0
	}
	return s.log[len(s.log)-1].storedAt
}

// find returns the message at a physical offset, or nil.
func (s *state) find(physical int64) *entry {
	i, there := slices.BinarySearchFunc(s.log, physical, func(e *entry, p int64) int {
		switch {
		case e.physical < p:
			return -1
		case e.physical > p:
			return 1
		}
		return 0
	})
	if !there || s.log[i].frame == nil {
		return nil
	}
	return s.log[i]
}

// drop forgets a message. Its place in the queue stays, but is skipped.
func (s *state) drop(e *entry) {
	if e.frame == nil {
		return
	}
	e.frame, e.tag = nil, ""
	s.gone++
	if s.gone > 1024 && s.gone > len(s.log)/2 {
		s.log = slices.DeleteFunc(s.log, func(e *entry) bool { return e.frame == nil })
		s.gone = 0
	}
}

// removeTopic forgets a topic, its messages and what groups have in its queues.
func (s *state) removeTopic(name string) {
	t := s.topics[name]
	if t == nil {
		return
	}
	delete(s.topics, name)
	s.queues -= len(t.queues)
	for _, q := range t.queues {
		for _, e := range q.entries {
			s.unwatch(e.physical)
			s.drop(e)
		}
	}
	for _, g := range s.groups {
		maps.DeleteFunc(g.offsets, func(key queueKey, _ int64) bool { return key.topic == name })
		maps.DeleteFunc(g.resets, func(key queueKey, _ int64) bool { return key.topic == name })
		maps.DeleteFunc(g.locks, func(key queueKey, _ queueLock) bool { return key.topic == name })
	}
}

// isSystemTopic tells whether a topic is the broker's own.
func isSystemTopic(name string) bool {
	switch name {
	case topicSchedule, topicHalf, topicDiscarded, topicDefault, topicSelfTest,
		"RMQ_SYS_TRANS_OP_HALF_TOPIC", "OFFSET_MOVED_EVENT", "BenchmarkTest", "RMQ_SYS_TRACE_TOPIC":
		return true
	}
	return strings.HasPrefix(name, "rmq_sys_")
}
