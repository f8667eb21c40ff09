package bench

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/google/uuid"

	"orderflow/internal/database"
)

// floor is the raw work of placing one order, written down without any of the
// project's code: one timer, one half message, one database transaction. It has
// no idempotency, no barrier, no deadlines and no errors for clients; what the
// service costs above it is the price of those.
type floor struct {
	db      *sql.DB
	timers  producerOfLibrary
	half    transactionProducerOfLibrary
	topic   string
	timeout string
	level   int
	results sync.Map // *primitive.Message → error of its local transaction
}

type producerOfLibrary interface {
	SendSync(context.Context, ...*primitive.Message) (*primitive.SendResult, error)
	Shutdown() error
}

type transactionProducerOfLibrary interface {
	SendMessageInTransaction(context.Context, *primitive.Message) (*primitive.TransactionSendResult, error)
	Shutdown() error
}

func newFloor(b *testing.B, nameServer string, db *database.DB, topic, timeoutTopic string, level int) *floor {
	b.Helper()
	f := &floor{db: db.Pool(), topic: topic, timeout: timeoutTopic, level: level}
	resolver := primitive.NewPassthroughResolver([]string{nameServer})
	timers, err := producer.NewDefaultProducer(producer.WithNsResolver(resolver),
		producer.WithGroupName("floor-timers"), producer.WithInstanceName("floor-timers-"+uuid.NewString()))
	check(b, err)
	check(b, timers.Start())
	half, err := producer.NewTransactionProducer(f, producer.WithNsResolver(resolver),
		producer.WithGroupName("floor-transactions"), producer.WithInstanceName("floor-transactions-"+uuid.NewString()))
	check(b, err)
	check(b, half.Start())
	f.timers, f.half = timers, half
	b.Cleanup(func() {
		_ = timers.Shutdown()
		_ = half.Shutdown()
	})
	return f
}

// place places order n.
func (f *floor) place(ctx context.Context, n int) error {
	id := uuid.Must(uuid.NewV7()).String()
	timer := primitive.NewMessage(f.timeout, fmt.Appendf(nil, `{"orderId":%q}`, id))
	timer.WithKeys([]string{id}).WithDelayTimeLevel(f.level)
	if _, err := f.timers.SendSync(ctx, timer); err != nil {
		return err
	}
	half := primitive.NewMessage(f.topic, fmt.Appendf(nil, `{"orderId":%q,"lines":[{"sku":"bench","quantity":1}]}`, id))
	half.WithKeys([]string{id})
	half.WithTag("floor")
	half.WithProperty("id", id)
	half.WithProperty("n", fmt.Sprint(n))
	if _, err := f.half.SendMessageInTransaction(ctx, half); err != nil {
		return err
	}
	if failed, ok := f.results.LoadAndDelete(half); ok {
		return failed.(error)
	}
	return nil
}

// ExecuteLocalTransaction inserts the order and its line.
func (f *floor) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	if err := f.insert(m.GetProperty("id"), m.GetProperty("n")); err != nil {
		f.results.Store(m, err)
		return primitive.RollbackMessageState
	}
	return primitive.CommitMessageState
}

// CheckLocalTransaction is never asked in a benchmark that ends well.
func (f *floor) CheckLocalTransaction(*primitive.MessageExt) primitive.LocalTransactionState {
	return primitive.RollbackMessageState
}

func (f *floor) insert(id, key string) error {
	tx, err := f.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	now := time.Now().UnixMilli()
	if _, err := tx.Exec(`INSERT INTO orders (id, customer_id, idempotency_key, request_hash, status, close_reason, currency,
		total_minor, window_ms, expires_at, created_at, updated_at, version, stock_state, stock_version)
		VALUES (?, 'floor', ?, '', 1, 0, 'EUR', 1999, 600000, ?, ?, ?, 1, 0, 0)`, id, id+key, now+600000, now, now); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO order_lines (order_id, sku, quantity, unit_price_minor, shortage, available)
		VALUES (?, 'bench', 1, 1999, 0, 0)`, id); err != nil {
		return err
	}
	return tx.Commit()
}
