package order

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"gorm.io/gorm"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/clock"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/migrations"
)

const (
	testInterval = time.Millisecond
	// patience bounds what a test waits for.
	patience = 20 * time.Second
)

// replica makes one more service over the same database, which polls until the test
// ends. The returned function ends it sooner, and returns when it has ended.
func (w *world) replica(clk clock.Clock) (*Service, func()) {
	s := New(Deps{
		Store: NewStore(w.db, clk, schedule(), nil), Transactions: w.broker, Timers: w.broker, Parker: w.parked,
		Names: event.NewNames(""), Clock: clk, Log: slog.New(slog.DiscardHandler),
		Config: Config{PaymentWindow: window, LocalTransactionTimeout: 20 * time.Second, WatchInterval: testInterval, MaxWatches: 10},
	})
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.PollChanges(ctx, func(error) {})
	}()
	stop := func() { cancel(); <-ended }
	w.t.Cleanup(stop)
	return s, stop
}

// runningClock stands still, but what waits goes on: polls come by themselves.
type runningClock struct{ clock.Clock }

func (runningClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

func (w *world) running() clock.Clock { return runningClock{w.clock} }

// begin stores an order of version 1 with its entry.
func (w *world) begin() Order {
	w.t.Helper()
	o := row("customer-1", Placed, start.UnixMilli())
	w.insert(o)
	w.note(w.store, o)
	return o
}

func (w *world) note(s *Store, o Order) {
	w.t.Helper()
	if err := s.inTx(w.t.Context(), func(tx *Tx) error { return tx.note(changeOf(o)) }); err != nil {
		w.t.Error(err)
	}
}

func changeOf(o Order) Entry {
	e := o.entry()
	e.Cause = ByClient
	return e
}

// change changes an order through a replica, as all changes are made: the row and its
// entry in one transaction.
func (w *world) change(s *Service, id string, status Status, stock StockState) {
	w.t.Helper()
	err := s.store.inTx(w.t.Context(), func(tx *Tx) error {
		if err := bump(tx, id, status, stock); err != nil {
			return err
		}
		o, _, err := tx.lock(id)
		if err != nil {
			return err
		}
		return tx.note(changeOf(o))
	})
	if err != nil {
		w.t.Error(err)
	}
}

func bump(tx *Tx, id string, status Status, stock StockState) error {
	return tx.db.Table("orders").Where("id = ?", id).Updates(map[string]any{
		"status": status, "stock_state": stock, "updated_at": tx.now, "version": gorm.Expr("version + 1"),
	}).Error
}

// watcher is a watch under way.
type watcher struct {
	t     testing.TB
	got   chan Entry
	ended chan error
	leave context.CancelFunc
}

func (w *world) watch(s *Service, id string, after int64) *watcher {
	ctx, cancel := context.WithCancel(w.t.Context())
	r := &watcher{t: w.t, got: make(chan Entry), ended: make(chan error, 1), leave: cancel}
	go func() {
		r.ended <- s.Watch(ctx, id, after, func(e Entry) error {
			select {
			case r.got <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	w.t.Cleanup(cancel)
	return r
}

// next is the next change that arrives.
func (r *watcher) next() Entry {
	r.t.Helper()
	select {
	case e := <-r.got:
		return e
	case err := <-r.ended:
		r.t.Fatalf("the watch has ended: %v", err)
	case <-time.After(patience):
		r.t.Fatal("no change has arrived")
	}
	return Entry{}
}

func (r *watcher) wantVersions(want ...int64) {
	r.t.Helper()
	for _, version := range want {
		if e := r.next(); e.Version != version {
			r.t.Fatalf("version %d has arrived, want %d", e.Version, version)
		}
	}
}

func (r *watcher) end() error {
	r.t.Helper()
	select {
	case e := <-r.got:
		r.t.Fatalf("version %d has arrived, want the end", e.Version)
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		r.t.Fatal("the watch does not end")
	}
	return nil
}

// await waits for a condition.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// places are the streams of a replica, and its watched orders.
func places(s *Service) (streams, orders int) {
	s.store.hub.mu.Lock()
	defer s.store.hub.mu.Unlock()
	return s.store.hub.streams, len(s.store.hub.watches)
}

// A change that one replica makes arrives at a stream on another one, and at one of
// its own. The stream ends when nothing can change any more.
func TestWatchAcrossReplicas(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a, _ := w.replica(w.running())
		b, _ := w.replica(w.running())
		o := w.begin()
		own, other := w.watch(a, o.ID, 0), w.watch(b, o.ID, 0)
		own.wantVersions(1)
		other.wantVersions(1)
		w.change(a, o.ID, Reserved, StockReserved)
		own.wantVersions(2)
		if e := other.next(); e.Version != 2 || e.Status != Reserved || e.StockState != StockReserved || e.Cause != ByClient || e.ExpiresAt != o.ExpiresAt {
			t.Errorf("%+v", e)
		}
		w.change(b, o.ID, Closed, StockReserved)
		own.wantVersions(3)
		other.wantVersions(3)
		w.change(a, o.ID, Closed, StockReleased)
		own.wantVersions(4)
		other.wantVersions(4)
		if err := errors.Join(own.end(), other.end()); err != nil {
			t.Error(err)
		}
	})
}

// What a replica changes itself reaches its streams without a poll.
func TestWatchIsToldAtOnceOfOwnChanges(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, stop := w.replica(w.running())
		stop()
		o := w.begin()
		r := w.watch(s, o.ID, 0)
		r.wantVersions(1)
		for version := int64(2); version < 10; version++ {
			w.change(s, o.ID, Reserved, StockReserved)
			r.wantVersions(version)
		}
	})
}

// What has ended is told to its end, from any version on, in more than one page.
func TestWatchOfTheFirstChanges(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, _ := w.replica(w.running())
		o := w.begin()
		const last = 2*changesPage + 1
		for range last - 2 {
			w.change(s, o.ID, Reserved, StockReserved)
		}
		w.change(s, o.ID, Paid, StockSold)
		for _, after := range []int64{0, 1, changesPage, changesPage + 1, last - 1, last} {
			r := w.watch(s, o.ID, after)
			for version := after + 1; version <= last; version++ {
				r.wantVersions(version)
			}
			if err := r.end(); err != nil {
				t.Error(err)
			}
		}
		err := s.Watch(t.Context(), o.ID, last+1, nil)
		if fields := fieldsOf(t, err); !slices.Equal(fields, []string{"after_version"}) {
			t.Errorf("%v", err)
		}
	})
}

