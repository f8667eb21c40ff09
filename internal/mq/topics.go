package mq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// DefaultQueues is the number of queues that a topic gets on each broker unless
// its TopicSpec says otherwise. A group can have as many consumers at work.
const DefaultQueues = 8

// TopicSpec is a topic that must exist.
type TopicSpec struct {
	Name string
	// Type is the kind of messages: NORMAL, DELAY, TRANSACTION or FIFO; "" leaves
	// it open. A RocketMQ 5 proxy refuses messages of another kind.
	Type string
	// Queues is the least number of queues on each broker; 0 means DefaultQueues.
	Queues int
}

// EnsureTopic makes sure that the topic exists on every master broker and that
// the name servers know it, and tells whether it had to be created anywhere. It
// adds queues if there are too few and declares the type if there is none. A
// topic of another type, or one without permission to read and write, is left as
// it is and is a *MismatchError: the broker itself would change the type without
// a word.
func (a *Admin) EnsureTopic(ctx context.Context, spec TopicSpec) (created bool, err error) {
	if spec.Queues == 0 {
		spec.Queues = DefaultQueues
	}
	if err := spec.check(); err != nil {
		return false, err
	}
	masters, err := a.masters(ctx, true)
	if err != nil {
		return false, fmt.Errorf("topic %q: %w", spec.Name, err)
	}
	for _, b := range masters {
		made, err := a.ensureTopicOn(ctx, b, spec)
		created = created || made
		if err != nil {
			return created, fmt.Errorf("topic %q on broker %s: %w", spec.Name, b.name, err)
		}
	}
	if err := a.awaitRoute(ctx, spec, masters); err != nil {
		return created, fmt.Errorf("topic %q: %w", spec.Name, err)
	}
	return created, nil
}

func (s TopicSpec) check() error {
	if err := checkName(KindTopic, s.Name, maxTopicName); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "NORMAL", "DELAY", "TRANSACTION", "FIFO"}, s.Type) {
		return fmt.Errorf("topic %q: there is no message type %q", s.Name, s.Type)
	}
	if s.Queues < 1 {
		return fmt.Errorf("topic %q: it needs a queue", s.Name)
	}
	return nil
}

// ensureTopicOn brings one broker's settings of the topic to the spec.
func (a *Admin) ensureTopicOn(ctx context.Context, b broker, spec TopicSpec) (created bool, err error) {
	const perm = remoting.PermRead | remoting.PermWrite
	var missing *NotFoundError
	have, err := a.topicConfig(ctx, b.addr, spec.Name)
	switch {
	case errors.As(err, &missing):
		created = true
		have = remoting.TopicConfig{Name: spec.Name, Perm: perm}
	case err != nil:
		return false, err
	}
	// A difference that is no lack of queues or type would stay one.
	want := have
	want.ReadQueues = max(have.ReadQueues, spec.Queues)
	want.WriteQueues = max(have.WriteQueues, spec.Queues)
	declared := have.Attributes[remoting.AttributeMessageType]
	declare := spec.Type != "" && declared == ""
	if err := spec.compare(want, !declare); err != nil {
		return false, err
	}
	if !created && !declare && want.ReadQueues == have.ReadQueues && want.WriteQueues == have.WriteQueues {
		return false, nil
	}
	if want.FilterType == "" {
		want.FilterType = "SINGLE_TAG"
	}
	if err := a.putTopic(ctx, b.addr, want, spec.Type, declare); err != nil {
		return false, err
	}
	have, err = a.topicConfig(ctx, b.addr, spec.Name)
	if err != nil {
		return created, fmt.Errorf("after it was written: %w", err)
	}
	if err := spec.compare(have, true); err != nil {
		return created, fmt.Errorf("after it was written: %w", err)
	}
	return created, nil
}

