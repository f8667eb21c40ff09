package mq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"orderflow/internal/mq/remoting"
)

// GroupSpec is a consumer group that must exist.
type GroupSpec struct {
	Name string
	// MaxAttempts is how often a message is delivered before it goes to the dead
	// letters, the first time included; 0 leaves it as it is, which is 17 times in
	// a new group. It counts only for clients that name no number of their own: a
	// Consumer always does.
	MaxAttempts int
}

// RetryTopic is the topic through which the broker delivers the group's failed
// messages again.
func RetryTopic(group string) string { return "%RETRY%" + group }

// DeadLetterTopic is the topic of the messages that the broker has given up
// delivering to the group.
func DeadLetterTopic(group string) string { return "%DLQ%" + group }

// DiscardedTopic is the topic of the half messages of all producer groups that the
// brokers gave up asking about. It does not exist until there is one.
const DiscardedTopic = "TRANS_CHECK_MAX_TIME_TOPIC"

// EnsureGroup makes sure that the consumer group exists on every master broker,
// with its retry topic, and tells whether it had to be created anywhere. Without
// the retry topic a new group's first redelivery comes half a minute late,
// because consumers see the topic only at their next look at the name server. Of
// a group that exists only MaxAttempts is changed.
func (a *Admin) EnsureGroup(ctx context.Context, spec GroupSpec) (created bool, err error) {
	if err := checkName(KindGroup, spec.Name, maxGroupName); err != nil {
		return false, err
	}
	if spec.MaxAttempts < 0 {
		return false, fmt.Errorf("consumer group %q: %d attempts", spec.Name, spec.MaxAttempts)
	}
	masters, err := a.masters(ctx, true)
	if err != nil {
		return false, fmt.Errorf("consumer group %q: %w", spec.Name, err)
	}
	queues := 1
	for _, b := range masters {
		config, made, err := a.ensureGroupOn(ctx, b, spec)
		created = created || made
		if err != nil {
			return created, fmt.Errorf("consumer group %q on broker %s: %w", spec.Name, b.name, err)
		}
		queues = max(queues, config.RetryQueues)
	}
	_, err = a.EnsureTopic(ctx, TopicSpec{Name: RetryTopic(spec.Name), Queues: queues})
	return created, err
}

// ensureGroupOn brings one broker's settings of the group to the spec.
func (a *Admin) ensureGroupOn(ctx context.Context, b broker, spec GroupSpec) (
	config remoting.GroupConfig, created bool, err error) {
	have, raw, err := a.groupConfig(ctx, b, spec.Name)
	var missing *NotFoundError
	var body []byte
	switch {
	case errors.As(err, &missing):
		created = true
		want := remoting.NewGroupConfig(spec.Name)
		if spec.MaxAttempts > 0 {
			want.RetryMaxTimes = spec.MaxAttempts - 1
		}
		body, err = json.Marshal(want)
	case err != nil:
		return have, false, err
	case spec.compare(have) == nil:
		return have, false, nil
	default:
		body, err = withRetries(raw, spec.MaxAttempts-1)
	}
	if err != nil {
		return have, false, err
	}
	request := remoting.NewRequest(remoting.RequestUpdateGroup, nil, body)
	if _, err := a.send(ctx, b.addr, request); err != nil {
		return have, false, err
	}
	have, _, err = a.groupConfig(ctx, b, spec.Name)
	if err == nil {
		err = spec.compare(have)
	}
	if err != nil {
		return have, created, fmt.Errorf("after it was written: %w", err)
	}
	return have, created, nil
}

// compare tells what of the settings is not as the spec wants it.
func (s GroupSpec) compare(have remoting.GroupConfig) error {
	switch {
	case have.Name != s.Name:
		return &MismatchError{Kind: KindGroup, Name: s.Name, Setting: "name", Got: have.Name, Want: s.Name}
	case s.MaxAttempts > 0 && have.RetryMaxTimes != s.MaxAttempts-1:
		return &MismatchError{
			Kind: KindGroup, Name: s.Name, Setting: "retries",
			Got: strconv.Itoa(have.RetryMaxTimes), Want: strconv.Itoa(s.MaxAttempts - 1),
		}
	}
	return nil
}

