package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is what happened, in order.
type journal struct {
	mu     sync.Mutex
	events []string
	signal chan struct{} // receives after each event
}

func newJournal() *journal { return &journal{signal: make(chan struct{}, 100)} }

func (j *journal) add(event string) {
	j.mu.Lock()
	j.events = append(j.events, event)
	j.mu.Unlock()
	j.signal <- struct{}{}
}

func (j *journal) list() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events)
}

// await waits until the event has happened.
func (j *journal) await(t *testing.T, event string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for !slices.Contains(j.list(), event) {
		select {
		case <-j.signal:
		case <-timeout:
			t.Fatalf("%q has not happened: %v", event, j.list())
		}
	}
}

// fakeClient is a producer or consumer.
type fakeClient struct {
	journal *journal
	name    string
	start   func(ctx context.Context) error // nil: at once
	stopErr error
}

func (f *fakeClient) Start(ctx context.Context) error {
	f.journal.add("starting " + f.name)
	if f.start != nil {
		if err := f.start(ctx); err != nil {
			return err
		}
	}
	f.journal.add("started " + f.name)
	return nil
}

func (f *fakeClient) Ready() error {
	if !slices.Contains(f.journal.list(), "started "+f.name) {
		return errors.New("not started")
	}
	return nil
}

func (f *fakeClient) Stop(context.Context) error {
	f.journal.add("stop " + f.name)
	return f.stopErr
}

// fakeServer serves until it is stopped, or fails with err.
type fakeServer struct {
	journal *journal
	err     error
	stopped chan struct{}
	once    sync.Once
	slow    bool   // Stop takes all the time that it is given
	hang    func() // Serve ends with it
}

func (f *fakeServer) Serve() error {
	f.journal.add("serve")
	if f.err != nil {
		return f.err
	}
	<-f.stopped
	if f.hang != nil {
		f.hang()
	}
	return nil
}

func (f *fakeServer) Stop(ctx context.Context) error {
	if f.slow {
		<-ctx.Done()
	}
	f.once.Do(func() { close(f.stopped) })
	f.journal.add("stop server")
	return nil
}

func never(error) error { return nil }

func pass(context.Context) error { return nil }

type world struct {
	*Plan
	journal            *journal
	server             *fakeServer
	producer, consumer *fakeClient
}

func newWorld() *world {
	j := newJournal()
	w := &world{
		journal:  j,
		server:   &fakeServer{journal: j, stopped: make(chan struct{})},
		producer: &fakeClient{journal: j, name: "producer"},
		consumer: &fakeClient{journal: j, name: "consumer"},
	}
	w.Plan = &Plan{
		Log: slog.New(slog.DiscardHandler), DrainTimeout: time.Second,
		Schema:    NewGate("schema", pass, never),
		Config:    NewGate("config", pass, never),
		Producers: []Part{{"producer", w.producer}},
		Consumers: []Part{{"consumer", w.consumer}},
		Tasks: []Task{func(ctx context.Context) {
			j.add("task")
			<-ctx.Done()
			j.add("task ended")
		}},
	}
	return w
}

// run runs the plan in the background; the result comes when it has stopped.
func (w *world) run(ctx context.Context) <-chan error {
	result := make(chan error, 1)
	go func() { result <- w.Run(ctx, w.server) }()
	return result
}

func TestStopIsTheReverseOfStart(t *testing.T) {
	w := newWorld()
	ctx, sigterm := context.WithCancel(t.Context())
	result := w.run(ctx)
	for _, event := range []string{"serve", "task", "started producer", "started consumer"} {
		w.journal.await(t, event)
	}
	sigterm()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	events := w.journal.list()
	end := slices.Clone(events[len(events)-4:])
	// The task ends with the context; the order of all else is fixed.
	end = slices.DeleteFunc(end, func(e string) bool { return e == "task ended" })
	if want := "stop server, stop consumer, stop producer"; !strings.HasSuffix(strings.Join(end, ", "), want) {
		t.Errorf("got %v, want %s at the end", events, want)
	}
	if !slices.Contains(events, "task ended") {
		t.Error("nobody waited for the task")
	}
}

