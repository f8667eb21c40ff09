package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/mq/message"
)

// quiet is a client without name servers: nothing that it does reaches a network.
func quiet() (Client, *prometheus.Registry) {
	r := prometheus.NewRegistry()
	return Client{Service: "test", Logger: slog.New(slog.DiscardHandler), Metrics: NewMetrics(r)}, r
}

// fakeTransactions is the library's transaction producer.
type fakeTransactions struct {
	send  func(context.Context, *primitive.Message) (*primitive.TransactionSendResult, error)
	down  int
	hangs chan struct{} // closed when Shutdown may return; nil for at once
}

func (f *fakeTransactions) SendMessageInTransaction(
	ctx context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
	return f.send(ctx, m)
}

func (f *fakeTransactions) Shutdown() error {
	f.down++
	if f.hangs != nil {
		<-f.hangs
	}
	return nil
}

// transactionsOf makes a started transaction producer over the fake.
func transactionsOf(c Client, l message.TransactionListener, f *fakeTransactions) *TransactionProducer {
	p := NewTransactionProducer(c, "group", l, "topic")
	p.library = f
	return p
}

// stored is what the library does with a half message that the broker has
// stored: it calls the listener with the very same message.
func stored(p *TransactionProducer, m *primitive.Message) *primitive.TransactionSendResult {
	return &primitive.TransactionSendResult{
		SendResult: &primitive.SendResult{Status: primitive.SendOK},
		State:      libraryListener{p}.ExecuteLocalTransaction(m),
	}
}

// fakeProducer is the library's plain producer.
type fakeProducer struct {
	send  func(context.Context, *primitive.Message) (*primitive.SendResult, error)
	write func(context.Context, *primitive.Message) error
	batch func(context.Context, []*primitive.Message) (*primitive.SendResult, error)
	down  int
	hangs chan struct{} // closed when Shutdown may return; nil for at once
}

func (f *fakeProducer) SendSync(ctx context.Context, m ...*primitive.Message) (*primitive.SendResult, error) {
	if f.batch != nil {
		return f.batch(ctx, m)
	}
	if len(m) != 1 {
		return nil, fmt.Errorf("%d messages at once", len(m))
	}
	return f.send(ctx, m[0])
}

func (f *fakeProducer) SendOneWay(ctx context.Context, m ...*primitive.Message) error {
	if len(m) != 1 {
		return fmt.Errorf("%d messages at once", len(m))
	}
	return f.write(ctx, m[0])
}

func (f *fakeProducer) Shutdown() error {
	f.down++
	if f.hangs != nil {
		<-f.hangs
	}
	return nil
}

func producerOf(c Client, f *fakeProducer) *Producer {
	p := NewProducer(c, "group", "topic")
	p.library = f
	return p
}

// fakeConsumer is the library's consumer; it remembers in which order it was
// called.
type fakeConsumer struct {
	calls    []string
	shutdown func()
}

func (f *fakeConsumer) Start() error { return errors.New("not used") }
func (f *fakeConsumer) Subscribe(string, consumer.MessageSelector,
	func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)) error {
	return errors.New("not used")
}
func (f *fakeConsumer) Suspend() { f.calls = append(f.calls, "suspend") }
func (f *fakeConsumer) PersistConsumerOffset() error {
	f.calls = append(f.calls, "persist")
	return nil
}
func (f *fakeConsumer) Shutdown() error {
	f.calls = append(f.calls, "shutdown")
	if f.shutdown != nil {
		f.shutdown()
	}
	return nil
}

// fakeBack is the broker that messages are sent back to.
type fakeBack struct {
	mu      sync.Mutex
	refuse  error // nil: it takes them
	asked   int
	granted []SendBackRequest
}

func (f *fakeBack) sendBack(_ context.Context, r SendBackRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.refuse != nil {
		return f.refuse
	}
	f.granted = append(f.granted, r)
	return nil
}

func (f *fakeBack) set(refuse error) { f.mu.Lock(); f.refuse = refuse; f.mu.Unlock() }

// keys are the ids of the messages that the broker has taken back.
func (f *fakeBack) keys() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.granted {
		ids = append(ids, r.MessageID)
	}
	return ids
}

func (f *fakeBack) count() int { f.mu.Lock(); defer f.mu.Unlock(); return f.asked }

// consumerOf makes a started consumer over the fakes.
func consumerOf(t *testing.T, c Client, s Subscription) (*Consumer, *fakeConsumer, *fakeBack) {
	t.Helper()
	s.Group, s.Topic = "group", "topic"
	library, back := &fakeConsumer{}, &fakeBack{}
	k := NewConsumer(c, s)
	k.library, k.back = library, back.sendBack
	return k, library, back
}

// received is a message as the library hands it over.
func received(id string) *primitive.MessageExt {
	m := &primitive.MessageExt{MsgId: id, CommitLogOffset: 7}
	m.Topic, m.Body, m.Queue = "topic", []byte(id), &primitive.MessageQueue{BrokerName: "b"}
	m.WithKeys([]string{"key-" + id})
	return m
}

// fakeParker remembers what is parked.
type fakeParker struct {
	park   func() error
	parked []message.Parked
}

func (f *fakeParker) Park(_ context.Context, p message.Parked) error {
	if f.park != nil {
		if err := f.park(); err != nil {
			return err
		}
	}
	f.parked = append(f.parked, p)
	return nil
}
