package mq

import (
	"fmt"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// outgoing makes the library's message. It is made anew for every send: a
// message that is used twice keeps the id of its first send.
func outgoing(m Message) (*primitive.Message, error) {
	if m.Topic == "" || len(m.Body) == 0 {
		return nil, fmt.Errorf("%w: a message needs a topic and a body", ErrNotSent)
	}
	msg := primitive.NewMessage(m.Topic, m.Body)
	for key, value := range m.Properties {
		// The library drops an empty value without a word, and the two characters
		// separate properties on the wire.
		if key == "" || value == "" || strings.ContainsAny(key+value, "\x01\x02") {
			return nil, fmt.Errorf("%w: property %q has an empty or illegal value", ErrNotSent, key)
		}
		if reserved(key) {
			return nil, fmt.Errorf("%w: property %q belongs to the broker", ErrNotSent, key)
		}
		msg.WithProperty(key, value)
	}
	if m.Tag != "" {
		msg.WithTag(m.Tag)
	}
	if len(m.Keys) > 0 {
		msg.WithKeys(m.Keys)
	}
	return msg, nil
}

// reserved tells whether the broker gives the property a meaning. A delay above
// all must not slip onto a half message: the Java client strips it, this one does
// not, and the broker then schedules the half message and loses it
// (apache/rocketmq#1543).
func reserved(key string) bool {
	switch key {
	case primitive.PropertyDelayTimeLevel, "TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_DELAY_SEC",
		primitive.PropertyTransactionPrepared, primitive.PropertyProducerGroup,
		primitive.PropertyCheckImmunityTimeInSeconds, primitive.PropertyUniqueClientMessageIdKeyIndex,
		primitive.PropertyKeys, primitive.PropertyTags, primitive.PropertyRealTopic,
		primitive.PropertyRealQueueId, primitive.PropertyRetryTopic:
		return true
	}
	return false
}

// incoming makes our message of a received one.
func incoming(msg *primitive.MessageExt) Message {
	m := fromLibrary(&msg.Message)
	m.ID = msg.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)
	if m.ID == "" {
		m.ID = msg.MsgId
	}
	m.Attempt = int(msg.ReconsumeTimes) + 1
	m.BornAt = time.UnixMilli(msg.BornTimestamp)
	m.StoredAt = time.UnixMilli(msg.StoreTimestamp)
	return m
}

func fromLibrary(msg *primitive.Message) Message {
	properties := msg.GetProperties()
	m := Message{
		Topic:      msg.Topic,
		Tag:        properties[primitive.PropertyTags],
		Body:       msg.Body,
		Properties: properties,
		Attempt:    1,
	}
	if keys := properties[primitive.PropertyKeys]; keys != "" {
		m.Keys = strings.Split(keys, primitive.PropertyKeySeparator)
	}
	return m
}

// check turns the library's two ways of saying no into one error.
func check(result *primitive.SendResult, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if result == nil || result.Status != primitive.SendOK {
		// Never print the result: its String dereferences what may be nil.
		return fmt.Errorf("%w: the broker stored the message but did not confirm that it is safe", ErrUnavailable)
	}
	return nil
}
