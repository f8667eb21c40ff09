package devbroker

import (
	"encoding/json"
	"slices"
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
	groups   map[string]*group
	halves   map[int64]*half // undecided half messages by physical offset
	log      []*entry        // all messages, by physical offset; some may be gone
	gone     int             // how many of log are
	physical int64           // offset of the next message
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
	first   int64    // the offset of entries[0]
	entries []*entry // nil, or one without a frame, where a message is gone
	held    []*heldPull
}

// next is the offset that the next message gets.
func (q *queue) next() int64 { return q.first + int64(len(q.entries)) }

// at is the message with the offset, or nil.
func (q *queue) at(offset int64) *entry {
	if offset < q.first || offset >= q.next() {
		return nil
	}
	if e := q.entries[offset-q.first]; e != nil && e.frame != nil {
		return e
	}
	return nil
}

// min is the first offset that can be read.
func (q *queue) min() int64 { return q.first }

// trim forgets the messages at the head that are gone.
func (q *queue) trim() {
	n := 0
	for n < len(q.entries) && (q.entries[n] == nil || q.entries[n].frame == nil) {
		n++
	}
	if n > 0 {
		clear(q.entries[:n])
		q.entries, q.first = q.entries[n:], q.first+int64(n)
	}
}

// entry is a stored message.
type entry struct {
	frame    []byte // as it goes over the wire; nil when the message is gone
	queue    *queue // nil if its topic had been deleted
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
		topics: map[string]*topic{}, groups: map[string]*group{}, halves: map[int64]*half{}, tags: map[string]string{},
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
	for id := len(t.queues); id < max(config.ReadQueues, config.WriteQueues); id++ {
		t.queues = append(t.queues, &queue{topic: t, id: id})
	}
	return t
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
func (s *state) add(m remoting.StoredMessage, frame []byte) *entry {
	e := &entry{
		frame: frame, tag: s.intern(remoting.Property(m.Properties, remoting.PropertyTags)),
		physical: m.PhysicalOffset, offset: m.QueueOffset, storedAt: m.StoredAt,
	}
	s.log = append(s.log, e)
	s.physical = m.PhysicalOffset + int64(len(frame))
	q := s.queue(m.Topic, m.QueueID)
	if q == nil {
		return e
	}
	e.queue = q
	if len(q.entries) == 0 && m.QueueOffset > q.first {
		q.first = m.QueueOffset
	}
	for q.next() < m.QueueOffset {
		q.entries = append(q.entries, nil)
	}
	q.entries = append(q.entries, e)
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

// removeTopic forgets a topic and its messages.
func (s *state) removeTopic(name string) {
	t := s.topics[name]
	if t == nil {
		return
	}
	delete(s.topics, name)
	for _, q := range t.queues {
		for _, e := range q.entries {
			if e != nil {
				s.drop(e)
			}
		}
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
