package mq_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
)

// Send returns when the broker has stored the message.
func ExampleProducer_Send() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 1)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{Group: "stock", Topic: "orders", Handler: received.handle})
	defer run(producer, consumer)()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := producer.Send(ctx, message.Message{
		Topic: "orders", Tag: "created", Keys: []string{"order-1"}, Body: []byte(`{"price": 7}`),
		Properties: map[string]string{"shop": "berlin"},
	})
	switch {
	case errors.Is(err, message.ErrNotSent): // certainly not on the broker
	case errors.Is(err, message.ErrUnavailable): // perhaps
	}
	m := <-received
	fmt.Printf("%s %v %s %s, attempt %d\n", m.Tag, m.Keys, m.Body, m.Properties["shop"], m.Attempt)
	// Output: created [order-1] {"price": 7} berlin, attempt 1
}

// SendAsync does not wait for the broker; the callback hears how it went.
func ExampleProducer_SendAsync() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	producer := mq.NewProducer(client, "checkout", "orders")
	defer run(producer)()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	outcome := make(chan error)
	err := producer.SendAsync(ctx, created("order-1"), func(err error) { outcome <- err })
	fmt.Println("accepted:", err)
	fmt.Println("stored:", <-outcome)
	// Output:
	// accepted: <nil>
	// stored: <nil>
}

// SendOneWay is for what may get lost, and must cost little.
func ExampleProducer_SendOneWay() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 1)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{Group: "stock", Topic: "orders", Handler: received.handle})
	defer run(producer, consumer)()

	fmt.Println("written:", producer.SendOneWay(context.Background(), created("order-1")))
	fmt.Println((<-received).Keys)
	// Output:
	// written: <nil>
	// [order-1]
}

// The messages of a batch are stored together or not at all.
func ExampleProducer_SendBatch() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	producer := mq.NewProducer(client, "checkout", "orders")
	defer run(producer)()

	ctx := context.Background()
	fmt.Println(producer.SendBatch(ctx, []message.Message{created("order-1"), created("order-2"), created("order-3")}))
	var wrong *mq.BatchError
	err := producer.SendBatch(ctx, []message.Message{created("order-4"), {Topic: "orders"}})
	fmt.Println(errors.As(err, &wrong), err)
	// Output:
	// <nil>
	// true batch: message 1: message not sent: a message needs a topic and a body
}

// All messages of one order go to one queue, where they stay in order.
func ExampleProducer_SendOrdered() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 9)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders", Handler: received.handle, Ordered: true,
	})
	defer run(producer, consumer)()

	for _, tag := range []string{"created", "paid", "shipped"} {
		for _, order := range []string{"order-1", "order-2", "order-3"} {
			m := message.Message{Topic: "orders", Tag: tag, Keys: []string{order}, Body: []byte("{}")}
			if err := producer.SendOrdered(context.Background(), m, order); err != nil {
				fmt.Println(err)
			}
		}
	}
	story := map[string]string{}
	for range 9 {
		m := <-received
		story[m.Keys[0]] += " " + m.Tag
	}
	fmt.Println(story)
	// Output: map[order-1: created paid shipped order-2: created paid shipped order-3: created paid shipped]
}

// SendDelayed delays by one of the broker's levels, which by default go up to two
// hours.
func ExampleProducer_SendDelayed() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 1)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{Group: "stock", Topic: "orders", Handler: received.handle})
	defer run(producer, consumer)()

	ctx := context.Background()
	id, err := producer.SendDelayed(ctx, created("order-1"), 30*time.Minute)
	fmt.Println(err)
	b.Advance(30 * time.Minute)
	m := <-received
	fmt.Println(m.Keys, m.ID == id)

	var unsupported *message.UnsupportedDelayError
	_, err = producer.SendDelayed(ctx, created("order-2"), 31*time.Minute)
	fmt.Println(errors.As(err, &unsupported), unsupported.Delay)
	// Output:
	// <nil>
	// [order-1] true
	// true 31m0s
}

// SendAt delivers at any time within the broker's maximum.
func ExampleProducer_SendAt() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 1)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{Group: "stock", Topic: "orders", Handler: received.handle})
	defer run(producer, consumer)()

	ctx := context.Background()
	fmt.Println(producer.SendAt(ctx, created("order-1"), time.Now().Add(50*time.Hour)))
	b.Advance(50 * time.Hour)
	fmt.Println((<-received).Keys)

	var far *mq.TimerTooFarError
	err := producer.SendAt(ctx, created("order-2"), time.Now().Add(200*time.Hour))
	fmt.Println(errors.As(err, &far), far.Max)
	// Output:
	// <nil>
	// [order-1]
	// true 72h0m0s
}

// checkout places orders: the message is delivered if and only if the order is
// committed.
type checkout struct{ committed chan string }

// ExecuteLocalTransaction would insert the order.
func (c checkout) ExecuteLocalTransaction(_ context.Context, m message.Message, arg any) (message.TransactionState, error) {
	if price := arg.(int); price <= 0 {
		return message.StateRollback, errors.New("nothing to pay")
	}
	c.committed <- m.Keys[0]
	return message.StateCommit, nil
}

// CheckLocalTransaction would look whether the order is there.
func (c checkout) CheckLocalTransaction(context.Context, message.Message) message.TransactionState {
	return message.StateUnknown
}

// A message and a database transaction that happen both or not at all.
func ExampleTransactionProducer() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 1)
	orders := checkout{committed: make(chan string, 1)}
	producer := mq.NewTransactionProducer(client, "checkout", orders, "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{Group: "stock", Topic: "orders", Handler: received.handle})
	defer run(producer, consumer)()

	ctx := context.Background()
	fmt.Println(producer.SendInTransaction(ctx, created("order-1"), 0))
	fmt.Println(producer.SendInTransaction(ctx, created("order-2"), 7))
	fmt.Println("committed", <-orders.committed, "and delivered", (<-received).Keys)
	// Output:
	// rollback nothing to pay
	// commit <nil>
	// committed order-2 and delivered [order-2]
}
