package devbroker_test

import (
	"context"
	"fmt"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// publish sends a message to the first queue of the topic "orders", as a client of
// RocketMQ does.
func publish(client *remoting.Client, b *devbroker.Broker, body string, properties map[string]string) error {
	_, err := client.Call(context.Background(), b.Addr(), remoting.NewRequest(remoting.RequestSendMessage, map[string]string{
		"producerGroup": "checkout", "topic": "orders", "queueId": "0", "sysFlag": "0", "flag": "0",
		"bornTimestamp": fmt.Sprint(time.Now().UnixMilli()), "properties": remoting.EncodeProperties(properties),
	}, []byte(body)))
	return err
}

// A timer of half an hour ends as soon as the clock is pushed. In a test, RunT
// starts a broker that ends with it.
func Example() {
	b, err := devbroker.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Close() }()
	if err := b.CreateTopic("orders", 4, "DELAY"); err != nil {
		fmt.Println(err)
	}
	client := remoting.NewClient(remoting.Options{})
	defer func() { _ = client.Close() }()

	halfAnHour := map[string]string{remoting.PropertyDelayLevel: "16", remoting.PropertyKeys: "order-1"}
	fmt.Println("sent:", publish(client, b, "pay or close", halfAnHour))
	for _, timer := range b.Inspect().Timers {
		fmt.Println("waits:", timer.Keys, "for", timer.Topic)
	}
	fmt.Println("delivered:", len(b.Messages("orders", 0)))

	b.Advance(30 * time.Minute)
	for _, m := range b.Messages("orders", 0) {
		fmt.Printf("delivered: %s %s\n", m.Keys, m.Body)
	}
	fmt.Println("waiting:", len(b.Inspect().Timers))
	// Output:
	// sent: <nil>
	// waits: order-1 for orders
	// delivered: 0
	// delivered: order-1 pay or close
	// waiting: 0
}

// An answer that gets lost: the message is stored, and its sender does not know.
func ExampleBroker_Inject() {
	b, err := devbroker.Start(devbroker.WithAutoCreateTopics(true))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Close() }()
	client := remoting.NewClient(remoting.Options{})
	defer func() { _ = client.Close() }()

	fault := b.Inject(devbroker.Fault{
		Code: remoting.RequestSendMessage, Topic: "orders", Times: 1, Action: devbroker.CutAfter(),
	})
	if err := publish(client, b, "first", nil); err != nil {
		fmt.Println("no answer; try again")
	}
	fmt.Println("sent:", publish(client, b, "again", nil))
	fmt.Println("faults:", fault.Fired())
	for _, m := range b.Messages("orders", 0) {
		fmt.Printf("stored: %s\n", m.Body)
	}
	// Output:
	// no answer; try again
	// sent: <nil>
	// faults: 1
	// stored: first
	// stored: again
}
