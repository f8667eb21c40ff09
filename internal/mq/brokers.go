package mq

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// DelayLevels returns the delay table of the brokers. It is an error if they do
// not agree: a message's delay would depend on the broker that takes it.
func (a *Admin) DelayLevels(ctx context.Context) (DelayLevels, error) {
	masters, err := a.masters(ctx, false)
	if err != nil {
		return DelayLevels{}, fmt.Errorf("delay levels: %w", err)
	}
	var agreed DelayLevels
	for i, b := range masters {
		levels, err := a.delayLevelsOf(ctx, b.addr)
		if err != nil {
			return DelayLevels{}, fmt.Errorf("delay levels of broker %s: %w", b.name, err)
		}
		if i > 0 && !slices.Equal(levels.delays, agreed.delays) {
			return DelayLevels{}, fmt.Errorf("delay levels: brokers %s and %s have different tables, %v and %v",
				masters[0].name, b.name, agreed.delays, levels.delays)
		}
		agreed = levels
	}
	return agreed, nil
}

func (a *Admin) delayLevelsOf(ctx context.Context, addr string) (DelayLevels, error) {
	const key = "messageDelayLevel"
	answer, err := a.call(ctx, addr, remoting.RequestGetBrokerConfig, nil)
	if err != nil {
		return DelayLevels{}, err
	}
	lines := bufio.NewScanner(bytes.NewReader(answer.Body))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if ok && strings.TrimSpace(name) == key {
			return ParseDelayLevels(value)
		}
	}
	if err := lines.Err(); err != nil {
		return DelayLevels{}, fmt.Errorf("%w: broker settings: %w", remoting.ErrMalformed, err)
	}
	return DelayLevels{}, fmt.Errorf("%w: broker settings without %s", remoting.ErrMalformed, key)
}

// SendBackRequest is a received message that shall be delivered again.
type SendBackRequest struct {
	Group           string // the consumer group that could not handle it
	Topic           string // the topic that the message was sent to
	BrokerName      string // the broker that stores it
	CommitLogOffset int64  // where in that broker's log
	MessageID       string // for the broker's logs
	// DelayLevel is the level to wait; 0 lets the broker choose by the number of
	// deliveries, and a negative one sends the message to the dead letters.
	DelayLevel int
	// MaxAttempts is the number of deliveries, the first one included, after
	// which the message goes to the dead letters instead; 0 leaves it to the
	// group's settings.
	MaxAttempts int
}

// SendBack asks the broker that stores a message to deliver it to the group
// again. Only after nil may the message be acknowledged. After an error it may
// have been sent back nevertheless, so that asking again delivers it twice.
func (a *Admin) SendBack(ctx context.Context, r SendBackRequest) error {
	addr, cached, err := a.store(ctx, r)
	if err != nil {
		return fmt.Errorf("send back %s: %w", r.MessageID, err)
	}
	_, err = a.call(ctx, addr, remoting.RequestSendBack, r.fields())
	if cached && unreachable(err) {
		// The broker may have moved; nothing was sent, so it is safe to ask there.
		a.forgetStore(r.BrokerName)
		fresh, _, routeErr := a.store(ctx, r)
		switch {
		case routeErr != nil:
			err = errors.Join(err, routeErr)
		case fresh != addr:
			addr = fresh
			_, err = a.call(ctx, addr, remoting.RequestSendBack, r.fields())
		}
	}
	if err != nil {
		a.forgetStore(r.BrokerName)
		return fmt.Errorf("send back %s to broker %s: %w", r.MessageID, r.BrokerName, err)
	}
	return nil
}

// fields are the request's extension fields.
func (r SendBackRequest) fields() map[string]string {
	fields := map[string]string{
		"group":       r.Group,
		"originTopic": r.Topic,
		"originMsgId": r.MessageID,
		"offset":      strconv.FormatInt(r.CommitLogOffset, 10),
		"delayLevel":  strconv.Itoa(r.DelayLevel),
		"unitMode":    "false",
	}
	if r.MaxAttempts > 0 {
		// The broker counts redeliveries.
		fields["maxReconsumeTimes"] = strconv.Itoa(r.MaxAttempts - 1)
	}
	return fields
}

// unreachable tells whether the request was certainly not sent.
func unreachable(err error) bool {
	var transport *remoting.TransportError
	return errors.As(err, &transport) && transport.Op == "dial"
}

// store returns the address of the broker that stores the message: the master,
// or a slave, which passes on what is sent back.
func (a *Admin) store(ctx context.Context, r SendBackRequest) (addr string, cached bool, err error) {
	a.mu.Lock()
	addr, cached = a.stores[r.BrokerName]
	a.mu.Unlock()
	if cached {
		return addr, true, nil
	}
	route, err := a.route(ctx, r.Topic)
	if err != nil {
		return "", false, err
	}
	for _, b := range route.Brokers {
		if b.Name != r.BrokerName {
			continue
		}
		if addr := nearest(b.Addrs); addr != "" {
			a.mu.Lock()
			a.stores[r.BrokerName] = addr
			a.mu.Unlock()
			return addr, false, nil
		}
	}
	return "", false, fmt.Errorf("%w: the route of topic %q has no broker %q", message.ErrUnavailable, r.Topic, r.BrokerName)
}

// nearest returns the master's address, or the slave's with the smallest id.
func nearest(addrs map[string]string) string {
	smallest, found := int64(0), ""
	for key, addr := range addrs {
		id, err := strconv.ParseInt(key, 10, 64)
		if err == nil && (found == "" || id < smallest) {
			smallest, found = id, addr
		}
	}
	return found
}

func (a *Admin) forgetStore(broker string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.stores, broker)
}