// Only an order that is paid or closed, and whose stock is what it should be, can
// change no more.
func TestWatchEndsWithTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, databasetest.NewSQLite(t, migrations.Order()))
	s, _ := w.replica(w.running())
	for _, c := range []struct {
		status Status
		stock  StockState
		ends   bool
	}{
		{Placed, StockUnknown, false}, {Reserved, StockReserved, false}, {Paid, StockReserved, false}, {Paid, StockSold, true},
		{Paid, StockReleased, false}, {Closed, StockUnknown, false}, {Closed, StockReserved, false}, {Closed, StockReleased, true},
		{Closed, StockRejected, true}, {Closed, StockSold, false}, {Placed, StockRejected, false}, {Reserved, StockSold, false},
	} {
		o := w.begin()
		w.change(s, o.ID, c.status, c.stock)
		r := w.watch(s, o.ID, 1)
		r.wantVersions(2)
		if !c.ends { // then it takes one more
			w.change(s, o.ID, Paid, StockSold)
			r.wantVersions(3)
		}
		if err := r.end(); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// The last change is committed between the two statements of a read: it is sent, and
// the watch ends all the same, with nobody to wake it.
func TestWatchEndsWithAChangeInTheMiddleOfARead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, stop := w.replica(w.running())
		stop()
		other, _ := w.replica(w.running())
		o := w.begin()
		var changed atomic.Bool
		w.faults.set(func(db *gorm.DB) error {
			if _, ofTimeline := db.Statement.Dest.(*[]Entry); ofTimeline && changed.CompareAndSwap(false, true) {
				w.change(other, o.ID, Paid, StockSold)
			}
			return nil
		})
		r := w.watch(s, o.ID, 0)
		r.wantVersions(1, 2)
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// A client that breaks off and resumes with the last version that it saw sees every
// change exactly once and in order, whoever makes changes meanwhile.
func TestWatchResumesByVersion(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a, _ := w.replica(w.running())
		b, _ := w.replica(w.running())
		o := w.begin()
		const writers, changes = 4, 15
		var writing sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				for range changes {
					w.change([]*Service{a, b}[i%2], o.ID, Reserved, StockReserved)
				}
			})
		}
		go func() {
			writing.Wait()
			w.change(b, o.ID, Paid, StockSold)
		}()
		errBreak := errors.New("broken")
		var seen int64
		for round := 0; ; round++ {
			left := round % 3
			err := []*Service{a, b}[round%2].Watch(t.Context(), o.ID, seen, func(e Entry) error {
				if e.Version != seen+1 {
					t.Errorf("version %d behind %d", e.Version, seen)
				}
				if left--; left < 0 {
					return errBreak // it did not arrive
				}
				seen = e.Version
				return nil
			})
			if err == nil {
				break
			}
			if !errors.Is(err, errBreak) {
				t.Fatal(err)
			}
		}
		if want := int64(1 + writers*changes + 1); seen != want {
			t.Errorf("the last version was %d, want %d", seen, want)
		}
	})
}

