package mq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/message"
)

// A handler's error means: again, later.
func ExampleConsumer() {
	b, client := shop(devbroker.WithDelayLevels("1s 1s 1s 1s")) // the pauses between deliveries
	defer func() { _ = b.Close() }()
	done := make(chan bool)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders", Concurrency: 8,
		Handler: func(_ context.Context, m message.Message) error {
			fmt.Println(m.Keys, "attempt", m.Attempt)
			if m.Attempt == 1 {
				return errors.New("the database is down")
			}
			close(done)
			return nil
		},
	})
	defer run(producer, consumer)()

	if err := producer.Send(context.Background(), created("order-1")); err != nil {
		fmt.Println(err)
	}
	<-done
	// Output:
	// [order-1] attempt 1
	// [order-1] attempt 2
}

// Concurrency is how many messages are handled at once; the others wait.
func ExampleSubscription_concurrency() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	begun, leave := make(chan bool, 9), make(chan bool)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders", Concurrency: 3,
		Handler: func(context.Context, message.Message) error {
			begun <- true
			<-leave
			return nil
		},
	})
	defer run(producer, consumer)()

	for order := range 9 {
		if err := producer.Send(context.Background(), created(fmt.Sprint("order-", order))); err != nil {
			fmt.Println(err)
		}
	}
	for range 3 {
		<-begun
	}
	select {
	case <-begun:
		fmt.Println("a fourth one")
	case <-time.After(100 * time.Millisecond):
		fmt.Println("three are handled at once")
	}
	close(leave)
	for range 6 {
		<-begun
	}
	fmt.Println("and the others behind them")
	// Output:
	// three are handled at once
	// and the others behind them
}

// shelf is a Parker.
type shelf chan message.Parked

func (s shelf) Park(_ context.Context, p message.Parked) error {
	s <- p
	return nil
}

// What no redelivery mends is parked.
func ExampleSubscription_parker() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	parked := make(shelf, 1)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders", Parker: parked,
		Handler: func(_ context.Context, m message.Message) error {
			return message.Permanent("UNKNOWN_TAG", "no handler for tag %q", m.Tag)
		},
	})
	defer run(producer, consumer)()

	if err := producer.Send(context.Background(), created("order-1")); err != nil {
		fmt.Println(err)
	}
	p := <-parked
	fmt.Println(p.Message.Keys, p.Reason)
	// Output: [order-1] UNKNOWN_TAG
}

// With a limit, a message goes to the dead letters of its group at last. They are a
// topic like any other, but a reader that fails must try again in place: sent back,
// they would look for the group they died in.
func ExampleSubscription_maxAttempts() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	ctx := context.Background()
	admin := mq.NewAdmin(client.NameServers)
	defer func() { _ = admin.Close() }()
	if _, err := admin.EnsureGroup(ctx, mq.GroupSpec{Name: "undertakers"}); err != nil {
		fmt.Println(err)
	}
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders", MaxAttempts: 1,
		Handler: func(context.Context, message.Message) error { return errors.New("never") },
	})
	defer run(producer, consumer)()
	if err := producer.Send(ctx, created("order-1")); err != nil {
		fmt.Println(err)
	}

	received := make(inbox, 1) // Start waits until there are dead letters
	letters := mq.NewConsumer(client, mq.Subscription{
		Group: "undertakers", Topic: mq.DeadLetterTopic("stock"), Ordered: true, Handler: received.handle,
	})
	defer run(letters)()
	fmt.Println((<-received).Keys)
	// Output: [order-1]
}

// Consumers get only the tags that they subscribe to.
func ExampleSubscription_tags() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 2)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders", Tags: []string{"paid", "closed"}, Handler: received.handle,
	})
	defer run(producer, consumer)()

	for _, tag := range []string{"created", "paid", "shipped", "closed"} {
		m := message.Message{Topic: "orders", Tag: tag, Body: []byte("{}")}
		if err := producer.Send(context.Background(), m); err != nil {
			fmt.Println(err)
		}
	}
	tags := []string{(<-received).Tag, (<-received).Tag}
	slices.Sort(tags)
	fmt.Println(tags)
	// Output: [closed paid]
}

