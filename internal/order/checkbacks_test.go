package order

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

// telling is a listener whose TellCheckBacks runs, and what ends it.
func (w *world) telling() (l *Listener, log *telemetrytest.Log, end func()) {
	log = &telemetrytest.Log{}
	l = NewListener(w.store, w.clock, nil, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); l.TellCheckBacks(ctx) }()
	end = func() { cancel(); <-ended }
	w.t.Cleanup(end)
	waitUntil(w.t, func() bool {
		l.asked.mu.Lock()
		defer l.asked.mu.Unlock()
		return l.asked.running
	})
	return l, log, end
}

// ask asks about half messages of so many orders that nobody has heard of.
func (w *world) ask(l *Listener, orders int) {
	w.t.Helper()
	for range orders {
		m := message.Message{Tag: "created", Keys: []string{uuid.NewString()}, Properties: map[string]string{event.PropertyBarrier: uuid.NewString()}}
		if got := l.CheckLocalTransaction(w.t.Context(), m); got != message.StateRollback {
			w.t.Fatalf("answer %s", got)
		}
	}
}

// told is how many check-backs the timelines have.
func (w *world) told() int { return int(w.count("order_timeline")) }

// waiting is how many are still to be written.
func (l *Listener) waiting() int {
	l.asked.mu.Lock()
	defer l.asked.mu.Unlock()
	return len(l.asked.waiting)
}

// toTimeline makes what is written into the timeline pass through f.
func (w *world) toTimeline(f func() error) {
	w.faults.set(func(db *gorm.DB) error {
		if _, rows := db.Statement.Dest.(*[]Entry); !rows { // it is read
			return nil
		}
		return f()
	})
}

// gate is closed until it is released, at the latest by the end of the test.
func gate(t *testing.T) (goOn <-chan struct{}, release func()) {
	opened := make(chan struct{})
	release = sync.OnceFunc(func() { close(opened) })
	t.Cleanup(release)
	return opened, release
}

// The library gives the answers one after the other: none may wait for the timeline.
// What has come together meanwhile is one statement.
func TestCheckBacksAreToldBehindTheAnswers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		l, _, _ := w.telling()
		goOn, release := gate(t)
		var statements atomic.Int32
		w.toTimeline(func() error { statements.Add(1); <-goOn; return nil })
		w.ask(l, 1)
		waitUntil(t, func() bool { return statements.Load() == 1 })
		w.ask(l, 99)
		if n := w.told(); n != 0 {
			t.Errorf("%d lines were written before", n)
		}
		asked := w.clock.Manual.Now()
		w.clock.Advance(time.Hour)
		release()
		waitUntil(t, func() bool {
			w.clock.Advance(checkBacksPause) // the first statement may have waited for too long
			return w.told() == 100
		})
		if n := statements.Load(); n != 2 {
			t.Errorf("%d statements, want 2", n)
		}
		var late int64
		if err := w.db.With(t.Context()).Model(&Entry{}).Where("at <> ?", asked.UnixMilli()).Count(&late).Error; err != nil || late != 0 {
			t.Errorf("%d lines are not of the moment of the question, %v", late, err)
		}
	})
}

// A database that is away keeps the lines waiting, and one whose answer was lost does
// not get them twice.
func TestCheckBacksWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		l, log, _ := w.telling()
		var tries atomic.Int32
		w.toTimeline(func() error {
			if tries.Add(1) <= 2 {
				return driver.ErrBadConn
			}
			return nil
		})
		lostAnswers(t, w, 1)
		w.ask(l, 10)
		waitUntil(t, func() bool {
			w.clock.Advance(checkBacksPause)
			return w.told() == 10 && l.waiting() == 0
		})
		if n := tries.Load(); n < 4 || log.String() != "" {
			t.Errorf("%d tries, want 4 or more; the log says %s", n, log)
		}
	})
}

// lostAnswers makes so many successful statements on the timeline look failed.
func lostAnswers(t *testing.T, w *world, n int32) {
	t.Helper()
	var left atomic.Int32
	left.Store(n)
	err := w.db.With(t.Context()).Callback().Create().After("gorm:create").Register("lost answer", func(db *gorm.DB) {
		if db.Statement.Table == (Entry{}).TableName() && db.Error == nil && left.Add(-1) >= 0 {
			_ = db.AddError(driver.ErrBadConn)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What the database refuses, and what finds no room, is left out and said so.
func TestCheckBacksThatAreLeftOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		l, log, _ := w.telling()
		w.toTimeline(func() error { return errors.New("no such table") })
		w.ask(l, 1)
		waitUntil(t, func() bool {
			return strings.Contains(log.String(), missing) && strings.Contains(log.String(), "count=1") && l.waiting() == 0
		})
		goOn, release := gate(t)
		blocked := make(chan struct{}, 100)
		w.toTimeline(func() error { blocked <- struct{}{}; <-goOn; return nil })
		w.ask(l, 1)
		<-blocked
		l.asked.mu.Lock()
		l.asked.room = 100
		l.asked.mu.Unlock()
		many := make([]string, 98)
		for i := range many {
			many[i] = uuid.NewString()
		}
		l.asked.tell(t.Context(), message.Message{Keys: many}, message.StateUnknown)
		l.asked.tell(t.Context(), message.Message{Keys: many[:2]}, message.StateUnknown) // one too many
		l.asked.tell(t.Context(), message.Message{Keys: many[:1]}, message.StateUnknown)
		release()
		waitUntil(t, func() bool { return w.told() == 100 && l.waiting() == 0 })
		if want := fmt.Sprintf(`msg="%s" reason="too many waited" count=2`, missing); !strings.Contains(log.String(), want) {
			t.Errorf("the log says %s, want %s", log, want)
		}
	})
}

// A process that ends writes what waits; what is asked after that is written before
// the answer.
func TestCheckBacksAreToldAtTheEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		l, log, end := w.telling()
		w.toTimeline(func() error { return driver.ErrBadConn })
		w.ask(l, 2*checkBacksAtOnce+1)
		w.faults.set(nil)
		end()
		if n := w.told(); n != 2*checkBacksAtOnce+1 {
			t.Errorf("%d are told at the end: %s", n, log)
		}
		w.ask(l, 1)
		if n := w.told(); n != 2*checkBacksAtOnce+2 {
			t.Errorf("%d are told after the end: %s", n, log)
		}
	})
}
