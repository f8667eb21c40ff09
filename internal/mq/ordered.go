package mq

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"orderflow/internal/mq/message"
)

// propertyShardingKey is the sharding key's name in brokers and other clients; the
// library has one of its own, which nobody else knows.
const propertyShardingKey = "__SHARDINGKEY"

// SendOrdered sends m as Send does, to the queue that belongs to the sharding key.
// A queue keeps the order in which its messages were stored, so that a consumer
// with Subscription.Ordered handles the messages of a key in the order in which one
// caller sent them, each after the one before was answered. For one order of all
// messages, send them with one key.
//
// The order ends where certainty does: a message whose send failed without
// ErrNotSent may still be stored later, behind those that were sent after it, and
// one that was sent again, by the caller or by SendOrdered after an answer got
// lost, may be stored twice. It also ends when the topic's queues change, because
// keys then belong to others: add none while older messages are still to be
// handled.
func (p *Producer) SendOrdered(ctx context.Context, m message.Message, shardingKey string) error {
	if shardingKey == "" || strings.ContainsAny(shardingKey, separators) {
		err := fmt.Errorf("%w: the sharding key %q is empty or has an illegal character", message.ErrNotSent, shardingKey)
		p.client.Metrics.countSent(m.Topic, 1, err)
		return err
	}
	return p.send(ctx, m, func(msg *primitive.Message) { msg.WithProperty(propertyShardingKey, shardingKey) })
}

// shardSelector chooses a message's queue: by its sharding key, or in turn if it
// has none. The library's own selector takes the queues as they come, but a fresh
// route may bring them in another order (apache/rocketmq-client-go#1076).
type shardSelector struct {
	inTurn producer.QueueSelector
}

func newShardSelector() *shardSelector {
	return &shardSelector{inTurn: producer.NewRoundRobinQueueSelector()}
}

// Select returns one of the queues.
func (s *shardSelector) Select(msg *primitive.Message, queues []*primitive.MessageQueue, lastBroker string) *primitive.MessageQueue {
	key := msg.GetProperty(propertyShardingKey)
	if key == "" {
		return s.inTurn.Select(msg, queues, lastBroker)
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(key)) // a hash cannot fail
	sorted := slices.SortedFunc(slices.Values(queues), func(a, b *primitive.MessageQueue) int {
		return cmp.Or(strings.Compare(a.BrokerName, b.BrokerName), cmp.Compare(a.QueueId, b.QueueId))
	})
	return sorted[hash.Sum32()%uint32(len(sorted))]
}
