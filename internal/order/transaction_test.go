package order

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// T01, T02, T03: the database committed, and the process died or the commit of
// the half message got lost. Another process, which knows nothing of it, answers
// the check-back from the database.
func TestCheckBackAfterLostCommit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.broker.set(func(b *fakeBroker) { b.loseEnd = true })
		o := w.place(request())
		w.wantDelivered(o.ID)
		for range 3 { // T05: however often it is asked
			if state := w.broker.checkBack(w.broker.lastHalf(), w.listener()); state != message.StateCommit {
				t.Fatalf("answer %s", state)
			}
		}
		w.wantDelivered(o.ID, event.TagCreated)
		w.wantRows(map[string]int64{"orders": 1, "barriers": 1})
	})
}

// The rollback of a half message got lost: the check-back says rollback, of a
// local transaction that failed and of one that never ran.
func TestCheckBackAfterLostRollback(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.broker.set(func(b *fakeBroker) { b.loseEnd, b.timerFails = true, true })
		if _, err := w.service.Place(t.Context(), draft(t, request())); err == nil {
			t.Fatal("no error")
		}
		for range 2 {
			if state := w.broker.checkBack(w.broker.lastHalf(), w.listener()); state != message.StateRollback {
				t.Fatalf("answer %s", state)
			}
		}
		w.wantRows(map[string]int64{"orders": 0, "barriers": 1})
	})
}

// T05: the check-back has committed the half message when the process gets to
// answer; both say the same.
func TestCheckBackBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.broker.set(func(b *fakeBroker) {
			b.execute = func(h *half, _ any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
				state, err := run()
				if again := b.checkBack(h, w.listener()); again != state {
					t.Errorf("local transaction %s, check-back %s", state, again)
				}
				return state, err
			}
		})
		o := w.place(request())
		w.wantDelivered(o.ID, event.TagCreated)
	})
}

// T04: the check-back comes before the local transaction. It aborts it: the late
// local transaction writes nothing, the client may try again.
func TestCheckBackBeforeTheLocalTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		early := func(b *fakeBroker) {
			b.execute = func(h *half, _ any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
				if state := b.checkBack(h, w.listener()); state != message.StateRollback {
					t.Errorf("answer %s", state)
				}
				return run()
			}
		}
		w.broker.set(early)
		r := request()
		_, err := w.service.Place(t.Context(), draft(t, r))
		wantError(t, err, codes.Unavailable, unavailable)
		w.wantRows(map[string]int64{"orders": 0, "order_lines": 0, "barriers": 1})

		w.broker.set(func(b *fakeBroker) { b.execute = nil })
		o := w.place(r)
		w.wantDelivered(o.ID, event.TagCreated)
		w.stock(event.TagReserved, stockEvent(o.ID, 1))

		w.broker.set(early) // the same fence for a payment and for a close
		p := payment(t, o)
		_, _, err = w.service.Pay(t.Context(), p)
		wantError(t, err, codes.Unavailable, unavailable)
		w.wantRows(map[string]int64{"payments": 0})
		w.clock.Advance(window)
		_, err = w.service.CloseIfUnpaid(t.Context(), []string{o.ID}, ByTimer)
		wantError(t, err, codes.Unavailable, unavailable)
		if got := w.get(o.ID); got.Status != Reserved {
			t.Errorf("order is %s", describe(got))
		}
		w.wantDelivered(o.ID, event.TagCreated)
	})
}

