package assembly

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
)

// fakeTopology is a broker that has topics and groups, loses them, and may be down.
type fakeTopology struct {
	mu     sync.Mutex
	has    map[string]bool
	queues int
	down   error
	refuse error // of what is made
}

func (f *fakeTopology) make(name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(f.down, f.refuse); err != nil {
		return false, err
	}
	created := !f.has[name]
	f.has[name] = true
	return created, nil
}

func (f *fakeTopology) check(kind, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down == nil && !f.has[name] {
		return &mq.NotFoundError{Kind: kind, Name: name}
	}
	return f.down
}

func (f *fakeTopology) EnsureTopic(_ context.Context, s mq.TopicSpec) (bool, error) {
	f.queues = s.Queues
	return f.make(s.Name)
}

func (f *fakeTopology) EnsureGroup(_ context.Context, s mq.GroupSpec) (bool, error) {
	return f.make(s.Name)
}

func (f *fakeTopology) CheckTopic(_ context.Context, name string) error {
	return f.check(mq.KindTopic, name)
}

func (f *fakeTopology) CheckGroup(_ context.Context, name string) error {
	return f.check(mq.KindGroup, name)
}

// init makes everything, as "orderctl mq init" does.
func (f *fakeTopology) init(t *testing.T) {
	t.Helper()
	if err := EnsureTopology(t.Context(), f, event.NewNames(""), 1, func(string, string, bool) {}); err != nil {
		t.Fatal(err)
	}
}

// set changes the broker, and lets the keeper look often.
func (f *fakeTopology) set(change func()) {
	f.mu.Lock()
	change()
	f.mu.Unlock()
	time.Sleep(time.Minute) // of the bubble's clock
	synctest.Wait()
}

// kept runs the test beside a keeper.
func kept(t *testing.T, test func(t *testing.T, f *fakeTopology, log *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, log := &fakeTopology{has: map[string]bool{}}, &bytes.Buffer{}
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		task := KeepTopology(f, event.NewNames(""), 7, time.Second, slog.New(slog.NewTextHandler(log, nil)))
		go func() { defer close(ended); task(ctx) }()
		test(t, f, log)
		end()
		<-ended
	})
}

// T61: what was never there is made by nobody but "orderctl mq init".
func TestKeepTopologyMakesNothingThatItHasNotSeen(t *testing.T) {
	kept(t, func(t *testing.T, f *fakeTopology, log *bytes.Buffer) {
		f.set(func() {})
		f.set(func() { f.has["order-events"] = true })
		if len(f.has) != 1 || log.Len() != 0 {
			t.Errorf("made %v, said %s", f.has, log)
		}
	})
}

// A wiped broker gets everything back, with one warning for each loss.
func TestKeepTopologyMakesAgainWhatIsLost(t *testing.T) {
	kept(t, func(t *testing.T, f *fakeTopology, log *bytes.Buffer) {
		f.init(t)
		all := len(f.has)
		f.set(func() {})
		f.set(func() { f.refuse = message.ErrUnavailable; clear(f.has) })
		if len(f.has) != 0 {
			t.Fatal("made although the broker refuses")
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings of a loss that lasts: %s", n, log)
		}
		f.set(func() { f.refuse = nil })
		if len(f.has) != all || f.queues != 7 {
			t.Errorf("%d of %d are back, with %d queues", len(f.has), all, f.queues)
		}
		f.set(func() { delete(f.has, event.NewNames("").OrderStockEvents) })
		if len(f.has) != all || strings.Count(log.String(), "level=WARN") != 2 {
			t.Errorf("%d of %d are there; said %s", len(f.has), all, log)
		}
	})
}

// A broker that does not answer has lost nothing.
func TestKeepTopologyWaitsForABrokerThatIsDown(t *testing.T) {
	kept(t, func(t *testing.T, f *fakeTopology, log *bytes.Buffer) {
		f.init(t)
		f.set(func() {})
		f.set(func() { f.down = message.ErrUnavailable })
		if log.Len() != 0 {
			t.Errorf("said %s", log)
		}
		f.set(func() { f.down = nil; clear(f.has) })
		if len(f.has) == 0 {
			t.Error("nothing is back")
		}
	})
}
