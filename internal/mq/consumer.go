package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

// settleTime is how long the library needs, after the last callback has
// returned, to note its result, and the broker to read what it is told without an
// answer, offsets and the ends of half messages: there is nothing to wait on.
const settleTime = 50 * time.Millisecond

type libraryConsumer interface {
	Start() error
	Suspend()
	PersistConsumerOffset() error
	Shutdown() error
	Subscribe(topic string, selector consumer.MessageSelector,
		f func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)) error
}

// Consumer delivers the messages of one topic to a handler, as one member of a
// consumer group. A new group begins with the oldest message.
type Consumer struct {
	client Client
	sub    Subscription
	handle message.Handler
	admin  *Admin
	back   func(context.Context, SendBackRequest) error // the admin's SendBack

	work     context.Context // ends when Stop has run out of time
	stopWork context.CancelFunc
	gate     *gate
	pause    *pause
	slots    chan struct{} // of the handlers of an ordered consumer
	queues   *tenancy      // of an ordered consumer
	watch    sync.WaitGroup
	conflict string // the last one that was logged; of the watch alone

	mu      sync.Mutex
	library libraryConsumer // nil until started
	stopped bool
}

// NewConsumer makes a consumer. The handler is wrapped so that its deliveries
// are measured and logged, and its panics recovered; see attempt for their traces.
func NewConsumer(c Client, s Subscription) *Consumer {
	s = s.withDefaults()
	c.Metrics.expectDeliveries(s)
	work, stop := context.WithCancel(context.Background())
	admin := c.admin()
	k := &Consumer{
		client: c, sub: s, admin: admin, back: admin.SendBack, work: work, stopWork: stop,
		gate: newGate(), pause: newPause(), slots: make(chan struct{}, max(0, s.Concurrency)),
		handle: message.Chain(s.Handler, Measure(c.Metrics, s.Group), Log(c.logger(), s.Group), Recover()),
	}
	k.queues = newTenancy(k.unlock)
	return k
}

// Start returns when the consumer is a member of its group, and tries until
// then: topic and group must exist, and the members that the group has must not
// consume anything else. The error is that of ctx, unless the
// subscription contradicts itself or the broker cannot parse its filter, which no
// waiting mends.
func (c *Consumer) Start(ctx context.Context) error {
	return c.client.untilStarted(ctx, "consumer "+c.sub.Group, c.startOnce, c.topicIsLate)
}

// topicIsLate tells whether all that is missing is a topic that may be.
func (c *Consumer) topicIsLate(err error) bool {
	var missing *NotFoundError
	return c.sub.LateTopic && errors.As(err, &missing) && missing.Kind == KindTopic
}

// startOnce makes a new client each time: one that failed to start is dead.
func (c *Consumer) startOnce(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return err
	}
	library, err := consumer.NewPushConsumer(c.options()...)
	if err != nil {
		return fmt.Errorf("make consumer: %w", err)
	}
	// Subscribing before the start also makes the topic's entry in the library's
	// table of workers. Made later, by the first message, it would be made without a
	// lock, and two queues at once would end the process
	// (apache/rocketmq-client-go#1217).
	if err := library.Subscribe(c.sub.Topic, c.sub.selector(), c.callback()); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := library.Start(); err != nil {
		return fmt.Errorf("start consumer: %w", err)
	}
	return c.take(ctx, library)
}

// check tells what stands in the way of a start.
func (c *Consumer) check(ctx context.Context) error {
	if err := c.sub.check(); err != nil {
		return err
	}
	if c.sub.Broadcast != "" {
		if err := checkOffsetFolder(); err != nil {
			return err
		}
	}
	topic, group := c.admin.CheckTopic(ctx, c.sub.Topic), c.admin.CheckGroup(ctx, c.sub.Group)
	if c.sub.LateTopic && group != nil {
		return group // which nobody makes later: that is worth a word
	}
	if err := errors.Join(topic, group); err != nil {
		return err
	}
	if c.sub.Filter != "" {
		if err := c.admin.checkFilter(ctx, c.sub); err != nil {
			return err
		}
	}
	err := c.admin.CheckSubscription(ctx, c.sub)
	c.noteConflict(err)
	return err
}

// callback is what the library calls with messages.
func (c *Consumer) callback() func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	if c.sub.Ordered {
		return c.onInOrder
	}
	return c.onMessages
}

// take keeps the started client, or shuts it down if Stop has come first.
func (c *Consumer) take(ctx context.Context, library libraryConsumer) error {
	c.mu.Lock()
	if !c.stopped {
		defer c.mu.Unlock()
		c.library = library
		c.watch.Go(func() { c.watchMembers(conflictInterval) })
		return nil
	}
	c.mu.Unlock()
	return errors.Join(errStopped, shutDown(ctx, func() error {
		defer c.gate.open()
		return library.Shutdown()
	}))
}

