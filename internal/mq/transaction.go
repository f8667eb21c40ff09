package mq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"orderflow/internal/mq/message"
)

// onlineTimeout is how long a new transaction producer may take to show up in
// the broker's list. The library's first heartbeat comes after one second, the
// next only after thirty.
const onlineTimeout = 4 * time.Second

// propertyWarmUp marks the half message that is sent right after the start, and
// always rolled back.
const propertyWarmUp = "warm-up"

type libraryTransactionProducer interface {
	SendMessageInTransaction(ctx context.Context, mq *primitive.Message) (*primitive.TransactionSendResult, error)
	Shutdown() error
}

// TransactionProducer sends half messages and runs the local transactions that
// decide about them. A process needs one, for as long as it lives; every
// process of the group may be asked by check-back about any half message of it.
type TransactionProducer struct {
	client   Client
	group    string
	topics   []string
	listener message.TransactionListener
	admin    *Admin
	sends    *sending
	calls    sync.Map // *primitive.Message → *localCall: the library passes the same pointer back
	checks   *gate    // the check-backs that are being answered

	mu      sync.Mutex
	library libraryTransactionProducer // nil until started
	stopped bool
}

// NewTransactionProducer makes a transaction producer of the group. The topics
// are those that it will send half messages to.
func NewTransactionProducer(c Client, group string, l message.TransactionListener, topics ...string) *TransactionProducer {
	c.Metrics.expectHalves(group, topics)
	return &TransactionProducer{
		client: c, group: group, topics: topics, listener: l,
		admin: c.admin(), sends: newSending(), checks: newGate(),
	}
}

// Start returns when half messages can be sent and check-backs arrive, and tries
// until then. The error is that of ctx.
func (p *TransactionProducer) Start(ctx context.Context) error {
	return p.client.untilStarted(ctx, "transaction producer "+p.group, p.startOnce)
}

// startOnce makes a client and warms it up. Heartbeats, by which the broker
// learns whom to ask, go only to brokers that the client already knows, and it
// learns of them by its first send: without one within the first second no
// check-back arrives for 30 seconds.
func (p *TransactionProducer) startOnce(ctx context.Context) error {
	if len(p.topics) == 0 {
		return errors.New("a transaction producer needs a topic to warm up with")
	}
	for _, topic := range p.topics {
		if err := p.admin.CheckTopic(ctx, topic); err != nil {
			return err
		}
	}
	instance := p.client.instance("transactions")
	library, err := producer.NewTransactionProducer(libraryListener{p},
		producer.WithGroupName(p.group),
		producer.WithInstanceName(instance),
		producer.WithNsResolver(p.client.resolver()),
		producer.WithCredentials(p.client.Credentials.library()),
		producer.WithRetry(sendRetries),
	)
	if err != nil {
		return fmt.Errorf("make transaction producer: %w", err)
	}
	if err := library.Start(); err != nil {
		return fmt.Errorf("start transaction producer: %w", err)
	}
	if err := p.warmUp(ctx, library, instance); err != nil {
		return errors.Join(err, shutDown(ctx, library.Shutdown))
	}
	if !p.take(library) {
		return errors.Join(errStopped, shutDown(ctx, library.Shutdown))
	}
	return nil
}

// take keeps the started client, unless Stop has come first.
func (p *TransactionProducer) take(library libraryTransactionProducer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.library = library
	return true
}

func (p *TransactionProducer) warmUp(ctx context.Context, library libraryTransactionProducer, instance string) error {
	ctx, cancel := context.WithTimeout(ctx, onlineTimeout)
	defer cancel()
	for _, topic := range p.topics {
		msg := primitive.NewMessage(topic, []byte("{}"))
		msg.WithProperty(propertyWarmUp, "true")
		err := p.sends.run(ctx, func() error {
			_, err := library.SendMessageInTransaction(ctx, msg)
			return err
		})
		if err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		online, err := p.online(ctx, instance)
		if online {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("the broker does not know this producer, so no check-back would arrive"), err)
		case <-ticker.C:
		}
	}
}

// online tells whether the brokers of all topics know the client.
func (p *TransactionProducer) online(ctx context.Context, instance string) (bool, error) {
	for _, topic := range p.topics {
		if online, err := p.admin.ProducerOnline(ctx, p.group, topic, instance); !online {
			return false, err
		}
	}
	return true, nil
}

