package mq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

// queuesOf makes the queues of a topic, broker by broker.
func queuesOf(brokers, each int) (queues []*primitive.MessageQueue) {
	for b := range brokers {
		for q := range each {
			queues = append(queues, &primitive.MessageQueue{Topic: "topic", BrokerName: fmt.Sprint("b", b), QueueId: q})
		}
	}
	return queues
}

func withShard(key string) *primitive.Message {
	m := primitive.NewMessage("topic", []byte("b"))
	m.WithProperty(propertyShardingKey, key)
	return m
}

// A fresh route brings the same queues in another order.
func TestKeyStaysWithItsQueue(t *testing.T) {
	queues, s := queuesOf(3, 4), newShardSelector()
	used := map[primitive.MessageQueue]int{}
	for k := range 1000 {
		key := fmt.Sprint("key", k)
		want := *s.Select(withShard(key), queues, "")
		used[want]++
		for range 3 {
			fresh := queuesOf(3, 4)
			rand.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
			first := *fresh[0]
			if got := *s.Select(withShard(key), fresh, "b1"); got != want {
				t.Fatalf("%s moved from %v to %v", key, want, got)
			}
			if *fresh[0] != first {
				t.Fatal("the library's list was sorted in place")
			}
		}
	}
	for q, n := range used {
		if n < 30 {
			t.Errorf("%s has %d of 1000 keys", q.String(), n)
		}
	}
	if len(used) != len(queues) {
		t.Errorf("%d queues are used", len(used))
	}
	if got := s.Select(withShard("any"), queuesOf(1, 1), ""); got.QueueId != 0 {
		t.Errorf("of one queue: %v", got)
	}
}

func TestMessagesWithoutAKeyTakeTurns(t *testing.T) {
	queues, s := queuesOf(1, 4), newShardSelector()
	used := map[int]int{}
	for range 40 {
		used[s.Select(primitive.NewMessage("topic", []byte("b")), queues, "").QueueId]++
	}
	for q := range 4 {
		if used[q] != 10 {
			t.Errorf("queue %d got %d of 40", q, used[q])
		}
	}
}

func TestSendOrderedCarriesTheKey(t *testing.T) {
	c, r := quiet()
	var sent []*primitive.Message
	p := producerOf(c, &fakeProducer{send: func(_ context.Context, m *primitive.Message) (*primitive.SendResult, error) {
		sent = append(sent, m)
		return &primitive.SendResult{}, nil
	}})
	if err := p.SendOrdered(t.Context(), half(), "order-1"); err != nil {
		t.Fatal(err)
	}
	if len(sent) != 1 || sent[0].GetProperty("__SHARDINGKEY") != "order-1" {
		t.Fatalf("sent %v", sent)
	}
	if got := fromLibrary(sent[0]); len(got.Properties) != 0 {
		t.Errorf("a consumer sees %v", got.Properties)
	}
	for _, key := range []string{"", "a\x01b", "a\x02"} {
		if err := p.SendOrdered(t.Context(), half(), key); !errors.Is(err, message.ErrNotSent) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	if len(sent) != 1 || telemetrytest.Value(t, r, "mq_messages_sent_total", "outcome", "error") != 3 {
		t.Errorf("%d sent", len(sent))
	}
}
