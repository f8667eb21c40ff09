package order

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// commitFault makes the next COMMIT of a local transaction fail.
type commitFault struct {
	lands   bool // it fails after it has taken effect; else the transaction is rolled back
	settles bool // the barrier can be asked afterwards
}

// failCommit ends the next local transaction under the feet of InTx, whose own
// COMMIT then fails: the one thing that InTx cannot tell apart from a COMMIT whose
// answer got lost. It counts how often the local transaction ran.
func (w *world) failCommit(f commitFault) *atomic.Int64 {
	var runs atomic.Int64
	w.broker.set(func(b *fakeBroker) {
		b.execute = func(_ *half, arg any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
			work := arg.(*localTransaction)
			apply := work.apply
			work.apply = func(tx *Tx, m message.Message) error {
				runs.Add(1)
				if err := apply(tx, m); err != nil {
					return err
				}
				if !f.settles {
					w.faults.set(failStatements(isFence))
				}
				pool := tx.db.Statement.ConnPool.(*sql.Tx)
				if f.lands {
					return pool.Commit()
				}
				return pool.Rollback()
			}
			return run()
		}
	})
	return &runs
}

// heal takes the faults away.
func (w *world) heal() {
	w.broker.set(func(b *fakeBroker) { b.execute = nil })
	w.faults.set(nil)
}

// T71: a COMMIT that failed after it had taken effect is a commit: the order is
// answered, its event delivered.
func TestFailedCommitThatLanded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		runs := w.failCommit(commitFault{lands: true, settles: true})
		r := request()
		o := w.place(r)
		if runs.Load() != 1 {
			t.Errorf("the local transaction ran %d times", runs.Load())
		}
		w.wantDelivered(o.ID, event.TagCreated)
		w.heal()
		if again := w.place(r); again.ID != o.ID {
			t.Errorf("order %s, then %s", o.ID, again.ID)
		}
		w.wantRows(map[string]int64{"orders": 1})
	})
}

// T71: a COMMIT that failed and did not take effect is a rollback, from then on
// fenced: were it still running on the server, it would now fail.
func TestFailedCommitThatDidNotLand(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		runs := w.failCommit(commitFault{lands: false, settles: true})
		r := request()
		_, err := w.service.Place(t.Context(), draft(t, r))
		wantError(t, err, codes.Unavailable, unavailable)
		if !errors.Is(err, database.ErrUnknownOutcome) || runs.Load() != 1 {
			t.Errorf("%v; the local transaction ran %d times", err, runs.Load())
		}
		h := w.broker.lastHalf()
		if w.broker.stateOf(h) != message.StateRollback {
			t.Errorf("half message is %s", h.state)
		}
		w.wantRows(map[string]int64{"orders": 0, "barriers": 1})
		err = w.store.inTx(t.Context(), func(tx *Tx) error { return tx.insertBarrier(h.message.Properties[event.PropertyBarrier]) })
		if !errors.Is(err, errAborted) {
			t.Errorf("the late COMMIT is not fenced off: %v", err)
		}
		w.heal()
		w.wantDelivered(w.place(r).ID, event.TagCreated)
	})
}

// T71: if the database cannot be asked what became of the COMMIT, the client gets
// Unavailable and the check-back decides; a repetition gives exactly one order.
func TestFailedCommitThatCannotBeSettled(t *testing.T) {
	t.Parallel()
	for _, lands := range []bool{true, false} {
		name := "lost"
		if lands {
			name = "landed"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, w *world) {
				w.failCommit(commitFault{lands: lands})
				r := request()
				_, err := w.service.Place(t.Context(), draft(t, r))
				wantError(t, err, codes.Unavailable, unavailable)
				h := w.broker.lastHalf()
				if state := w.broker.stateOf(h); state != message.StateUnknown {
					t.Fatalf("half message is %s", state)
				}
				w.heal()
				o := w.place(r)
				want := message.StateRollback
				if lands {
					want = message.StateCommit
				}
				if state := w.broker.checkBack(h, w.listener()); state != want {
					t.Errorf("check-back %s, want %s", state, want)
				}
				w.wantDelivered(o.ID, event.TagCreated)
				w.wantRows(map[string]int64{"orders": 1})
				if tags := w.broker.committedTags(); tags[event.TagCreated] != 1 {
					t.Errorf("committed messages %v", tags)
				}
			})
		})
	}
}

// The caller's deadline leaves time to find out what became of the COMMIT.
func TestDeadlineLeavesTimeToSettle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	deadline := time.Now().Add(8 * time.Second)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	left := time.Duration(-1)
	w.broker.set(func(b *fakeBroker) {
		b.execute = func(_ *half, arg any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
			work := arg.(*localTransaction)
			apply := work.apply
			work.apply = func(tx *Tx, m message.Message) error {
				if own, ok := tx.db.Statement.Context.Deadline(); ok {
					left = deadline.Sub(own)
				}
				return apply(tx, m)
			}
			return run()
		}
	})
	if _, err := w.service.Place(ctx, draft(t, request())); err != nil {
		t.Fatal(err)
	}
	if left < settleTimeout {
		t.Errorf("%s are left of 8 s", left)
	}
}

// The same for a payment: it is recorded once, and paid once, whatever becomes of
// the COMMIT and whoever finds out.
func TestFailedCommitOfAPayment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, f := range []commitFault{{true, true}, {true, false}, {false, true}, {false, false}} {
			o := w.reserved()
			p := payment(t, o)
			w.failCommit(f)
			_, _, err := w.service.Pay(t.Context(), p)
			if f.lands && f.settles {
				if err != nil {
					t.Errorf("%+v: %v", f, err)
				}
			} else {
				wantError(t, err, codes.Unavailable, unavailable)
			}
			w.heal()
			recorded, after := w.pay(p)
			if recorded.Outcome != PaymentAccepted || after.Status != Paid {
				t.Errorf("%+v: %+v, order %s", f, recorded, describe(after))
			}
			w.broker.checkBackAll(w.listener())
			w.wantDelivered(o.ID, event.TagCreated, event.TagPaid)
		}
		w.wantRows(map[string]int64{"payments": 4})
	})
}

// A statement that fails before the COMMIT rolls back, and the client may try
// again: nothing was written.
func TestFailedStatement(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.broker.set(func(b *fakeBroker) {
			b.execute = func(_ *half, arg any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
				work := arg.(*localTransaction)
				apply := work.apply
				work.apply = func(tx *Tx, m message.Message) error { return errors.Join(apply(tx, m), sql.ErrConnDone) }
				return run()
			}
		})
		r := request()
		_, err := w.service.Place(t.Context(), draft(t, r))
		wantError(t, err, codes.Unavailable, unavailable)
		if h := w.broker.lastHalf(); w.broker.stateOf(h) != message.StateRollback {
			t.Errorf("half message is %s", h.state)
		}
		w.wantRows(map[string]int64{"orders": 0, "order_lines": 0, "barriers": 0})
		w.heal()
		w.wantDelivered(w.place(r).ID, event.TagCreated)
	})
}