// Ready is nil once Start has succeeded and until Stop.
func (c *Consumer) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.library == nil {
		return fmt.Errorf("%w: consumer %s is not started", message.ErrUnavailable, c.sub.Group)
	}
	return nil
}

// onMessages is the library's callback. It says ConsumeSuccess only: what must
// come again has been sent back by then, with the broker's answer checked. The
// library would take any answer for a yes, and lose the message
// (apache/rocketmq-client-go#1106).
func (c *Consumer) onMessages(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	for _, msg := range messages {
		if !c.settle(msg) {
			// Stop is under way. The library drops the queue before this callback is let
			// go, so the result counts for nothing and the message comes again.
			c.gate.waitOpen()
			return consumer.ConsumeRetryLater, nil
		}
	}
	return consumer.ConsumeSuccess, nil
}

// settle hands one message to the handler: false means that the consumer was
// stopped before the message was handled, parked or sent back.
func (c *Consumer) settle(msg *primitive.MessageExt) bool {
	if !c.gate.enter() {
		return false
	}
	defer c.gate.leave()
	if !c.pause.begin(c.gate.closing(), nil) {
		return false
	}
	m := incoming(msg)
	ctx, err := c.attempt(m)
	c.pause.end()
	switch {
	case err == nil:
		return true
	case c.sub.Broadcast != "":
		return c.tryAgain(ctx, m, err)
	default:
		return c.sendBack(ctx, msg, m, 0, err)
	}
}

// attempt runs the handler, and parks m if that is what it asks for. What else becomes
// of m belongs to the same trace, which is that of the context it returns.
func (c *Consumer) attempt(m message.Message) (traced context.Context, err error) {
	traced, span := startProcess(c.work, c.client.tracer(), c.sub.Group, m)
	ctx, cancel := context.WithTimeout(traced, c.sub.HandlerTimeout)
	defer cancel()
	err = c.handle(ctx, m)
	tracing.End(span, err)
	var permanent *message.PermanentError
	if !errors.As(err, &permanent) {
		return traced, err
	}
	if err := c.park(ctx, m, permanent); err != nil {
		c.log(traced, slog.LevelWarn, "cannot park message", m, err)
		return traced, err
	}
	return traced, nil
}

// log writes a line about m.
func (c *Consumer) log(ctx context.Context, level slog.Level, text string, m message.Message, err error) {
	logDelivery(ctx, c.client.logger(), level, text, c.sub.Group, m, err)
}

func (c *Consumer) park(ctx context.Context, m message.Message, why *message.PermanentError) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parking panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if c.sub.Parker == nil {
		return fmt.Errorf("group %s has nowhere to park messages: %w", c.sub.Group, why)
	}
	return c.sub.Parker.Park(ctx, message.Parked{
		Group: c.sub.Group, OrderID: m.Subject(), Message: m, Reason: why.Reason, Detail: why.Error(),
	})
}

// Stop lets running handlers finish until ctx ends, takes the consumer out of
// its group, and closes the connections, for which it has a little longer.
// Messages that were not handled come again, at another member or at the next
// start. The library itself waits for nothing: it would throw the running
// handlers' results away. It may be called at any time, and twice; a consumer does
// not start again.
func (c *Consumer) Stop(ctx context.Context) error {
	c.mu.Lock()
	library := c.library
	c.library, c.stopped = nil, true
	c.mu.Unlock()
	if library != nil {
		// A pull that is answered during Shutdown can end the process ("send on
		// closed channel", apache/rocketmq-client-go#1051): start no more of them.
		library.Suspend()
	}
	err := c.gate.close(ctx)
	c.stopWork()
	c.watch.Wait()
	if library != nil {
		err = errors.Join(err, shutDown(ctx, func() error { return c.leave(library) }))
	}
	c.queues.close()
	return errors.Join(err, c.admin.Close())
}

// leave takes the client out of the group. Held callbacks may return only behind
// it, however long it takes: before, the library would send their messages back
// unchecked.
func (c *Consumer) leave(library libraryConsumer) error {
	defer c.gate.open()
	time.Sleep(settleTime)
	// Shutdown tells the broker the offsets too, but closes the connection behind
	// them at once: with an answer still unread that is a reset, and the broker
	// may never see what was acknowledged last.
	err := library.PersistConsumerOffset()
	time.Sleep(settleTime)
	return errors.Join(err, library.Shutdown())
}
