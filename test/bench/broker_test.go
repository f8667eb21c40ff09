package bench

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/google/uuid"

	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/realbroker"
)

// payload is about what an order event has.
func payload() []byte { return make([]byte, 300) }

// BenchmarkBroker measures the embedded broker beside a null responder, which is
// the ceiling of the client library, and beside Apache RocketMQ if that is there.
// All three are used with the bare library. Run it with a fixed number of messages
// (-benchtime 20000x), or what is consumed differs from one to the other.
func BenchmarkBroker(b *testing.B) {
	mq.UseLogger(slog.New(slog.DiscardHandler))
	targets := []struct {
		name  string
		start func(b *testing.B) (nameServer, topic string)
	}{
		{"null", func(b *testing.B) (string, string) { return startNull(b).addr(), nullTopic }},
		{"devbroker", func(b *testing.B) (string, string) {
			server := devbroker.RunT(b)
			return server.Addr(), makeTopic(b, server.Addr())
		}},
		{"rocketmq", func(b *testing.B) (string, string) {
			server := realbroker.NameServer(b)
			return server, makeTopic(b, server)
		}},
	}
	for _, target := range targets {
		b.Run(target.name, func(b *testing.B) {
			nameServer, topic := target.start(b)
			for _, callers := range []int{1, 32} {
				b.Run(fmt.Sprintf("send/callers=%d", callers), func(b *testing.B) { benchSend(b, nameServer, topic, callers, 0) })
			}
			b.Run("delayed/callers=32", func(b *testing.B) { benchSend(b, nameServer, topic, 32, 18) })
			b.Run("half+commit/callers=32", func(b *testing.B) { benchHalf(b, nameServer, topic, 32) })
			b.Run("consume", func(b *testing.B) { benchConsume(b, nameServer, topic) })
		})
	}
}

// BenchmarkStartToFirstMessage is a broker from nothing to the answer to its first
// message, with a new client each time.
func BenchmarkStartToFirstMessage(b *testing.B) {
	mq.UseLogger(slog.New(slog.DiscardHandler))
	for b.Loop() {
		server, err := devbroker.Start()
		check(b, err)
		check(b, server.CreateTopic("bench", 4, ""))
		p := startProducer(b, server.Addr())
		_, err = p.SendSync(b.Context(), benchMessage("bench"))
		check(b, err)
		b.StopTimer()
		check(b, p.Shutdown())
		check(b, server.Close())
		b.StartTimer()
	}
}

// makeTopic makes a topic that is removed with the benchmark.
func makeTopic(b *testing.B, nameServer string) string {
	b.Helper()
	name := "bench-" + uuid.NewString()[:8]
	admin := mq.NewAdmin([]string{nameServer})
	_, err := admin.EnsureTopic(b.Context(), mq.TopicSpec{Name: name, Queues: 4})
	check(b, err)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		check(b, admin.DeleteTopic(ctx, name))
		check(b, admin.Close())
	})
	return name
}

// makeGroup makes a consumer group that is removed with the benchmark.
func makeGroup(b *testing.B, nameServer, name string) {
	b.Helper()
	admin := mq.NewAdmin([]string{nameServer})
	_, err := admin.EnsureGroup(b.Context(), mq.GroupSpec{Name: name})
	check(b, err)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		check(b, admin.DeleteGroup(ctx, name))
		check(b, admin.Close())
	})
}

func benchMessage(topic string) *primitive.Message {
	return primitive.NewMessage(topic, payload()).WithKeys([]string{"order-1"})
}

func startProducer(b *testing.B, nameServer string) producerOfLibrary {
	b.Helper()
	p, err := producer.NewDefaultProducer(producer.WithNsResolver(primitive.NewPassthroughResolver([]string{nameServer})),
		producer.WithGroupName("bench"), producer.WithInstanceName(uuid.NewString()))
	check(b, err)
	check(b, p.Start())
	return p
}

func benchSend(b *testing.B, nameServer, topic string, callers, level int) {
	p := startProducer(b, nameServer)
	defer func() { _ = p.Shutdown() }()
	send := func(ctx context.Context, _ int) error {
		m := benchMessage(topic)
		if level > 0 {
			m.WithDelayTimeLevel(level)
		}
		_, err := p.SendSync(ctx, m)
		return err
	}
	check(b, send(b.Context(), 0)) // looks up the route
	drive(b, callers, "messages/s", send)
}

// commits says yes to every local transaction.
type commits struct{}

func (commits) ExecuteLocalTransaction(*primitive.Message) primitive.LocalTransactionState {
	return primitive.CommitMessageState
}

func (commits) CheckLocalTransaction(*primitive.MessageExt) primitive.LocalTransactionState {
	return primitive.CommitMessageState
}

func benchHalf(b *testing.B, nameServer, topic string, callers int) {
	p, err := producer.NewTransactionProducer(commits{}, producer.WithNsResolver(primitive.NewPassthroughResolver([]string{nameServer})),
		producer.WithGroupName("bench-half"), producer.WithInstanceName(uuid.NewString()))
	check(b, err)
	check(b, p.Start())
	defer func() { _ = p.Shutdown() }()
	send := func(ctx context.Context, _ int) error {
		_, err := p.SendMessageInTransaction(ctx, benchMessage(topic))
		return err
	}
	check(b, send(b.Context(), 0))
	drive(b, callers, "messages/s", send)
}

// benchConsume consumes messages that are all there, from the first to the last.
func benchConsume(b *testing.B, nameServer, topic string) {
	group := "bench-" + uuid.NewString()[:8]
	if topic != nullTopic { // the null responder has endless ones
		makeGroup(b, nameServer, group)
		benchSend(b, nameServer, topic, 32, 0)
	}
	c, err := consumer.NewPushConsumer(consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{nameServer})),
		consumer.WithGroupName(group), consumer.WithInstance(uuid.NewString()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithConsumeMessageBatchMaxSize(32))
	check(b, err)
	var received, first atomic.Int64
	done := make(chan time.Time, 1)
	total := int64(b.N)
	check(b, c.Subscribe(topic, consumer.MessageSelector{}, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		first.CompareAndSwap(0, time.Now().UnixNano())
		n := received.Add(int64(len(messages)))
		if n >= total && n-int64(len(messages)) < total {
			done <- time.Now()
		}
		return consumer.ConsumeSuccess, nil
	}))
	check(b, c.Start())
	defer func() { _ = c.Shutdown() }()
	select {
	case end := <-done:
		took := end.Sub(time.Unix(0, first.Load()))
		b.ReportMetric(float64(total)/max(took.Seconds(), 1e-9), "messages/s")
	case <-time.After(2 * time.Minute):
		b.Fatalf("%d of %d messages were consumed", received.Load(), total)
	}
}
