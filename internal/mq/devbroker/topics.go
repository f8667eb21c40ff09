package devbroker

import (
	"encoding/json"
	"fmt"
	"strings"

	"orderflow/internal/mq/remoting"
)

// checkTopicName refuses a name that the real broker refuses.
func checkTopicName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return refuse(remoting.ResponseInvalidParameter, "The specified topic is blank.")
	case !isName(name):
		return refuse(remoting.ResponseInvalidParameter,
			"The specified topic contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$")
	case len(name) > maxTopicName:
		return refuse(remoting.ResponseInvalidParameter, "The specified topic is longer than topic max length.")
	}
	return nil
}

// isName tells whether all characters may be in the name of a topic or a group.
func isName(name string) bool {
	for _, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("%|_-", rune(c)) {
			return false
		}
	}
	return true
}

// putTopic creates a topic or changes its settings, and records it.
func (b *Broker) putTopic(config remoting.TopicConfig) *topic {
	if config.Attributes == nil {
		config.Attributes = map[string]string{}
	}
	config.Name = strings.Clone(config.Name) // a field shares the memory of its whole header
	b.recordJSON(changeTopic, config)
	return b.setTopic(config)
}

// topicFor finds a topic, or creates it if that is allowed by its use.
func (b *Broker) topicFor(name string, queues int) *topic {
	t := b.topics[name]
	queues = min(max(queues, 1), 8)
	if t == nil && b.settings.createTopics && checkTopicName(name) == nil && !isSystemTopic(name) && b.hasRoom(name, queues) {
		t = b.putTopic(newTopicConfig(name, queues))
	}
	return t
}

// hasRoom tells whether a topic can be made with that many queues.
func (b *Broker) hasRoom(name string, queues int) bool {
	t := b.topics[name]
	if t == nil {
		return len(b.topics) < maxTopics && b.queues+queues <= maxAllQueues
	}
	return queues <= len(t.queues) || b.queues+queues-len(t.queues) <= maxAllQueues
}

// errNoRoom is the answer to a request that would make too many topics or queues.
func errNoRoom() error {
	return refuse(remoting.ResponseInvalidParameter, "the broker has too many topics or queues: %d and %d are the most", maxTopics, maxAllQueues)
}

// ensureOwnTopic finds or makes the retry or dead-letter topic of a group.
func (b *Broker) ensureOwnTopic(name string, queues int) *topic {
	if t := b.topics[name]; t != nil {
		return t
	}
	return b.putTopic(newTopicConfig(name, queues))
}

// readableQueue finds the queue that a request names.
func (b *Broker) readableQueue(topic string, id int) (*queue, error) {
	t := b.topics[topic]
	if t == nil {
		return nil, noTopic(topic)
	}
	if t.config.Perm&remoting.PermRead == 0 {
		return nil, refuse(remoting.ResponseNoPermission, "the topic[%s] pulling message is forbidden", topic)
	}
	if id < 0 || id >= t.config.ReadQueues {
		return nil, refuse(remoting.ResponseInvalidParameter,
			"queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d]", id, topic, t.config.ReadQueues)
	}
	return t.queues[id], nil
}

// ensureGroup finds a group or makes it, without its topic.
func (s *state) ensureGroup(name string) *group {
	g := s.groups[name]
	if g == nil {
		g = newGroup(strings.Clone(name)) // a field shares the memory of its whole header
		g.raw, _ = json.Marshal(g.config) // a struct of numbers and strings
		s.groups[g.name] = g
	}
	return g
}

// setGroup creates a group or changes its settings, from their JSON.
func (s *state) setGroup(raw []byte) error {
	config, all, err := completeGroup(raw)
	if err != nil {
		return err
	}
	if config.Name == "" {
		return refuse(remoting.ResponseInvalidParameter, "groupName is missing")
	}
	g := s.ensureGroup(config.Name)
	g.config, g.raw = config, all
	return nil
}

// putGroup creates a group or changes its settings, records it, and makes its
// retry topic.
func (b *Broker) putGroup(raw []byte) error {
	config, _, err := completeGroup(raw)
	if err != nil {
		return err
	}
	if config.Name == "" || !isName(config.Name) || len(config.Name) > maxTopicName {
		return refuse(remoting.ResponseInvalidParameter, "groupName %.200q is empty, too long or has an illegal character", config.Name)
	}
	if len(raw) > maxGroupConfig || b.groups[config.Name] == nil && len(b.groups) >= maxGroups {
		return refuse(remoting.ResponseInvalidParameter, "there are %d groups and the settings have %d bytes; %d and %d are too many",
			len(b.groups), len(raw), maxGroups, maxGroupConfig)
	}
	if config.RetryQueues < 0 || config.RetryQueues > maxQueues {
		return refuse(remoting.ResponseInvalidParameter, "retryQueueNums: %d is not possible", config.RetryQueues)
	}
	if !b.hasRoom(retryPrefix+config.Name, config.RetryQueues) {
		return errNoRoom()
	}
	if err := b.setGroup(raw); err != nil {
		return err
	}
	b.record(changeGroup, b.groups[config.Name].raw)
	b.ensureOwnTopic(retryPrefix+config.Name, max(config.RetryQueues, 1))
	return nil
}

// toolsGroup is the group that mqadmin pulls with. It is always there, as with the
// real broker.
const toolsGroup = "TOOLS_CONSUMER"

// groupFor finds a group, or creates it if that is allowed by its use; nil if not.
func (b *Broker) groupFor(name string) *group {
	if g := b.groups[name]; g != nil {
		return g
	}
	if !b.settings.createGroups && name != toolsGroup || name == "" || !isName(name) || len(name) > maxTopicName {
		return nil
	}
	if len(b.groups) >= maxGroups || !b.hasRoom(retryPrefix+name, 1) {
		return nil
	}
	g := b.ensureGroup(name)
	b.record(changeGroup, g.raw)
	b.ensureOwnTopic(retryPrefix+name, max(g.config.RetryQueues, 1))
	return g
}

// noTopic is the answer to a request for a topic that is not there.
func noTopic(name string) *refusal {
	return &refusal{remoting.ResponseTopicNotExist, fmt.Sprintf("topic[%s] not exist, apply first please!", name)}
}

// errNoGroup is the answer to a request of a group that is not there.
func errNoGroup(name string) error {
	return refuse(remoting.ResponseGroupNotExist, "subscription group [%s] does not exist", name)
}

// setOffset notes how far a group is in a queue; a negative offset is none.
func (b *Broker) setOffset(g *group, key queueKey, offset int64) {
	old, there := g.offsets[key]
	if there && old == offset || !there && offset < 0 {
		return
	}
	if !there {
		key.topic = strings.Clone(key.topic)
	}
	g.move(key, offset)
	b.recordJSON(changeOffset, offsetChange{Group: g.name, Topic: key.topic, Queue: key.id, Offset: offset})
}

// move is what setOffset does to the state.
func (g *group) move(key queueKey, offset int64) {
	if offset < 0 {
		delete(g.offsets, key)
		return
	}
	g.offsets[key] = offset
}

// reset forgets everything that is kept.
func (b *Broker) reset() {
	b.state = newState()
	b.schedule.heap = b.schedule.heap[:0]
	b.addSystemTopics(len(b.settings.levels), b.settings.createTopics)
}
