package order

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/crashpoint"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

// settleTimeout bounds the attempt to learn at once what became of a failed
// COMMIT. If it does not succeed, the check-back will.
const settleTimeout = time.Second

// localTransaction is the work that SendInTransaction hands to
// ExecuteLocalTransaction.
type localTransaction struct {
	barrier string        // id of the half message
	timeout time.Duration // how long it may take from the start
	change
}

// change is what a local transaction is for.
type change struct {
	ready func(context.Context) error // what else the broker must have acknowledged before; may be nil
	// apply is the effect; m is the half message, and whatever it returns goes back to
	// the caller.
	apply  func(tx *Tx, m message.Message) error
	before int64 // when it must be committed, in milliseconds since the Unix epoch; 0: whenever
}

// Listener decides about order-srv's half messages: it runs local transactions
// and answers check-backs. It implements message.TransactionListener.
type Listener struct {
	store *Store
	clock clock.Clock
	crash *crashpoint.Point
	log   *slog.Logger
	known *outcomes
	asked *checkBacks
}

var _ message.TransactionListener = (*Listener)(nil)

// NewListener makes a listener over the store.
func NewListener(store *Store, clk clock.Clock, crash *crashpoint.Point, log *slog.Logger) *Listener {
	return &Listener{
		store: store, clock: clk, crash: crash, log: log,
		known: newOutcomes(outcomesKept), asked: newCheckBacks(store, log),
	}
}

// TellCheckBacks brings the broker's check-backs into the timelines of their orders,
// several with one statement, until ctx ends and those that wait are written. While it
// does not run, CheckLocalTransaction writes them before it answers.
func (l *Listener) TellCheckBacks(ctx context.Context) { l.asked.run(ctx) }

// ExecuteLocalTransaction commits the barrier row and the effect in one database
// transaction:
//
//	the COMMIT succeeded         commit the half message
//	anything failed before it    roll the half message back
//	the COMMIT itself failed     nobody knows; ask the barrier, and if that is not
//	                             to be had either, leave it to the check-back
func (l *Listener) ExecuteLocalTransaction(ctx context.Context, m message.Message, arg any) (message.TransactionState, error) {
	work, ok := arg.(*localTransaction)
	if !ok {
		return message.StateRollback, fmt.Errorf("local transaction of %v got a %T", m.Keys, arg)
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, share(ctx, l.room(work)))
	defer cancel()
	if work.ready != nil {
		if err := work.ready(ctx); err != nil {
			return message.StateRollback, err
		}
	}
	l.crash.Hit(crashpoint.OrderBeforeTransaction)
	inTx, span := tracing.Start(ctx, "transaction", "")
	err := l.store.inTx(inTx, func(tx *Tx) error {
		if err := tx.insertBarrier(work.barrier); err != nil {
			return err
		}
		return work.apply(tx, m)
	})
	tracing.End(span, err)
	switch {
	case err == nil:
		l.crash.Hit(crashpoint.OrderAfterCommit)
		l.known.keep(work.barrier, message.StateCommit, false)
		return message.StateCommit, nil
	case errors.Is(err, database.ErrUnknownOutcome):
		return l.settle(caller, m, work, err)
	default:
		return message.StateRollback, err
	}
}

// room is how long a local transaction may take: its own timeout, and not longer
// than until it comes too late.
func (l *Listener) room(work *localTransaction) time.Duration {
	if work.before == 0 {
		return work.timeout
	}
	return min(work.timeout, time.UnixMilli(work.before).Sub(l.clock.Now()))
}

// share is how long a local transaction may take: its own timeout, or three
// quarters of what the caller has left. The rest is for settling a failed COMMIT,
// so that the caller is answered within its deadline.
func share(caller context.Context, timeout time.Duration) time.Duration {
	if deadline, ok := caller.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)*3/4) // a deadline is of the machine's clock
	}
	return timeout
}

// settle finds out what became of a COMMIT that failed, with the check-back's own
// question. A plain read would prove nothing: the COMMIT may still be running on
// the server, but then the barrier's insert waits for it.
func (l *Listener) settle(ctx context.Context, m message.Message, work *localTransaction, failed error) (message.TransactionState, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	result, err := l.store.resolveBarrier(ctx, work.barrier)
	switch {
	case err != nil: // who called logs it
		return message.StateUnknown, fmt.Errorf("orders %v: %w; its outcome is left to the check-back: %w", m.Keys, failed, err)
	case result == committed:
		return message.StateCommit, nil
	default:
		return message.StateRollback, failed
	}
}

// CheckLocalTransaction answers what became of a half message, at whichever
// process the broker asks: the barrier row is the only witness. If there is none
// it inserts one, so that a local transaction that is still running anywhere must
// fail: "no row" alone would not mean "rolled back". What the row said once it says
// for ever, so it is asked once. Answers are given one after the other: on a machine
// that is too slow for the broker's interval, each half message would else cost
// statements with every question, and the questions would come faster than answers.
func (l *Listener) CheckLocalTransaction(ctx context.Context, m message.Message) message.TransactionState {
	id := m.Properties[event.PropertyBarrier]
	if !event.IsOrderID(id) { // barrier ids are UUIDs too
		l.log.ErrorContext(ctx, "check-back for a half message without a barrier id", "topic", m.Topic, m.LogAttr())
		return message.StateUnknown
	}
	answer, told := l.known.of(id)
	if told {
		return answer
	}
	var why error
	if answer == message.StateUnknown {
		answer, why = l.answer(ctx, id)
		l.known.keep(id, answer, true)
	}
	if why != nil {
		l.log.WarnContext(ctx, "check-back cannot be answered yet", m.LogAttr(), "error", why)
	}
	l.asked.tell(ctx, m, answer)
	return answer
}

// answer is what the barrier says.
func (l *Listener) answer(ctx context.Context, id string) (message.TransactionState, error) {
	result, err := l.store.resolveBarrier(ctx, id)
	switch {
	case err != nil:
		return message.StateUnknown, err
	case result == committed:
		return message.StateCommit, nil
	default:
		return message.StateRollback, nil
	}
}
