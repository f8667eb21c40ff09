package mq

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.opentelemetry.io/otel/attribute"

	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

// checkTimeout bounds one check-back: the library answers them one after the
// other on one goroutine, so a slow one holds up all behind it.
const checkTimeout = 2 * time.Second

// libraryListener is what the library calls. No panic gets past it: in
// CheckLocalTransaction one would end the process, or the goroutine that answers
// all check-backs.
type libraryListener struct{ p *TransactionProducer }

// ExecuteLocalTransaction runs synchronously within SendMessageInTransaction,
// with the pointer that was given to it.
func (l libraryListener) ExecuteLocalTransaction(msg *primitive.Message) primitive.LocalTransactionState {
	value, ok := l.p.calls.Load(msg)
	if !ok { // the warm-up
		return primitive.RollbackMessageState
	}
	call := value.(*localCall)
	if !call.begin() {
		return primitive.RollbackMessageState
	}
	// From here on the caller's departure must not tear a COMMIT in two; its
	// deadline still holds.
	ctx := context.WithoutCancel(call.ctx)
	if deadline, ok := call.ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	call.message.ID = idOf(msg)
	state, err := l.execute(ctx, call)
	call.settle = startSettle(ctx, call.message, state)
	call.complete(state, err)
	return libraryState(state)
}

func (l libraryListener) execute(ctx context.Context, call *localCall) (state message.TransactionState, err error) {
	ctx, span := startLocal(ctx, call.message)
	defer func() { tracing.End(span, err) }()
	defer func() {
		if p := recover(); p != nil { // it may have committed before
			state, err = message.StateUnknown, fmt.Errorf("local transaction panicked: %v\n%s", p, debug.Stack())
		}
	}()
	state, err = l.p.listener.ExecuteLocalTransaction(ctx, call.message, call.arg)
	if state != message.StateCommit && err == nil {
		err = fmt.Errorf("local transaction ended as %s without an error", state)
	}
	return state, err
}

// CheckLocalTransaction runs on the library's single check-back goroutine.
func (l libraryListener) CheckLocalTransaction(msg *primitive.MessageExt) primitive.LocalTransactionState {
	if msg.GetProperty(propertyWarmUp) != "" {
		return primitive.RollbackMessageState
	}
	if !l.p.checks.enter() { // stopping: what the listener needs may be gone already
		return primitive.UnknowState
	}
	defer l.p.checks.leave()
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	state := l.check(ctx, msg)
	l.p.client.Metrics.countCheckBack(l.p.group, state, time.Since(time.UnixMilli(msg.BornTimestamp)))
	return libraryState(state)
}

func (l libraryListener) check(ctx context.Context, msg *primitive.MessageExt) (state message.TransactionState) {
	var m message.Message
	defer func() {
		if p := recover(); p != nil {
			l.p.client.logger().ErrorContext(ctx, "check-back panicked", "group", l.p.group, "topic", m.Topic,
				m.LogAttr(), "message_id", m.ID, "panic", p, "stack", string(debug.Stack()))
			state = message.StateUnknown
		}
	}()
	m = incoming(msg)
	ctx, span := startDelivery(ctx, l.p.client.tracer(), operationCheck, m)
	defer func() {
		describe(span, operationCheck, "", m, attribute.String("orderflow.answer", state.String()))
		tracing.End(span, nil)
	}()
	return l.p.listener.CheckLocalTransaction(ctx, m)
}

// libraryState translates; the library's name for unknown changes with its
// version.
func libraryState(s message.TransactionState) primitive.LocalTransactionState {
	switch s {
	case message.StateCommit:
		return primitive.CommitMessageState
	case message.StateRollback:
		return primitive.RollbackMessageState
	default:
		return primitive.UnknowState
	}
}