// compare tells what of the settings is not as the spec wants it.
func (s TopicSpec) compare(have remoting.TopicConfig, withType bool) error {
	const perm = remoting.PermRead | remoting.PermWrite
	mismatch := func(setting string, got, want any) error {
		return &MismatchError{
			Kind: KindTopic, Name: s.Name, Setting: setting,
			Got: fmt.Sprint(got), Want: fmt.Sprint(want),
		}
	}
	declared := have.Attributes[remoting.AttributeMessageType]
	switch {
	case have.Name != s.Name:
		return mismatch("name", have.Name, s.Name)
	case have.ReadQueues < s.Queues:
		return mismatch("read queues", have.ReadQueues, s.Queues)
	case have.WriteQueues < s.Queues:
		return mismatch("write queues", have.WriteQueues, s.Queues)
	case have.Perm&perm != perm:
		return mismatch("permissions", have.Perm, perm)
	case withType && s.Type != "" && declared != s.Type:
		return mismatch("message type", strconv.Quote(declared), strconv.Quote(s.Type))
	}
	return nil
}

// putTopic writes a topic's settings to a broker.
func (a *Admin) putTopic(ctx context.Context, addr string, c remoting.TopicConfig, kind string, declare bool) error {
	fields := map[string]string{
		"topic":           c.Name,
		"defaultTopic":    "TBW102", // required and not used
		"readQueueNums":   strconv.Itoa(c.ReadQueues),
		"writeQueueNums":  strconv.Itoa(c.WriteQueues),
		"perm":            strconv.Itoa(c.Perm),
		"topicFilterType": c.FilterType,
		"topicSysFlag":    strconv.Itoa(c.SysFlag),
		"order":           strconv.FormatBool(c.Order),
	}
	if declare {
		fields["attributes"] = "+" + remoting.AttributeMessageType + "=" + kind
	}
	_, err := a.call(ctx, addr, remoting.RequestUpdateTopic, fields)
	return err
}

// topicConfig reads a topic's settings from a broker; a *NotFoundError if it has
// no such topic.
func (a *Admin) topicConfig(ctx context.Context, addr, topic string) (remoting.TopicConfig, error) {
	var c remoting.TopicConfig
	answer, err := a.call(ctx, addr, remoting.RequestGetTopicConfig, map[string]string{"topic": topic})
	switch {
	case remoting.ResponseCode(err) == remoting.ResponseTopicNotExist:
		return c, &NotFoundError{Kind: KindTopic, Name: topic}
	case err != nil:
		return c, err
	}
	err = remoting.DecodeBody(answer.Body, &c)
	return c, err
}

// routeTimeout is how long a broker may take to tell the name servers about a
// topic; it does so at once, and again every 10 to 60 seconds.
const routeTimeout = time.Minute

// awaitRoute waits until every name server that can be reached knows the topic's
// queues on all the brokers.
func (a *Admin) awaitRoute(ctx context.Context, spec TopicSpec, masters []broker) error {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	return poll(ctx, "the name server does not show its route yet", func() (bool, error) {
		var answered bool
		var last error
		for _, addr := range a.nameServers {
			answer, err := a.call(ctx, addr, remoting.RequestGetRoute, routeFields(spec.Name))
			if errors.Is(err, message.ErrUnavailable) {
				last = err
				continue
			}
			answered = true
			var missing *NotFoundError
			route, err := parseRoute(spec.Name, answer, err)
			switch {
			case errors.As(err, &missing):
				return false, nil
			case err != nil:
				return false, err
			case !routeShows(route, spec, masters):
				return false, nil
			}
		}
		if !answered {
			return false, last
		}
		return true, nil
	})
}

func routeShows(route remoting.Route, spec TopicSpec, masters []broker) bool {
	for _, b := range masters {
		if !slices.ContainsFunc(route.Queues, func(q remoting.QueueData) bool {
			return q.Broker == b.name && q.ReadQueues >= spec.Queues && q.WriteQueues >= spec.Queues
		}) {
			return false
		}
	}
	return true
}