// withRetries changes one setting of a group and keeps all others.
func withRetries(raw json.RawMessage, times int) ([]byte, error) {
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("%w: consumer group: %w", remoting.ErrMalformed, err)
	}
	all["retryMaxTimes"] = times
	// The broker keeps attributes that are not mentioned, and takes these for
	// changes.
	delete(all, "attributes")
	return json.Marshal(all)
}

// groupConfig reads a group's settings from a broker; a *NotFoundError if it has
// no such group. It reads those of all groups, because brokers that create groups
// on demand create the one that they are asked for.
func (a *Admin) groupConfig(ctx context.Context, b broker, group string) (
	config remoting.GroupConfig, raw json.RawMessage, err error) {
	answer, err := a.call(ctx, b.addr, remoting.RequestGetAllGroups, nil)
	if err != nil {
		return config, nil, err
	}
	var table remoting.GroupTable
	if err := remoting.DecodeBody(answer.Body, &table); err != nil {
		return config, nil, err
	}
	raw, ok := table.Groups[group]
	if !ok {
		return config, nil, &NotFoundError{Kind: KindGroup, Name: group, Broker: b.name}
	}
	err = remoting.DecodeBody(raw, &config)
	return config, raw, err
}

// CheckGroup returns nil if the group exists on every master broker, and a
// *NotFoundError if it is certainly missing on one: that broker would refuse to
// take back what the group could not handle.
func (a *Admin) CheckGroup(ctx context.Context, name string) error {
	masters, err := a.masters(ctx, false)
	if err != nil {
		return fmt.Errorf("consumer group %q: %w", name, err)
	}
	for _, b := range masters {
		var missing *NotFoundError
		switch _, _, err := a.groupConfig(ctx, b, name); {
		case errors.As(err, &missing):
			return err
		case err != nil:
			return fmt.Errorf("consumer group %q on broker %s: %w", name, b.name, err)
		}
	}
	return nil
}

// DeleteGroup deletes the group, its offsets, its retry topic and its dead
// letters. A group that does not exist is no error.
func (a *Admin) DeleteGroup(ctx context.Context, name string) error {
	if err := checkName(KindGroup, name, maxGroupName); err != nil {
		return err
	}
	masters, err := a.masters(ctx, true)
	if err != nil {
		return fmt.Errorf("consumer group %q: %w", name, err)
	}
	fields := map[string]string{"groupName": name, "cleanOffset": "true"}
	for _, b := range masters {
		if _, err := a.call(ctx, b.addr, remoting.RequestDeleteGroup, fields); err != nil {
			return fmt.Errorf("consumer group %q on broker %s: %w", name, b.name, err)
		}
	}
	if err := a.DeleteTopic(ctx, RetryTopic(name)); err != nil {
		return err
	}
	return a.DeleteTopic(ctx, DeadLetterTopic(name))
}

// Lag returns how many messages of the topic the group has not acknowledged. A
// queue of which it has acknowledged none counts from its first message. The
// group's redeliveries are in RetryTopic, which has a lag of its own.
func (a *Admin) Lag(ctx context.Context, group, topic string) (int64, error) {
	var lag int64
	err := a.eachQueue(ctx, topic, func(addr string, _ QueueID, fields map[string]string) error {
		end, err := a.offset(ctx, addr, remoting.RequestGetMaxOffset, fields)
		if err != nil {
			return err
		}
		fields["consumerGroup"] = group
		fields["setZeroIfNotFound"] = "false"
		at, err := a.offset(ctx, addr, remoting.RequestQueryConsumerOffset, fields)
		if remoting.ResponseCode(err) == remoting.ResponseQueryNotFound {
			at, err = a.offset(ctx, addr, remoting.RequestGetMinOffset, fields)
		}
		if err != nil {
			return err
		}
		// The group may have gone on since the first question.
		lag += max(0, end-at)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("lag of consumer group %q on topic %q: %w", group, topic, err)
	}
	return lag, nil
}