// T04: check-backs that race the local transaction. Whatever the first answer is,
// the row agrees with it, and so does every later answer.
func TestCheckBackRacesTheLocalTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		other := w.listener()
		seen := map[message.TransactionState]int{}
		for round := range 100 {
			var asked message.TransactionState
			answered := make(chan struct{})
			w.broker.set(func(b *fakeBroker) {
				b.execute = func(h *half, arg any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
					ask := func() {
						defer close(answered)
						asked = b.checkBack(h, other)
					}
					// From round to round the question comes at another moment.
					work := arg.(*localTransaction)
					apply := work.apply
					if round%2 == 0 {
						work.apply = func(tx *Tx, m message.Message) error { go ask(); return apply(tx, m) }
					} else {
						go ask()
					}
					return run()
				}
			})
			o, err := w.service.Place(t.Context(), draft(t, request()))
			<-answered
			seen[asked]++
			switch {
			case asked == message.StateCommit && err == nil:
				w.wantDelivered(o.ID, event.TagCreated)
				w.get(o.ID)
			case asked == message.StateRollback && err != nil:
				wantError(t, err, codes.Unavailable, unavailable)
			default:
				t.Fatalf("round %d: check-back %s, Place: %v", round, asked, err)
			}
			if again := w.broker.checkBack(w.broker.lastHalf(), w.listener()); again != asked {
				t.Fatalf("round %d: first %s, then %s", round, asked, again)
			}
		}
		w.wantRows(map[string]int64{"orders": int64(seen[message.StateCommit]), "barriers": 100})
		t.Logf("answers: %v", seen)
	})
}

// While a local transaction is open, its barrier row makes the check-back wait:
// it answers only when the outcome is there.
func TestCheckBackWaitsForAnOpenTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for _, fails := range []bool{false, true} {
			id := newBarrier(t)
			inserted, proceed := make(chan struct{}), make(chan struct{})
			finished := atomic.Bool{}
			answer := make(chan message.TransactionState)
			failure := errors.New("the effect fails")
			waiting := w.waitingForLock()
			go func() {
				<-inserted
				state := w.listener().CheckLocalTransaction(t.Context(), message.Message{Properties: map[string]string{event.PropertyBarrier: id}})
				if !finished.Load() {
					t.Error("the answer came while the transaction was open")
				}
				answer <- state
			}()
			go func() { // let the check-back run into the lock before the transaction ends
				waitUntil(t, waiting)
				close(proceed)
			}()
			err := w.store.inTx(t.Context(), func(tx *Tx) error {
				if err := tx.insertBarrier(id); err != nil {
					return err
				}
				close(inserted)
				<-proceed
				finished.Store(true)
				if fails {
					return failure
				}
				return nil
			})
			want := message.StateCommit
			if fails {
				want = message.StateRollback
			}
			if state := <-answer; state != want || fails != errors.Is(err, failure) {
				t.Errorf("answer %s, want %s; transaction: %v", state, want, err)
			}
		}
	})
}

// waitingForLock tells whether another statement waits from now on: in MySQL for
// the row, in SQLite for the one connection. MySQL's own list of lock waits is no
// use: it is renewed only when nobody has read it for 100 ms.
func (w *world) waitingForLock() func() bool {
	if w.db.Dialect() == database.SQLite {
		before := w.db.Pool().Stats().WaitCount
		return func() bool { return w.db.Pool().Stats().WaitCount > before }
	}
	return func() bool {
		var n int64
		w.db.With(context.WithoutCancel(w.t.Context())).Raw("SELECT COUNT(*) FROM information_schema.processlist" +
			" WHERE db = DATABASE() AND info LIKE 'INSERT INTO `barriers`%'").Scan(&n)
		return n > 0
	}
}

// waitUntil waits for a condition.
func waitUntil(t testing.TB, met func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(20 * time.Second)
	for !met() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Error("the condition was never met")
			return
		}
	}
}

func newBarrier(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// T06: while the database does not answer, nothing is known.
func TestCheckBackWithoutDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.broker.set(func(b *fakeBroker) { b.loseEnd = true })
		o := w.place(request())
		h := w.broker.lastHalf()

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if state := w.listener().CheckLocalTransaction(ended, h.message); state != message.StateUnknown {
			t.Errorf("answer %s without time", state)
		}
		w.faults.set(failStatements(isQuery)) // the insert finds the key taken, the read fails
		if state := w.broker.checkBack(h, w.listener()); state != message.StateUnknown {
			t.Errorf("answer %s without the row", state)
		}
		w.faults.set(nil)
		if state := w.broker.checkBack(h, w.listener()); state != message.StateCommit {
			t.Errorf("answer %s of a database that is back", state)
		}
		w.wantDelivered(o.ID, event.TagCreated)
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		if state := w.listener().CheckLocalTransaction(t.Context(), h.message); state != message.StateUnknown {
			t.Errorf("answer %s of a closed database", state)
		}
	})
}

