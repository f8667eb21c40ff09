package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/realbroker"
)

// real is a fixture on the real broker: a topic and a group of its own, removed
// at the end.
type real struct {
	client Client
	admin  *Admin
	topic  string
	group  string
}

// newReal makes a topic of four queues and a group. It skips the test where there
// is no broker, and lets it run beside the others.
func newReal(t *testing.T, topicType string) *real {
	t.Helper()
	r := newNames(t)
	r.ensureTopic(t, topicType, 4)
	r.ensureGroup(t)
	return r
}

// newNames makes the names only.
func newNames(t *testing.T) *real {
	t.Helper()
	address := realbroker.NameServer(t)
	t.Parallel()
	id := uuid.NewString()[:8]
	r := &real{
		client: Client{NameServers: []string{address}, Service: "test", Logger: slog.New(slog.DiscardHandler)},
		admin:  NewAdmin([]string{address}),
		topic:  "mqtest-" + id, group: "mqtest-group-" + id,
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = r.admin.DeleteTopic(ctx, r.topic)
		_ = r.admin.DeleteGroup(ctx, r.group)
		_ = r.admin.Close()
	})
	return r
}

func (r *real) ensureTopic(t *testing.T, topicType string, queues int) {
	t.Helper()
	if _, err := r.admin.EnsureTopic(t.Context(), TopicSpec{Name: r.topic, Type: topicType, Queues: queues}); err != nil {
		t.Fatal(err)
	}
}

func (r *real) ensureGroup(t *testing.T) {
	t.Helper()
	if _, err := r.admin.EnsureGroup(t.Context(), GroupSpec{Name: r.group}); err != nil {
		t.Fatal(err)
	}
}

// consume starts a consumer of the topic.
func (r *real) consume(t *testing.T, h message.Handler) *Consumer {
	t.Helper()
	return start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: h}))
}

// send sends a plain message for each key.
func (r *real) send(t *testing.T, keys ...string) {
	t.Helper()
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	for _, key := range keys {
		if err := p.Send(t.Context(), text(r.topic, key)); err != nil {
			t.Fatal(err)
		}
	}
}

// settled waits until the group has acknowledged all messages of the topic and
// all redeliveries. A consumer tells the broker so when it stops.
func (r *real) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, topic := range []string{r.topic, RetryTopic(r.group)} {
		var lag int64
		err := poll(ctx, "not settled", func() (ok bool, err error) {
			lag, err = r.admin.Lag(ctx, r.group, topic)
			return lag == 0, err
		})
		if err != nil {
			t.Fatalf("%d messages of %s are not acknowledged: %v", lag, topic, err)
		}
	}
}

// stop stops s, which start will stop again.
func stop(t *testing.T, s startStopper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

type startStopper interface {
	Start(context.Context) error
	Stop(context.Context) error
}

// start starts s and stops it at the end of the test.
func start[S startStopper](t *testing.T, s S) S {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

// inbox is a handler that remembers what it got.
type inbox struct {
	mu       sync.Mutex
	messages []message.Message
	changed  chan struct{}
	answer   func(m message.Message) error // nil: acknowledge everything
}

func newInbox() *inbox { return &inbox{changed: make(chan struct{}, 1)} }

func (b *inbox) handle(_ context.Context, m message.Message) error {
	b.mu.Lock()
	b.messages = append(b.messages, m)
	answer := b.answer
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
	if answer != nil {
		return answer(m)
	}
	return nil
}

func (b *inbox) all() []message.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]message.Message(nil), b.messages...)
}

// wait waits until what has arrived is enough.
func (b *inbox) wait(t *testing.T, what string, enough func([]message.Message) bool) []message.Message {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		if got := b.all(); enough(got) {
			return got
		}
		select {
		case <-b.changed:
		case <-timeout:
			t.Fatalf("timed out waiting for %s; got %d messages", what, len(b.all()))
		}
	}
}

func withKey(key string) func([]message.Message) bool {
	return func(all []message.Message) bool { return len(attempts(all, key)) > 0 }
}

