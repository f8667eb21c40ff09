package mq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// senders are the ways to send, by name, over a library that answers as it is told.
func senders(library func() error) map[string]func(context.Context) error {
	c, _ := quiet()
	p := producerOf(c, &fakeProducer{
		batch: func(context.Context, []*primitive.Message) (*primitive.SendResult, error) {
			return &primitive.SendResult{}, library()
		},
		write: func(context.Context, *primitive.Message) error { return library() },
	})
	var halves *TransactionProducer
	commits := &listener{execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
		return message.StateCommit, nil
	}}
	halves = transactionsOf(c, commits, &fakeTransactions{
		send: func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
			if err := library(); err != nil {
				return nil, err
			}
			return stored(halves, m), nil
		},
	})
	return map[string]func(context.Context) error{
		"sync":    func(ctx context.Context) error { return p.Send(ctx, half()) },
		"batch":   func(ctx context.Context) error { return p.SendBatch(ctx, []message.Message{half()}) },
		"one-way": func(ctx context.Context) error { return p.SendOneWay(ctx, half()) },
		"async": func(ctx context.Context) error {
			told := make(chan error, 1)
			return errors.Join(p.SendAsync(ctx, half(), func(err error) { told <- err }), <-told)
		},
		"half": func(ctx context.Context) error {
			_, err := halves.SendInTransaction(ctx, half(), nil)
			return err
		},
	}
}

// Each way to send is repeated while the library has no address, and not for ever; what
// fails otherwise is not repeated.
func TestSendsWaitForTheBrokersAddress(t *testing.T) {
	noAddress, noTopic := errors.New("topic=topic route info not found"), errors.New("the topic=topic route info not found")
	for name := range senders(nil) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, fails, failure := 0, 3, noAddress
				send := senders(func() error {
					if calls++; calls <= fails {
						return failure
					}
					return nil
				})[name]
				if err := send(t.Context()); err != nil || calls != 4 {
					t.Errorf("%d calls of the library, %v; want 4, the last of which succeeds", calls, err)
				}

				calls, fails = 0, 1000
				began := time.Now()
				err := send(t.Context())
				if took := time.Since(began); !errors.Is(err, message.ErrUnavailable) || took < addressPatience/4 || took > addressPatience {
					t.Errorf("%v after %v; want unavailable within %v", err, took, addressPatience)
				}

				calls, failure = 0, noTopic
				if err := send(t.Context()); !errors.Is(err, message.ErrUnavailable) || calls != 1 {
					t.Errorf("to a topic that is not there: %d calls of the library, %v; want 1", calls, err)
				}
			})
		})
	}
}

// The library has no error for the missing address but a text. This is what it says to
// who sends at the moment between the two.
func TestLibrarySaysThatItLacksTheAddress(t *testing.T) {
	s := newFakeServer(t)
	s.topics["topic"] = remoting.TopicConfig{Name: "topic", ReadQueues: 1, WriteQueues: 1, Perm: 6}
	c, _ := quiet()
	c.NameServers = []string{s.addr}
	p := NewProducer(c, "producers-without-address")
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
	send := func() error {
		_, err := p.library.SendSync(t.Context(), primitive.NewMessage("topic", []byte("x")))
		return err
	}
	between := errors.New("nobody was there")
	t.Cleanup(onLibraryLog(func(text string) {
		if text == "change the route for clients" { // it has the queues
			between = send()
		}
	}))
	_ = send()
	if !lacksAddress(between) {
		t.Errorf("the library says %q", between)
	}
}
