package mq_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
)

// orders decides about half messages. It would ask its database; here nothing is
// ever committed.
type orders struct{}

func (orders) ExecuteLocalTransaction(context.Context, message.Message, any) (message.TransactionState, error) {
	return message.StateRollback, errors.New("no order was placed")
}

func (orders) CheckLocalTransaction(context.Context, message.Message) message.TransactionState {
	return message.StateRollback
}

// A process with a transaction producer and a consumer, until it is interrupted.
func Example() {
	mq.UseLogger(slog.Default()) // before any producer or consumer
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	client := mq.Client{NameServers: []string{"127.0.0.1:9876"}, Service: "example"}

	producer := mq.NewTransactionProducer(client, "example-orders", orders{}, "example-events")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "example-stock", Topic: "example-events",
		Handler: func(_ context.Context, m message.Message) error {
			if m.Tag != "created" {
				return message.Permanent("UNKNOWN_TAG", "no handler for tag %q", m.Tag) // parked
			}
			return nil // acknowledged; any other error means: again, later
		},
	})
	if err := errors.Join(producer.Start(ctx), consumer.Start(ctx)); err != nil {
		return // interrupted before the broker, the topic and the group were there
	}
	m := message.Message{Topic: "example-events", Tag: "created", Keys: []string{"order-1"}, Body: []byte("{}")}
	sending, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	switch state, err := producer.SendInTransaction(sending, m, nil); {
	case state == message.StateCommit: // the order is placed, and its event will be delivered
	case errors.Is(err, message.ErrNotSent): // the broker is not there: nothing has happened
	case err != nil: // the listener's own error
	}
	<-ctx.Done()
	stopping, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	_ = errors.Join(consumer.Stop(stopping), producer.Stop(stopping))
}
