package mq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"orderflow/internal/mq/remoting"
)

// ProducerOnline tells whether every broker that holds the topic knows the client
// as a member of the producer group, so that it can ask the client about half
// messages. clientID may be the client's instance name alone.
func (a *Admin) ProducerOnline(ctx context.Context, group, topic, clientID string) (bool, error) {
	masters, _, err := a.routeMasters(ctx, topic)
	if err != nil {
		return false, fmt.Errorf("producer group %q: %w", group, err)
	}
	for _, b := range masters {
		producers, err := a.producers(ctx, b.addr, group)
		if err != nil {
			return false, fmt.Errorf("producer group %q on broker %s: %w", group, b.name, err)
		}
		if !has(producers, clientID) {
			return false, nil
		}
	}
	return len(masters) > 0, nil
}

// ConsumerOnline tells whether any broker knows the client as a member of the
// consumer group. clientID may be the client's instance name alone.
func (a *Admin) ConsumerOnline(ctx context.Context, group, clientID string) (bool, error) {
	masters, err := a.masters(ctx, false)
	if err != nil {
		return false, fmt.Errorf("consumer group %q: %w", group, err)
	}
	for _, b := range masters {
		members, err := a.consumers(ctx, b.addr, group)
		if err != nil {
			return false, fmt.Errorf("consumer group %q on broker %s: %w", group, b.name, err)
		}
		if has(members.Connections, clientID) {
			return true, nil
		}
	}
	return false, nil
}

// consumers asks a broker for a group's members and what they consume; none if the
// group has no members.
func (a *Admin) consumers(ctx context.Context, addr, group string) (members remoting.ConsumerConnections, err error) {
	answer, err := a.call(ctx, addr, remoting.RequestConsumerConnections, map[string]string{"consumerGroup": group})
	if err != nil {
		if nobodyOnline(err) {
			err = nil
		}
		return members, err
	}
	return members, remoting.DecodeBody(answer.Body, &members)
}

// producers asks a broker for a group's producers; none if the group has none.
func (a *Admin) producers(ctx context.Context, addr, group string) (producers remoting.Connections, err error) {
	answer, err := a.call(ctx, addr, remoting.RequestProducerConnections, map[string]string{"producerGroup": group})
	if err != nil {
		if nobodyOnline(err) {
			err = nil
		}
		return producers, err
	}
	return producers, remoting.DecodeBody(answer.Body, &producers)
}

// has tells whether the client is among the connections.
func has(c remoting.Connections, clientID string) bool {
	return slices.ContainsFunc(c.Set, func(c remoting.Connection) bool {
		// The client library puts its address before the instance name.
		return c.ClientID == clientID || strings.HasSuffix(c.ClientID, "@"+clientID)
	})
}

// nobodyOnline tells whether the broker has refused because the group has no
// client. It has a code for that for consumers only.
func nobodyOnline(err error) bool {
	var refused *remoting.ResponseError
	if !errors.As(err, &refused) {
		return false
	}
	return refused.Code == remoting.ResponseConsumerNotOnline ||
		refused.Code == remoting.ResponseSystemError && strings.Contains(refused.Remark, "not exist")
}
