package order

import (
	"database/sql/driver"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"gorm.io/gorm"

	"orderflow/internal/database/databasetest"
	"orderflow/migrations"
)

// A short outage does not end a stream, whether it is the polls that fail or its own
// reads; a long one does.
func TestWatchThroughAnOutage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, _ := w.replica(w.clock)
		o := w.begin()
		r := w.watch(s, o.ID, 0)
		r.wantVersions(1)

		w.outage(isQuery)
		w.tick(testInterval)
		w.tick(watchPatience - time.Second)
		w.faults.set(nil)
		w.change(w.service, o.ID, Reserved, StockReserved) // by another replica
		w.tick(testInterval)
		r.wantVersions(2)

		struck := w.outage(isTimelineRead)
		w.change(s, o.ID, Paid, StockReserved) // by this one: it reads at once, in vain
		struck()
		w.faults.set(nil)
		w.tick(testInterval)
		r.wantVersions(3)

		w.outage(isQuery)
		w.tick(testInterval)
		w.clock.Advance(watchPatience)
		wantError(t, r.end(), codes.Unavailable, unavailable)
		w.faults.set(nil)
	})
}

// An outage that its last watcher has left says nothing about the next one's patience.
func TestWatchAfterAnOutageThatNobodySawEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, databasetest.NewSQLite(t, migrations.Order()))
	s, _ := w.replica(w.clock)
	first := s.store.hub.watch("first")
	await(t, "the poll waits", func() bool { return w.clock.Waiting() == 1 })
	w.faults.set(func(*gorm.DB) error {
		first.leave() // while the poll is under way
		w.faults.set(nil)
		return fmt.Errorf("injected: %w", driver.ErrBadConn)
	})
	w.clock.Advance(testInterval)
	await(t, "the poll has failed", func() bool {
		s.store.hub.mu.Lock()
		defer s.store.hub.mu.Unlock()
		return !s.store.hub.down.IsZero() || w.clock.Waiting() == 1
	})

	w.clock.Advance(time.Hour)
	w.outage(isQuery)
	second := s.store.hub.watch("second")
	w.tick(testInterval) // the first failure of another outage
	if second.isLost() {
		t.Error("a stream was given up at the first failure")
	}
	w.faults.set(nil)
}

// Reads that fail for too long end a stream even if the polls get through.
func TestWatchWhoseReadsFail(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, _ := w.replica(w.clock)
		o := w.begin()
		r := w.watch(s, o.ID, 0)
		r.wantVersions(1)
		await(t, "the poll waits", func() bool { return w.clock.Waiting() == 1 })
		struck := w.outage(isTimelineRead)
		w.change(s, o.ID, Reserved, StockReserved)
		struck()
		await(t, "the end", func() bool { w.clock.Advance(watchPatience); return len(r.ended) == 1 })
		wantError(t, r.end(), codes.Unavailable, unavailable)
	})
}

// Nothing is asked while nothing is watched; what is watched is asked for together.
func TestPollAsksForWhatIsWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, databasetest.NewSQLite(t, migrations.Order()))
	s, stop := w.replica(w.clock)
	var asked atomic.Int64
	w.faults.set(func(db *gorm.DB) error {
		if isQuery(db) {
			asked.Add(1)
		}
		return nil
	})
	if n := w.clock.Waiting(); n != 0 {
		t.Errorf("%d timers while nothing is watched", n)
	}
	var watches []*watch
	for i := range 2*watchBatch + 1 {
		watches = append(watches, s.store.hub.watch(fmt.Sprint(i)))
	}
	w.tick(testInterval)
	if n := asked.Load(); n != 3 {
		t.Errorf("%d statements for %d orders", n, len(watches))
	}
	for _, watch := range watches {
		watch.leave()
	}
	w.clock.Advance(testInterval)
	stop()
	if n := asked.Load(); n != 3 {
		t.Errorf("%d statements after nothing is watched any more", n-3)
	}
}
