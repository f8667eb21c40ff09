package mq

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// outgoing makes the library's message. It is made anew for every send: a
// message that is used twice keeps the id of its first send.
func outgoing(m message.Message) (*primitive.Message, error) {
	if m.Topic == "" || len(m.Body) == 0 {
		return nil, fmt.Errorf("%w: a message needs a topic and a body", message.ErrNotSent)
	}
	msg := primitive.NewMessage(m.Topic, m.Body)
	for key, value := range m.Properties {
		// The library drops an empty value without a word.
		if key == "" || value == "" || strings.ContainsAny(key+value, separators) {
			return nil, fmt.Errorf("%w: property %q has an empty or illegal value", message.ErrNotSent, key)
		}
		if reserved(key) {
			return nil, fmt.Errorf("%w: property %q belongs to the broker", message.ErrNotSent, key)
		}
		msg.WithProperty(key, value)
	}
	if strings.ContainsAny(m.Tag, separators) {
		return nil, fmt.Errorf("%w: the tag %q has an illegal character", message.ErrNotSent, m.Tag)
	}
	for _, key := range m.Keys {
		if key == "" || strings.ContainsAny(key, separators+primitive.PropertyKeySeparator) {
			return nil, fmt.Errorf("%w: the key %q is empty or has an illegal character", message.ErrNotSent, key)
		}
	}
	if m.Tag != "" {
		msg.WithTag(m.Tag)
	}
	if len(m.Keys) > 0 {
		msg.WithKeys(m.Keys)
	}
	return msg, nil
}

// separators end a property's name and its value on the wire.
const separators = "\x01\x02"

// reserved tells whether the property belongs to the broker or to this package.
// The broker's have no lower-case letter, or begin with two underscores. A delay
// above all must not slip onto a half message: the Java client strips it, this
// one does not, and the broker then schedules the half message and loses it
// (apache/rocketmq#1543).
func reserved(key string) bool {
	return key == strings.ToUpper(key) || strings.HasPrefix(key, "__") || key == propertyWarmUp || key == propertyDelayed
}

// incoming makes our message of a received one. The broker's own properties are
// left out: a message that is sent on must not carry them.
func incoming(msg *primitive.MessageExt) message.Message {
	m := fromLibrary(&msg.Message)
	m.ID = idOf(&msg.Message)
	if m.ID == "" {
		m.ID = msg.MsgId
	}
	m.Attempt = int(msg.ReconsumeTimes) + 1
	m.BornAt = time.UnixMilli(msg.BornTimestamp)
	m.StoredAt = time.UnixMilli(msg.StoreTimestamp)
	return m
}

// idOf is the id that the library gave to a message when it sent it.
func idOf(msg *primitive.Message) string {
	return msg.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)
}

func fromLibrary(msg *primitive.Message) message.Message {
	properties := msg.GetProperties() // a copy
	m := message.Message{
		Topic:      msg.Topic,
		Tag:        properties[primitive.PropertyTags],
		Body:       msg.Body,
		Properties: properties,
		Attempt:    1,
	}
	if keys := properties[primitive.PropertyKeys]; keys != "" {
		m.Keys = strings.Fields(keys)
	}
	m.Origin = origin(properties)
	m.Delayed = properties[propertyDelayed] != ""
	maps.DeleteFunc(properties, func(key, _ string) bool { return reserved(key) })
	return m
}

// origin reads where the broker has the message from. A half message that was
// committed keeps its producer group, but then it is where it was sent to.
func origin(properties map[string]string) message.Origin {
	if topic := properties[remoting.PropertyRealTopic]; topic != "" {
		return message.Origin{Topic: topic, ProducerGroup: properties[remoting.PropertyProducerGroup]}
	}
	return message.Origin{Topic: properties[remoting.PropertyRetryTopic]}
}

// check turns the library's two ways of saying no into one error.
func check(result *primitive.SendResult, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", message.ErrUnavailable, err)
	}
	if result == nil || result.Status != primitive.SendOK {
		// Never print the result: its String dereferences what may be nil.
		return fmt.Errorf("%w: the broker stored the message but did not confirm that it is safe", message.ErrUnavailable)
	}
	return nil
}