// A client that does not read holds up neither other streams nor whoever changes
// orders, and nothing is kept for it: it reads on where it was.
func TestWatchOfASlowClient(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, _ := w.replica(w.running())
		o := w.begin()
		slow, fast := w.watch(s, o.ID, 0), w.watch(s, o.ID, 0)
		const last = 130
		fast.wantVersions(1)
		for version := int64(2); version <= last; version++ {
			w.change(s, o.ID, Reserved, StockReserved)
			fast.wantVersions(version)
		}
		for version := int64(1); version <= last; version++ {
			slow.wantVersions(version)
		}
	})
}

// The streams of a replica are bounded, and one whose client goes away frees its
// place at once.
func TestWatchPlaces(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, stop := w.replica(w.running())
		s.config.MaxWatches = 2
		o := w.begin()
		idle, sending := w.watch(s, o.ID, 1), w.watch(s, o.ID, 0) // one waits for a change, one for its client
		await(t, "two streams", func() bool { streams, _ := places(s); return streams == 2 })
		got := statusOf(t, s.Watch(t.Context(), o.ID, 0, nil))
		if got.code != codes.ResourceExhausted || got.reason != ReasonTooManyStreams || got.retryAfter <= 0 {
			t.Errorf("%+v", got)
		}
		for _, r := range []*watcher{idle, sending} {
			r.leave()
			if err := r.end(); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			again := w.watch(s, o.ID, 0)
			again.wantVersions(1)
			again.leave()
			_ = again.end()
		}
		if streams, orders := places(s); streams != 0 || orders != 0 {
			t.Errorf("%d streams of %d orders are left", streams, orders)
		}
		stop() // returns: nothing is left of the hub's owner either
	})
}

// A change by a program that keeps no timeline is told from the order's row.
func TestWatchOfChangesWithoutATimeline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, _ := w.replica(w.running())
		o := w.begin()
		r := w.watch(s, o.ID, 0)
		r.wantVersions(1)
		old := func(status Status, stock StockState) {
			if err := w.store.inTx(t.Context(), func(tx *Tx) error { return bump(tx, o.ID, status, stock) }); err != nil {
				t.Fatal(err)
			}
		}
		old(Reserved, StockReserved)
		if e := r.next(); e.Version != 2 || e.Status != Reserved || e.Cause != 0 || e.At != start.UnixMilli() {
			t.Errorf("%+v", e)
		}
		w.change(w.service, o.ID, Paid, StockReserved)
		r.wantVersions(3)
		old(Paid, StockSold)
		if e := r.next(); e.Version != 4 || e.StockState != StockSold {
			t.Errorf("%+v", e)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

// The API shows what is stored.
func TestWatchOrderAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, databasetest.NewSQLite(t, migrations.Order()))
	s, _ := w.replica(w.running())
	o := w.begin()
	w.change(s, o.ID, Closed, StockReleased)
	stream := &received[orderv1.WatchOrderResponse]{ctx: t.Context()}
	if err := NewGRPC(s).WatchOrder(&orderv1.WatchOrderRequest{OrderId: o.ID}, stream); err != nil || len(stream.got) != 2 {
		t.Fatalf("%v %v", stream.got, err)
	}
	first, last := stream.got[0], stream.got[1]
	if first.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_PLACED || last.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_CLOSED ||
		last.GetStockState() != orderv1.StockState_STOCK_STATE_RELEASED || last.GetVersion() != 2 ||
		last.GetCause() != orderv1.Cause_CAUSE_CLIENT || last.GetExpiresAt().AsTime().UnixMilli() != o.ExpiresAt ||
		!first.GetChangedAt().AsTime().Equal(start) {
		t.Errorf("%v", stream.got)
	}
	exempt := changeOf(o)
	if exempt.ExpiresAt = NoTimeout; entryToProto(exempt).GetExpiresAt() != nil {
		t.Error("an order without a timeout expires")
	}
}

// outage makes every statement fail that is of the kind, until it is over. The
// function that it returns waits until one has failed.
func (w *world) outage(kind statement) (struck func()) {
	failed := make(chan struct{}, 1)
	w.faults.set(func(db *gorm.DB) error {
		if !kind(db) {
			return nil
		}
		wake(failed)
		return fmt.Errorf("injected: %w", driver.ErrBadConn)
	})
	return func() {
		w.t.Helper()
		select {
		case <-failed:
		case <-time.After(patience):
			w.t.Fatal("no statement has failed")
		}
	}
}

func isTimelineRead(db *gorm.DB) bool {
	return isQuery(db) && strings.Contains(db.Statement.Table, "timeline")
}

// tick lets a replica's poll happen once, and waits until it has.
func (w *world) tick(d time.Duration) {
	w.t.Helper()
	await(w.t, "the poll waits", func() bool { return w.clock.Waiting() == 1 })
	w.clock.Advance(d)
	await(w.t, "the poll waits again", func() bool { return w.clock.Waiting() == 1 })
}
