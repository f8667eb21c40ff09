package mq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"orderflow/internal/mq/message"
)

// libraryProducer is what of the library's producers is used.
type libraryProducer interface {
	SendSync(ctx context.Context, mq ...*primitive.Message) (*primitive.SendResult, error)
	SendOneWay(ctx context.Context, mq ...*primitive.Message) error
	Shutdown() error
}

// Producer sends all messages but half ones. It is safe for concurrent use; a
// process needs one.
type Producer struct {
	client  Client
	group   string
	topics  []string
	admin   *Admin
	sends   *sending
	delays  *delayTable
	oneWays atomic.Bool // something was sent one-way

	mu      sync.Mutex
	library libraryProducer // nil until started
	stopped bool
}

// NewProducer makes a producer of the group. The topics are those that it will
// send to: Start waits until they exist.
func NewProducer(c Client, group string, topics ...string) *Producer {
	admin := c.admin()
	c.Metrics.expectSends(topics)
	return &Producer{
		client: c, group: group, topics: topics, admin: admin, sends: newSending(),
		delays: newDelayTable(admin.DelayLevels),
	}
}

// Start returns when the producer can send, and tries until then: the name
// server answers and the topics exist. The error is that of ctx.
func (p *Producer) Start(ctx context.Context) error {
	return p.client.untilStarted(ctx, "producer "+p.group, p.startOnce)
}

func (p *Producer) startOnce(ctx context.Context) error {
	for _, topic := range p.topics {
		if err := p.admin.CheckTopic(ctx, topic); err != nil {
			return err
		}
	}
	library, err := producer.NewDefaultProducer(
		producer.WithGroupName(p.group),
		producer.WithInstanceName(p.client.instance("producer")),
		producer.WithNsResolver(p.client.resolver()),
		producer.WithCredentials(p.client.Credentials.library()),
		producer.WithRetry(sendRetries),
		producer.WithQueueSelector(newShardSelector()),
	)
	if err != nil {
		return fmt.Errorf("make producer: %w", err)
	}
	if err := library.Start(); err != nil {
		return fmt.Errorf("start producer: %w", err)
	}
	if !p.take(library) {
		return errors.Join(errStopped, shutDown(ctx, library.Shutdown))
	}
	return nil
}

// take keeps the started client, unless Stop has come first.
func (p *Producer) take(library libraryProducer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.library = library
	return true
}

// Ready is nil once Start has succeeded and until Stop.
func (p *Producer) Ready() error {
	_, err := p.started()
	return err
}

func (p *Producer) started() (libraryProducer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.library == nil {
		return nil, fmt.Errorf("%w: %w: producer %s is not started", message.ErrNotSent, message.ErrUnavailable, p.group)
	}
	return addressed{p.library}, nil
}

// Send sends m and returns when the broker has stored it. An error wraps
// ErrUnavailable; unless it wraps ErrNotSent too, the message may be on the
// broker all the same.
func (p *Producer) Send(ctx context.Context, m message.Message) error {
	return p.send(ctx, m, func(*primitive.Message) {})
}

// SendDelayed sends m so that the broker delivers it after d, which must be one
// of the broker's delay levels: else the error is an *UnsupportedDelayError and
// nothing was sent. It returns the id by which the receiver will know the message.
func (p *Producer) SendDelayed(ctx context.Context, m message.Message, d time.Duration) (id string, err error) {
	level, err := p.level(ctx, d)
	if err != nil {
		p.client.Metrics.countSent(m.Topic, 1, err)
		return "", err
	}
	var sent *primitive.Message
	err = p.send(ctx, m, func(msg *primitive.Message) {
		msg.WithDelayTimeLevel(level)
		msg.WithProperty(propertyDelayed, "true")
		sent = msg
	})
	if err != nil {
		return "", err
	}
	return idOf(sent), nil
}

// CheckDelay is nil if the broker can deliver after exactly d, an
// *UnsupportedDelayError if it cannot, and wraps ErrUnavailable if it could not
// be asked.
func (p *Producer) CheckDelay(ctx context.Context, d time.Duration) error {
	_, err := p.level(ctx, d)
	return err
}

// level looks d up in the table of the broker that will deliver: the table is
// its configuration, and a level above its end is silently clamped there.
func (p *Producer) level(ctx context.Context, d time.Duration) (int, error) {
	levels, err := p.delays.get(ctx)
	if err != nil {
		return 0, fmt.Errorf("%w: read the broker's delay levels: %w", message.ErrNotSent, err)
	}
	return levels.Level(d)
}

// send sends m with what mark adds to it.
func (p *Producer) send(ctx context.Context, m message.Message, mark func(*primitive.Message)) (err error) {
	ctx, end := p.observe(ctx, &m)
	defer func() { end(err) }()
	library, msg, err := p.prepare(m)
	if err != nil {
		return err
	}
	mark(msg)
	return p.sends.run(ctx, func() error { return check(library.SendSync(ctx, msg)) })
}

// observe opens m's span and returns what closes it and counts the message.
func (p *Producer) observe(ctx context.Context, m *message.Message) (spanCtx context.Context, end func(error)) {
	ctx, endSpan := startSend(ctx, p.client.tracer(), m)
	return ctx, func(err error) {
		endSpan(err)
		p.client.Metrics.countSent(m.Topic, 1, err)
	}
}

// prepare makes the library's message and returns who sends it.
func (p *Producer) prepare(m message.Message) (libraryProducer, *primitive.Message, error) {
	library, err := p.started()
	if err != nil {
		return nil, nil, err
	}
	msg, err := outgoing(m)
	return library, msg, err
}

// Stop turns new sends away, waits until ctx ends for those under way and for the
// callbacks of asynchronous ones, and closes the connections, for which it has a
// little longer. It may be called at any time, and twice; a producer does not
// start again.
func (p *Producer) Stop(ctx context.Context) error {
	err := p.sends.drain(ctx)
	p.delays.stop()
	p.mu.Lock()
	library := p.library
	p.library, p.stopped = nil, true
	p.mu.Unlock()
	if library != nil {
		err = errors.Join(err, shutDown(ctx, func() error {
			if p.oneWays.Load() {
				// Shutdown closes the connection right behind the last of them: with
				// something still unread that is a reset, and the broker may never see it.
				time.Sleep(settleTime)
			}
			return library.Shutdown()
		}))
	}
	return errors.Join(err, p.admin.Close())
}