// What may never start is waited for by nobody, and stopped all the same.
func TestTheBackgroundHoldsUpNothing(t *testing.T) {
	w := newWorld()
	waiting := &fakeClient{journal: w.journal, name: "drain", start: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	w.Background = []Part{{"drain", waiting}}
	ctx, sigterm := context.WithCancel(t.Context())
	result := w.run(ctx)
	for _, event := range []string{"starting drain", "started consumer"} {
		w.journal.await(t, event)
	}
	for _, check := range w.Checks() {
		if check.Name == "drain" {
			t.Error("it is part of the readiness")
		}
	}
	sigterm()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if events := w.journal.list(); !slices.Contains(events, "stop drain") || slices.Index(events, "stop drain") > slices.Index(events, "stop producer") {
		t.Errorf("got %v, want the drain stopped before the producers", events)
	}
}

// What a task sends needs a producer that works.
func TestSendersBeginWithTheProducers(t *testing.T) {
	w := newWorld()
	connected := make(chan struct{})
	w.producer.start = func(context.Context) error { <-connected; return nil }
	w.Senders = []Task{func(context.Context) { w.journal.add("sender") }}
	ctx, sigterm := context.WithCancel(t.Context())
	result := w.run(ctx)
	w.journal.await(t, "task") // which sends nothing
	close(connected)
	w.journal.await(t, "sender")
	if events := w.journal.list(); slices.Index(events, "sender") < slices.Index(events, "started producer") {
		t.Errorf("got %v, want the sender behind the producer", events)
	}
	sigterm()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

func TestNothingStartsBeforeTheSchemaIsThere(t *testing.T) {
	w := newWorld()
	asked, answer := make(chan struct{}, 100), make(chan error)
	w.Schema = NewGate("schema", func(context.Context) error { asked <- struct{}{}; return <-answer }, never)
	ctx, sigterm := context.WithCancel(t.Context())
	result := w.run(ctx)
	w.journal.await(t, "serve") // health and readiness answer all the same
	<-asked
	answer <- errors.New("database is down")
	<-asked
	if events := w.journal.list(); slices.Contains(events, "starting consumer") {
		t.Errorf("started too early: %v", events)
	}
	if err := w.Schema.latch.Probe(ctx); err == nil || err.Error() != "database is down" {
		t.Errorf("readiness says %v", err)
	}
	answer <- nil
	w.journal.await(t, "started consumer")
	for _, check := range w.Checks() {
		if err := check.Probe(ctx); err != nil && check.Name == "schema" {
			t.Errorf("check %s: %v", check.Name, err)
		}
	}
	sigterm()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

func TestADefiniteNoEndsTheService(t *testing.T) {
	tooOld, advice := errors.New("too old"), errors.New("run migrate")
	fatal := func(err error) error {
		if errors.Is(err, tooOld) {
			return advice
		}
		return nil
	}
	no := NewGate("no", func(context.Context) error { return tooOld }, fatal)
	t.Run("schema", func(t *testing.T) {
		w := newWorld()
		w.Schema = no
		if err := <-w.run(t.Context()); !errors.Is(err, advice) {
			t.Errorf("got %v", err)
		}
		if slices.Contains(w.journal.list(), "starting consumer") {
			t.Error("a consumer was started")
		}
	})
	t.Run("config", func(t *testing.T) {
		w := newWorld()
		w.Config = no
		w.consumer.start = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() } // its broker is down
		if err := <-w.run(t.Context()); !errors.Is(err, advice) {
			t.Errorf("got %v", err)
		}
	})
}

func TestStopWhileStarting(t *testing.T) {
	w := newWorld()
	w.consumer.start = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	ctx, sigterm := context.WithCancel(t.Context())
	result := w.run(ctx)
	w.journal.await(t, "starting consumer")
	sigterm()
	if err := <-result; err != nil {
		t.Errorf("an orderly end is no error: %v", err)
	}
	w.journal.await(t, "stop consumer")
}

func TestConsumersStartWhenEveryProducerWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		works := make(chan struct{})
		w.producer.start = func(context.Context) error { <-works; return nil }
		other := &fakeClient{journal: w.journal, name: "other producer"}
		w.Producers = append(w.Producers, Part{"other producer", other})
		w.Config = NewGate("config", func(context.Context) error { w.journal.add("config"); return nil }, never)
		ctx, sigterm := context.WithCancel(t.Context())
		result := w.run(ctx)
		synctest.Wait() // until nothing moves
		events := w.journal.list()
		for _, event := range []string{"starting producer", "started other producer", "task", "config"} {
			if !slices.Contains(events, event) {
				t.Errorf("%q waits for a producer: %v", event, events)
			}
		}
		if slices.Contains(events, "starting consumer") {
			t.Errorf("the consumer starts without a producer: %v", events)
		}
		close(works)
		w.journal.await(t, "started consumer")
		sigterm()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestStopWhileAProducerStarts(t *testing.T) {
	w := newWorld()
	w.producer.start = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	ctx, sigterm := context.WithCancel(t.Context())
	result := w.run(ctx)
	w.journal.await(t, "starting producer")
	sigterm()
	if err := <-result; err != nil {
		t.Errorf("an orderly end is no error: %v", err)
	}
	if events := w.journal.list(); slices.Contains(events, "starting consumer") {
		t.Errorf("a consumer starts while the service stops: %v", events)
	}
	w.journal.await(t, "stop producer")
}

// What cannot be cancelled does not hold up the stop of the rest for longer than
// the drain timeout and a grace.
func TestStopLeavesBehindWhatDoesNotEnd(t *testing.T) {
	for name, hang := range map[string]func(w *world, wait func()){
		"producer": func(w *world, wait func()) {
			w.producer.start = func(context.Context) error { wait(); return nil }
		},
		"consumer": func(w *world, wait func()) {
			w.consumer.start = func(context.Context) error { wait(); return nil }
		},
		"task":   func(w *world, wait func()) { w.Tasks = []Task{func(context.Context) { wait() }} },
		"server": func(w *world, wait func()) { w.server.hang = wait },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				released := make(chan struct{})
				defer close(released)
				w := newWorld()
				hang(w, func() { <-released })
				ctx, sigterm := context.WithCancel(t.Context())
				result := w.run(ctx)
				synctest.Wait() // it hangs by now
				sigterm()
				select {
				case err := <-result:
					if err == nil || !strings.Contains(err.Error(), "did not end within the drain timeout") {
						t.Errorf("got %v", err)
					}
				case <-time.After(w.DrainTimeout + endGrace + time.Millisecond):
					t.Error("Run still waits")
				}
				for _, event := range []string{"stop consumer", "stop producer"} {
					if !slices.Contains(w.journal.list(), event) {
						t.Errorf("no %q", event)
					}
				}
			})
		})
	}
}