// T12: a half message that is not one of ours is never decided, and ends no
// process.
func TestCheckBackOfForeignHalfMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	for _, m := range []message.Message{
		{}, {Properties: map[string]string{event.PropertyBarrier: ""}}, {Properties: map[string]string{event.PropertyBarrier: "x"}},
		{Topic: "order-events", Tag: "created", Body: []byte("{"), Properties: map[string]string{"other": "1"}},
	} {
		if state := w.listener().CheckLocalTransaction(t.Context(), m); state != message.StateUnknown {
			t.Errorf("answer %s for %+v", state, m)
		}
	}
	for _, arg := range []any{nil, "", localTransaction{}} {
		if state, err := w.listener().ExecuteLocalTransaction(t.Context(), message.Message{}, arg); state != message.StateRollback || err == nil {
			t.Errorf("local transaction of %T: %s, %v", arg, state, err)
		}
	}
	w.wantNothing()
}

// T02: every kind of half message is found again by check-back, not only created.
func TestCheckBackOfEveryTransition(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.broker.set(func(b *fakeBroker) { b.loseEnd = true })
		paid := w.reserved()
		w.pay(payment(t, paid))
		rejected := w.place(request())
		w.stock(event.TagRejected, stockEvent(rejected.ID, 1))
		expired := w.reserved()
		w.clock.Advance(window)
		w.closeIfUnpaid(expired.ID)
		if n := len(w.broker.pending()); n != 6 {
			t.Fatalf("%d half messages wait for check-back, want 6", n)
		}
		w.broker.checkBackAll(w.listener())
		w.wantDelivered(paid.ID, event.TagCreated, event.TagPaid)
		w.wantDelivered(rejected.ID, event.TagCreated, event.TagClosed)
		w.wantDelivered(expired.ID, event.TagCreated, event.TagClosed)
	})
}

// Half messages that are sent again for the same order have a fence of their own.
func TestBarrierIdsAreNotReused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	w.reserved()
	w.pay(payment(t, w.reserved()))
	var ids []string
	for _, h := range w.broker.halves {
		ids = append(ids, h.message.Properties[event.PropertyBarrier])
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 3 {
		t.Errorf("%d barriers for 3 half messages", n)
	}
}

// Barrier rows are kept for 7 days, and not one millisecond less.
func TestPurgeBarriers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.place(request())
		w.clock.Advance(time.Millisecond)
		second := newBarrier(t) // one that a check-back made
		if _, err := w.store.resolveBarrier(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(7*24*time.Hour - time.Millisecond)
		if err := w.store.purgeBarriers(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantRows(map[string]int64{"barriers": 2})
		w.clock.Advance(time.Millisecond)
		if err := w.store.purgeBarriers(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantRows(map[string]int64{"barriers": 1, "orders": 1})
		if result, err := w.store.resolveBarrier(t.Context(), second); err != nil || result != aborted {
			t.Errorf("the younger one is %d, %v", result, err)
		}
	})
}

// The purge runs at once and then every hour, reports what goes wrong and goes
// on, in batches.
func TestPurgeBarriersRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSQLite(t))
	fill := func(n int) {
		var rows []barrier
		for range n {
			rows = append(rows, barrier{ID: newBarrier(t), Outcome: committed, CreatedAt: 1})
		}
		if err := w.db.With(t.Context()).CreateInBatches(&rows, 100).Error; err != nil {
			t.Fatal(err)
		}
	}
	fill(2*purgeBatch + 1)
	ctx, cancel := context.WithCancel(t.Context())
	failures := make(chan error, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.store.PurgeBarriers(ctx, func(err error) { failures <- err })
	}()
	waitUntil(t, func() bool { return w.clock.Waiting() == 1 })
	w.wantRows(map[string]int64{"barriers": 0})

	fill(1)
	w.faults.set(failStatements(isDelete))
	w.clock.Advance(purgeInterval)
	if err := <-failures; !errors.Is(err, errInjected) {
		t.Errorf("reported %v", err)
	}
	w.faults.set(nil)
	waitUntil(t, func() bool { return w.clock.Waiting() == 1 })
	w.clock.Advance(purgeInterval)
	waitUntil(t, func() bool { return w.count("barriers") == 0 })
	cancel()
	<-done
}
