package devbroker

import (
	"strconv"

	"orderflow/internal/mq/remoting"
)

// ConsumerSendBack (36) delivers a message again, later, to the group that could not handle it.
//
// Asked by: consumers, for each message that shall be redelivered.
// Fields:   group, offset (physical), delayLevel (0: one more with each time, from 3 on; negative: dead
//
//	letters at once); maxReconsumeTimes, originMsgId, originTopic may lack.
//
// Answers:  0; 1 no message at the offset, or the broker refuses to store any; 16 the broker or the
//
//	group's retry topic cannot be written; 26 no such group.
func (b *Broker) consumerSendBack(r *request) (*response, error) {
	name, physical := r.text("group"), r.integer("offset")
	level, most := int(r.integerOr("delayLevel", 0)), r.integerOr("maxReconsumeTimes", -1)
	if err := r.err(); err != nil {
		return nil, err
	}
	g := b.groupFor(name)
	if g == nil {
		return nil, errNoGroup(name)
	}
	if b.forbids(remoting.PermWrite) {
		return nil, refuse(remoting.ResponseNoPermission, "the broker[%s] sending message is forbidden", b.addr.Addr())
	}
	if g.config.RetryQueues <= 0 {
		return &response{}, nil
	}
	if retry := b.ensureOwnTopic(retryPrefix+g.name, g.config.RetryQueues).config; retry.Perm&remoting.PermWrite == 0 {
		return nil, refuse(remoting.ResponseNoPermission, "the topic[%s] sending message is forbidden", retry.Name)
	}
	e := b.find(physical)
	if e == nil {
		return nil, refuse(remoting.ResponseSystemError, "look message by offset failed, %d", physical)
	}
	if b.readOnly {
		return nil, refuse(remoting.ResponseSystemError, "SERVICE_NOT_AVAILABLE")
	}
	if most < 0 {
		most = int64(g.config.RetryMaxTimes)
	}
	_, err := b.store(b.redelivery(g, e, level, most))
	return &response{}, err
}

// redelivery makes the message that a group gets in place of one that it has sent
// back.
func (b *Broker) redelivery(g *group, e *entry, level int, most int64) remoting.StoredMessage {
	m := e.message()
	if remoting.Property(m.Properties, remoting.PropertyRetryTopic) == "" {
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyRetryTopic, m.Topic)
	}
	if remoting.Property(m.Properties, remoting.PropertyOriginMessageID) == "" {
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyOriginMessageID, remoting.OffsetMessageID(m.StoreHost, e.physical))
	}
	m.Properties = remoting.WithoutProperties(m.Properties, remoting.PropertyDelayLevel)
	m.PreparedOffset = 0
	if int64(m.Attempts) >= most || level < 0 {
		m.Topic, m.QueueID = b.ensureOwnTopic(deadPrefix+g.name, 1).config.Name, 0
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyDelayLevel, "0")
	} else {
		if level == 0 {
			level = 3 + int(m.Attempts)
		}
		t := b.ensureOwnTopic(retryPrefix+g.name, g.config.RetryQueues)
		b.random++
		m.Topic, m.QueueID = t.config.Name, b.random%max(min(g.config.RetryQueues, len(t.queues)), 1)
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyDelayLevel, strconv.Itoa(level))
	}
	m.Attempts++
	return m
}
