package mq_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
)

// A process with a transaction producer and a consumer, until its work is done or it
// is interrupted. Its first act would be mq.UseLogger, before any producer or
// consumer.
func Example() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	broker, client := shop() // elsewhere: mq.Client{NameServers: []string{"127.0.0.1:9876"}, Service: "shop"}
	defer func() { _ = broker.Close() }()

	orders := checkout{committed: make(chan string, 1)}
	producer := mq.NewTransactionProducer(client, "checkout", orders, "orders")
	handled := make(chan string, 1)
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders",
		Handler: func(_ context.Context, m message.Message) error {
			if m.Tag != "created" {
				return message.Permanent("UNKNOWN_TAG", "no handler for tag %q", m.Tag) // parked
			}
			handled <- m.Keys[0]
			return nil // acknowledged; any other error means: again, later
		},
	})
	if err := errors.Join(producer.Start(ctx), consumer.Start(ctx)); err != nil {
		return // interrupted before the broker, the topic and the group were there
	}
	sending, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	const price = 7
	switch state, err := producer.SendInTransaction(sending, created("order-1"), price); {
	case state == message.StateCommit:
		fmt.Println("placed: its event will be delivered")
	case errors.Is(err, message.ErrNotSent):
		fmt.Println("the broker is not there: nothing has happened")
	case err != nil:
		fmt.Println("the listener's own error:", err)
	}
	select {
	case order := <-handled:
		fmt.Println("handled", order)
	case <-ctx.Done():
	}
	stopping, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	fmt.Println("stopped:", errors.Join(consumer.Stop(stopping), producer.Stop(stopping)))
	// Output:
	// placed: its event will be delivered
	// handled order-1
	// stopped: <nil>
}