// A task that ends at once is not blamed for calls that take all the drain time.
func TestTasksMayEndAfterSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.server.slow = true
		w.Tasks = []Task{func(ctx context.Context) { <-ctx.Done(); <-time.After(endGrace / 2) }}
		ctx, sigterm := context.WithCancel(t.Context())
		result := w.run(ctx)
		w.journal.await(t, "started consumer")
		sigterm()
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestFailuresAreReturned(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		w := newWorld()
		w.server.err = errors.New("port is gone")
		if err := <-w.run(t.Context()); !errors.Is(err, w.server.err) {
			t.Errorf("got %v", err)
		}
		w.journal.await(t, "stop producer")
	})
	t.Run("stop", func(t *testing.T) {
		w := newWorld()
		w.consumer.stopErr = errors.New("a handler hangs")
		ctx, sigterm := context.WithCancel(t.Context())
		result := w.run(ctx)
		w.journal.await(t, "started consumer")
		sigterm()
		if err := <-result; !errors.Is(err, w.consumer.stopErr) {
			t.Errorf("got %v", err)
		}
		w.journal.await(t, "stop producer") // all the same
	})
}

func TestChecksNameEveryPart(t *testing.T) {
	w := newWorld()
	var names []string
	for _, check := range w.Checks() {
		names = append(names, check.Name)
		if check.Probe(t.Context()) == nil {
			t.Errorf("check %s passes before the start", check.Name)
		}
	}
	if want := []string{"schema", "config", "producer", "consumer"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