// poll asks until the answer is yes, there is an error, or the context ends.
func poll(ctx context.Context, what string, ask func() (bool, error)) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return timeMayMend(fmt.Errorf("%s: %w", what, ctx.Err()))
		case <-time.After(wait):
		}
	}
}

// CheckTopic returns nil if the name server has a route to the topic, a
// *NotFoundError if no broker has the topic, and another error as long as
// neither is certain.
func (a *Admin) CheckTopic(ctx context.Context, name string) error {
	var missing *NotFoundError
	_, err := a.route(ctx, name)
	if !errors.As(err, &missing) {
		return err
	}
	// A name server that has just started knows no topics at all.
	masters, err := a.masters(ctx, true)
	if err != nil {
		return fmt.Errorf("topic %q: %w", name, err)
	}
	for _, b := range masters {
		switch _, err := a.topicConfig(ctx, b.addr, name); {
		case err == nil:
			return fmt.Errorf("%w: topic %q is on broker %s, but the name server does not know it yet",
				message.ErrUnavailable, name, b.name)
		case !errors.As(err, &missing):
			return fmt.Errorf("topic %q on broker %s: %w", name, b.name, err)
		}
	}
	return &NotFoundError{Kind: KindTopic, Name: name}
}

// DeleteTopic deletes the topic with its messages from every master broker and
// every name server. A topic that does not exist is no error.
func (a *Admin) DeleteTopic(ctx context.Context, name string) error {
	if err := checkName(KindTopic, name, maxTopicName); err != nil {
		return err
	}
	masters, err := a.masters(ctx, true)
	if err != nil {
		return fmt.Errorf("topic %q: %w", name, err)
	}
	fields := map[string]string{"topic": name}
	for _, b := range masters {
		if _, err := a.call(ctx, b.addr, remoting.RequestDeleteTopic, fields); err != nil {
			return fmt.Errorf("topic %q on broker %s: %w", name, b.name, err)
		}
	}
	for _, addr := range a.nameServers {
		if _, err := a.call(ctx, addr, remoting.RequestDeleteTopicRoute, fields); err != nil {
			return fmt.Errorf("topic %q at name server %s: %w", name, addr, err)
		}
	}
	return nil
}

// QueueID names one queue of a topic.
type QueueID struct {
	Broker string
	Queue  int
}

// TopicMaxOffsets returns, for every queue of the topic, the offset that its
// next message will get.
func (a *Admin) TopicMaxOffsets(ctx context.Context, topic string) (map[QueueID]int64, error) {
	offsets := make(map[QueueID]int64)
	err := a.eachQueue(ctx, topic, func(addr string, id QueueID, fields map[string]string) error {
		offset, err := a.offset(ctx, addr, remoting.RequestGetMaxOffset, fields)
		offsets[id] = offset
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("topic %q: %w", topic, err)
	}
	return offsets, nil
}

// eachQueue calls visit for every queue that can be read.
func (a *Admin) eachQueue(ctx context.Context, topic string,
	visit func(addr string, id QueueID, fields map[string]string) error) error {
	masters, route, err := a.routeMasters(ctx, topic)
	if err != nil {
		return err
	}
	for _, b := range masters {
		for _, q := range route.Queues {
			if q.Broker != b.name {
				continue
			}
			for id := range q.ReadQueues {
				fields := map[string]string{"topic": topic, "queueId": strconv.Itoa(id)}
				if err := visit(b.addr, QueueID{Broker: b.name, Queue: id}, fields); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// offset asks a broker for an offset.
func (a *Admin) offset(ctx context.Context, addr string, code int, fields map[string]string) (int64, error) {
	answer, err := a.call(ctx, addr, code, fields)
	if err != nil {
		return 0, err
	}
	offset, err := strconv.ParseInt(answer.Ext["offset"], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: offset: %w", remoting.ErrMalformed, err)
	}
	return offset, nil
}