// Filter is an SQL expression over properties and the tag.
func ExampleSubscription_filter() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 1)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders", Handler: received.handle,
		Filter: "price BETWEEN 5 AND 10 AND TAGS = 'created'",
	})
	defer run(producer, consumer)()

	for price, order := range map[string]string{"4": "order-1", "7": "order-2", "11": "order-3"} {
		m := created(order)
		m.Properties = map[string]string{"price": price}
		if err := producer.Send(context.Background(), m); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println((<-received).Keys)
	// Output: [order-2]
}

// Each member of a broadcast gets every message.
func ExampleSubscription_broadcast() {
	defer forgetBroadcasts("stock")
	b, client := shop()
	defer func() { _ = b.Close() }()
	member := func(name string, received inbox) *mq.Consumer {
		return mq.NewConsumer(client, mq.Subscription{
			Group: "stock", Topic: "orders", Broadcast: name, Handler: received.handle,
		})
	}
	left, right := make(inbox, 1), make(inbox, 1)
	producer := mq.NewProducer(client, "checkout", "orders")
	defer run(producer, member("left", left), member("right", right))()

	if err := producer.Send(context.Background(), created("order-1")); err != nil {
		fmt.Println(err)
	}
	fmt.Println((<-left).Keys, (<-right).Keys)
	// Output: [order-1] [order-1]
}

// A message that fails holds up those behind it. For one order of all messages,
// they are sent with one key.
func ExampleSubscription_ordered() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	done := make(chan bool)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{
		Group: "stock", Topic: "orders", Ordered: true,
		Handler: func(_ context.Context, m message.Message) error {
			fmt.Println(m.Keys, "attempt", m.Attempt)
			switch {
			case m.Keys[0] == "order-2" && m.Attempt < 3:
				return errors.New("not yet")
			case m.Keys[0] == "order-3":
				close(done)
			}
			return nil
		},
	})
	defer run(producer, consumer)()

	for _, order := range []string{"order-1", "order-2", "order-3"} {
		if err := producer.SendOrdered(context.Background(), created(order), "all"); err != nil {
			fmt.Println(err)
		}
	}
	<-done
	// Output:
	// [order-1] attempt 1
	// [order-2] attempt 1
	// [order-2] attempt 2
	// [order-2] attempt 3
	// [order-3] attempt 1
}

// Nothing is handled while a consumer is suspended, for example while its database
// is maintained.
func ExampleConsumer_Suspend() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	received := make(inbox, 1)
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{Group: "stock", Topic: "orders", Handler: received.handle})
	defer run(producer, consumer)()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println("suspended:", consumer.Suspend(ctx)) // handlers that ran have ended
	if err := producer.Send(ctx, created("order-1")); err != nil {
		fmt.Println(err)
	}
	select {
	case m := <-received:
		fmt.Println("handled", m.Keys)
	case <-time.After(100 * time.Millisecond):
		fmt.Println("nothing is handled")
	}
	consumer.Resume()
	fmt.Println("handled", (<-received).Keys)
	// Output:
	// suspended: <nil>
	// nothing is handled
	// handled [order-1]
}

// Lag is how far a group is behind.
func ExampleConsumer_Lag() {
	b, client := shop()
	defer func() { _ = b.Close() }()
	producer := mq.NewProducer(client, "checkout", "orders")
	consumer := mq.NewConsumer(client, mq.Subscription{Group: "stock", Topic: "orders", Handler: make(inbox, 3).handle})
	defer run(producer, consumer)()

	ctx := context.Background()
	if err := consumer.Suspend(ctx); err != nil {
		fmt.Println(err)
	}
	for _, order := range []string{"order-1", "order-2", "order-3"} {
		if err := producer.Send(ctx, created(order)); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(consumer.Lag(ctx))
	// Output: 3 <nil>
}
