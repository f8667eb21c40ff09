package devbroker

import (
	"slices"
	"strings"

	"orderflow/internal/mq/remoting"
)

// UpdateAndCreateTopic (17) creates a topic or changes its settings.
//
// Asked by: mqadmin updateTopic, and our Admin.
// Fields:   topic, readQueueNums, writeQueueNums, perm, topicFilterType; topicSysFlag, order and
//
//	attributes may lack. attributes are changes, +name=value and -name, separated by commas.
//
// Answers:  0; 1 a filter type or an attribute that there is not; 29 name illegal or the broker's own,
//
//	impossible number of queues, too many of all topics, or message type MIXED.
//
// Differs:  numbers of queues below zero or above 4096 are refused, the real broker takes them. Queues
//
//	that a topic has no more keep their messages in both.
func (b *Broker) updateTopic(r *request) (*response, error) {
	config := remoting.TopicConfig{
		Name: r.optional("topic"), ReadQueues: r.int32("readQueueNums"), WriteQueues: r.int32("writeQueueNums"),
		Perm: r.int32("perm"), FilterType: strings.Clone(r.text("topicFilterType")), SysFlag: int(int32(r.integerOr("topicSysFlag", 0))),
		Order: r.boolean("order"),
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	if err := checkTopicName(config.Name); err != nil {
		return nil, err
	}
	switch {
	case isSystemTopic(config.Name):
		return nil, refuse(remoting.ResponseInvalidParameter, "The topic[%s] is conflict with system topic.", config.Name)
	case !slices.Contains([]string{"SINGLE_TAG", "MULTI_TAG"}, config.FilterType):
		return nil, refuse(remoting.ResponseSystemError, "topicFilterType = [%.40s] value invalid", config.FilterType)
	case min(config.ReadQueues, config.WriteQueues) < 0 || max(config.ReadQueues, config.WriteQueues) > maxQueues:
		return nil, refuse(remoting.ResponseInvalidParameter,
			"readQueueNums %d or writeQueueNums %d is not between 0 and %d", config.ReadQueues, config.WriteQueues, maxQueues)
	case !b.hasRoom(config.Name, max(config.ReadQueues, config.WriteQueues)):
		return nil, errNoRoom()
	}
	var have map[string]string
	if t := b.topics[config.Name]; t != nil {
		have = t.config.Attributes
	}
	var err error
	if config.Attributes, err = changedAttributes(have, r.optional("attributes")); err != nil {
		return nil, err
	}
	b.putTopic(config)
	return &response{}, nil
}