// attempts are the deliveries of the key's message, in order of arrival.
func attempts(all []message.Message, key string) (attempts []int) {
	for _, m := range all {
		if strings.Join(m.Keys, " ") == key {
			attempts = append(attempts, m.Attempt)
		}
	}
	return attempts
}

// listener is a TransactionListener of functions.
type listener struct {
	execute func(context.Context, message.Message, any) (message.TransactionState, error)
	check   func(context.Context, message.Message) message.TransactionState
}

func (l *listener) ExecuteLocalTransaction(ctx context.Context, m message.Message, arg any) (message.TransactionState, error) {
	return l.execute(ctx, m, arg)
}

func (l *listener) CheckLocalTransaction(ctx context.Context, m message.Message) message.TransactionState {
	if l.check == nil {
		return message.StateUnknown
	}
	return l.check(ctx, m)
}

func text(topic, key string) message.Message {
	return message.Message{Topic: topic, Tag: "created", Keys: []string{key}, Body: []byte(key)}
}

// T10, T13: a consumer and a plain producer are there before the transaction
// producer, all in one process; check-backs arrive all the same, also when one
// of them panics (T12) or blocks past its deadline (T13).
func TestT10T12T13CheckBacksArriveWhateverElseRunsInTheProcess(t *testing.T) {
	r := newReal(t, "TRANSACTION")
	box := newInbox()
	start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: box.handle}))
	start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	var mu sync.Mutex
	panics := 0
	lost := &listener{
		execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
			return message.StateUnknown, errors.New("outcome unknown")
		},
		check: func(ctx context.Context, m message.Message) message.TransactionState {
			mu.Lock()
			panics++
			n := panics
			mu.Unlock()
			switch n {
			case 1:
				panic("poison")
			case 2:
				<-ctx.Done() // ends, or nothing after it would be answered
				return message.StateUnknown
			}
			return message.StateCommit
		},
	}
	p := start(t, NewTransactionProducer(r.client, r.group+"-tx", lost, r.topic))
	for i := range 3 {
		state, err := p.SendInTransaction(t.Context(), text(r.topic, fmt.Sprint("k", i)), nil)
		if state != message.StateUnknown || err == nil || errors.Is(err, message.ErrNotSent) {
			t.Fatalf("SendInTransaction = %v, %v; want unknown and the listener's error", state, err)
		}
	}
	for i := range 3 {
		box.wait(t, "the check-back's commit", withKey(fmt.Sprint("k", i)))
	}
}

// T14: 200 sends at once with mixed outcomes: each caller gets its own result,
// and only what was committed is delivered.
func TestT14ResultsReachTheirOwnCallers(t *testing.T) {
	r := newReal(t, "TRANSACTION")
	box := newInbox()
	start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: box.handle}))
	l := &listener{execute: func(_ context.Context, m message.Message, arg any) (message.TransactionState, error) {
		if n := arg.(int); n%3 == 0 {
			return message.StateRollback, fmt.Errorf("refused %d of %s", n, m.Keys[0])
		}
		return message.StateCommit, nil
	}}
	p := start(t, NewTransactionProducer(r.client, r.group+"-tx", l, r.topic))
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			state, err := p.SendInTransaction(t.Context(), text(r.topic, fmt.Sprint("k", i)), i)
			if i%3 == 0 {
				if want := fmt.Sprintf("refused %d of k%d", i, i); state != message.StateRollback || err == nil || err.Error() != want {
					t.Errorf("send %d = %v, %v; want %q", i, state, err, want)
				}
			} else if state != message.StateCommit || err != nil {
				t.Errorf("send %d = %v, %v; want commit", i, state, err)
			}
		})
	}
	wg.Wait()
	distinct := func(all []message.Message) map[string]bool {
		keys := map[string]bool{}
		for _, m := range all {
			keys[m.Keys[0]] = true
		}
		return keys
	}
	got := distinct(box.wait(t, "133 messages", func(all []message.Message) bool { return len(distinct(all)) >= 133 }))
	for key := range got {
		var n int
		if _, err := fmt.Sscanf(key, "k%d", &n); err != nil || n%3 == 0 {
			t.Errorf("message %s was rolled back and delivered", key)
		}
	}
}
