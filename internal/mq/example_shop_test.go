package mq_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/message"
)

// shop is what the examples have in common: a broker in memory with the topic
// "orders", of four queues, and the consumer group "stock".
func shop(options ...devbroker.Option) (*devbroker.Broker, mq.Client) {
	b, err := devbroker.Start(options...)
	if err != nil {
		panic(err)
	}
	admin := mq.NewAdmin([]string{b.Addr()})
	_, topicErr := admin.EnsureTopic(context.Background(), mq.TopicSpec{Name: "orders", Queues: 4})
	_, groupErr := admin.EnsureGroup(context.Background(), mq.GroupSpec{Name: "stock"})
	if err := errors.Join(topicErr, groupErr, admin.Close()); err != nil {
		panic(err)
	}
	return b, mq.Client{NameServers: []string{b.Addr()}, Service: "example", Logger: slog.New(slog.DiscardHandler)}
}

// part is a producer or a consumer.
type part interface {
	Start(context.Context) error
	Stop(context.Context) error
}

// run starts the parts and returns what stops them.
func run(parts ...part) (stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, p := range parts {
		if err := p.Start(ctx); err != nil {
			panic(err)
		}
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, p := range parts {
			if err := p.Stop(ctx); err != nil {
				panic(err)
			}
		}
	}
}

// inbox is a handler that hands on what it gets.
type inbox chan message.Message

func (b inbox) handle(_ context.Context, m message.Message) error {
	b <- m
	return nil
}

// created is the event that an order was placed.
func created(order string) message.Message {
	return message.Message{Topic: "orders", Tag: "created", Keys: []string{order}, Body: []byte("{}")}
}

// forgetBroadcasts removes the offsets that the members of the group have kept.
func forgetBroadcasts(group string) {
	_ = os.RemoveAll(filepath.Join(os.Getenv("HOME"), ".rocketmq_client_go", group))
}