// Ready is nil once Start has succeeded and until Stop.
func (p *TransactionProducer) Ready() error {
	_, err := p.started()
	return err
}

func (p *TransactionProducer) started() (libraryTransactionProducer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.library == nil {
		return nil, fmt.Errorf("%w: %w: transaction producer %s is not started", message.ErrNotSent, message.ErrUnavailable, p.group)
	}
	return addressedTransactions{p.library}, nil
}

// SendInTransaction sends m as a half message and, when the broker has stored
// it, calls the listener's ExecuteLocalTransaction with m and arg. Its result is
// what SendInTransaction returns:
//
//	StateCommit, nil     the local transaction is committed and the message will
//	                     be delivered, by the check-back if the commit gets lost
//	StateRollback, err   nothing was committed and the message is dropped; err is
//	                     the listener's
//	StateUnknown, err    the check-back will decide; err is the listener's
//
// If the half message could not be stored, or ctx ended before the local
// transaction began, the state is StateRollback and err wraps ErrNotSent: the
// local transaction did not run and never will.
func (p *TransactionProducer) SendInTransaction(ctx context.Context, m message.Message, arg any) (state message.TransactionState, err error) {
	ctx, end := startSend(ctx, p.client.tracer(), &m)
	defer func() {
		end(err)
		outcome := state.String()
		if errors.Is(err, message.ErrNotSent) {
			outcome = notSent
		}
		p.client.Metrics.countHalf(m.Topic, outcome)
	}()
	library, err := p.started()
	if err != nil {
		return message.StateRollback, err
	}
	msg, err := outgoing(m)
	if err != nil {
		return message.StateRollback, err
	}
	call := &localCall{ctx: ctx, message: m, arg: arg, done: make(chan struct{})}
	if err := p.sends.start(ctx, func() { p.sendHalf(library, msg, call) }); err != nil {
		return message.StateRollback, err
	}
	select {
	case <-call.done:
	case <-ctx.Done():
		call.abandon(fmt.Errorf("%w: %w: no answer in time: %w", message.ErrNotSent, message.ErrUnavailable, ctx.Err()))
		// A local transaction that has begun cannot be left: whether it commits is the
		// caller's answer. It has the same deadline, and the wait is as long as the
		// listener makes of that.
		<-call.done
	}
	return call.state, call.err
}

// sendHalf runs until the half message is ended; the caller is answered as soon
// as the local transaction is.
func (p *TransactionProducer) sendHalf(library libraryTransactionProducer, msg *primitive.Message, call *localCall) {
	p.calls.Store(msg, call)
	defer p.calls.Delete(msg)
	defer func() {
		if call.settle != nil {
			call.settle.End()
		}
	}()
	err := guarded(func() error {
		result, err := library.SendMessageInTransaction(call.ctx, msg)
		if err != nil {
			return fmt.Errorf("%w: %w", message.ErrUnavailable, err)
		}
		// With another status than OK the library has not called the listener, has
		// rolled back, and says nil all the same.
		return check(result.SendResult, nil)
	})
	if err == nil {
		err = fmt.Errorf("%w: the local transaction was not called", message.ErrUnavailable)
	}
	call.abandon(fmt.Errorf("%w: %w", message.ErrNotSent, err)) // no effect if the listener was called
}

// Stop turns new half messages and check-backs away, waits until those under way
// are ended or ctx ends, and closes the connections, for which it has a little
// longer; half messages that are left are decided by check-back at another process
// of the group, or at the next. It may be called at any time, and twice; a producer
// does not start again.
func (p *TransactionProducer) Stop(ctx context.Context) error {
	err := errors.Join(p.sends.drain(ctx), p.checks.close(ctx))
	p.mu.Lock()
	library := p.library
	p.library, p.stopped = nil, true
	p.mu.Unlock()
	if library != nil {
		err = errors.Join(err, shutDown(ctx, func() error {
			// The last half messages' ends are one-way frames, and Shutdown closes the
			// connection right behind them: with something still unread that is a reset,
			// and the broker may never see a commit, which its check-back makes good many
			// seconds later only.
			time.Sleep(settleTime)
			return library.Shutdown()
		}))
	}
	return errors.Join(err, p.admin.Close())
}
