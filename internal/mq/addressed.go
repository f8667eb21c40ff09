package mq

import (
	"context"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/cenkalti/backoff/v5"
)

// addressPatience bounds how long a send is repeated while the library does not know
// where the broker is. It needs microseconds for that, and as long as a busy machine
// keeps it from running.
const addressPatience = 250 * time.Millisecond

// addressed sends with p, again while the library has a topic's queues and not yet the
// address of their broker: when it learns of a broker it publishes the one before the
// other (UpdateTopicRouteInfoWithDefault in its internal/route.go, v2.1.2), and refuses
// whoever sends in between. So the first sends after a start would fail if there are
// several at once, and sends at any time when a broker is added.
type addressed struct{ libraryProducer }

func (p addressed) SendSync(ctx context.Context, m ...*primitive.Message) (*primitive.SendResult, error) {
	return untilAddressed(ctx, func() (*primitive.SendResult, error) { return p.libraryProducer.SendSync(ctx, m...) })
}

func (p addressed) SendOneWay(ctx context.Context, m ...*primitive.Message) error {
	_, err := untilAddressed(ctx, func() (none struct{}, err error) { return none, p.libraryProducer.SendOneWay(ctx, m...) })
	return err
}

// addressedTransactions does the same for half messages; a refused one is not stored, and
// its local transaction was not called.
type addressedTransactions struct{ libraryTransactionProducer }

func (p addressedTransactions) SendMessageInTransaction(
	ctx context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
	return untilAddressed(ctx, func() (*primitive.TransactionSendResult, error) {
		return p.libraryTransactionProducer.SendMessageInTransaction(ctx, m)
	})
}

// untilAddressed calls send, and again after growing pauses while the address is missing.
func untilAddressed[T any](ctx context.Context, send func() (T, error)) (T, error) {
	return backoff.Retry(ctx, func() (T, error) {
		sent, err := send()
		if err != nil && !lacksAddress(err) {
			err = backoff.Permanent(err)
		}
		return sent, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: time.Millisecond, RandomizationFactor: 0.3, Multiplier: 2, MaxInterval: addressPatience,
	}), backoff.WithMaxElapsedTime(addressPatience))
}

// lacksAddress tells whether the error is the library's, which has no type for it. The
// one of a topic that does not exist begins otherwise, with "the topic=".
func lacksAddress(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "topic=") && strings.HasSuffix(text, " route info not found")
}
