package mq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
)

// A broker that is gone: the library dials it for as long as it likes.
func TestConsumerStopIsBoundedWhileTheLibraryShutsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, library, back := consumerOf(t, c, Subscription{Handler: later})
		back.set(errors.New("refused"))
		answers := call(k, received("1"))
		hangs := make(chan struct{})
		library.shutdown = func() { <-hangs }
		stopIsBounded(t, k)
		synctest.Wait()
		if len(answers) != 0 {
			t.Error("the callback has returned before the library gave up its queue")
		}
		close(hangs)
		if got := <-answers; got != (answer{consumer.ConsumeRetryLater, nil}) {
			t.Errorf("the library is told %v", got)
		}
	})
}

// stopIsBounded stops s, whose library hangs, and wants it back soon after the
// context has ended.
func stopIsBounded(t *testing.T, s interface{ Stop(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begin := time.Now()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second+shutdownGrace {
		t.Errorf("Stop after %v: %v", time.Since(begin), err)
	}
}

func TestProducerStopIsBoundedWhileTheLibraryShutsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hangs := make(chan struct{})
		stopIsBounded(t, producerOf(c, &fakeProducer{hangs: hangs}))
		stopIsBounded(t, transactionsOf(c, forbidden(t), &fakeTransactions{hangs: hangs}))
		close(hangs)
	})
}

// A check-back that is being answered needs the database, which is closed after
// Stop; one that comes later is not answered here any more.
func TestStopWaitsForCheckBacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		asked, answer := 0, make(chan message.TransactionState)
		f := &fakeTransactions{}
		p := transactionsOf(c, &listener{check: func(context.Context, message.Message) message.TransactionState {
			asked++
			return <-answer
		}}, f)
		first := make(chan primitive.LocalTransactionState, 1)
		go func() { first <- libraryListener{p}.CheckLocalTransaction(received("1")) }()
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- p.Stop(t.Context()) }()
		synctest.Wait()
		if f.down != 0 {
			t.Error("the client was shut down under a check-back")
		}
		if got := (libraryListener{p}).CheckLocalTransaction(received("2")); got != primitive.UnknowState || asked != 1 {
			t.Errorf("a late check-back was answered %v, and the listener asked %d times", got, asked)
		}
		answer <- message.StateCommit
		if err := <-stopped; err != nil || f.down != 1 {
			t.Errorf("Stop = %v, %d shutdowns", err, f.down)
		}
		if got := <-first; got != primitive.CommitMessageState {
			t.Errorf("the check-back was answered %v", got)
		}
	})
}

// The end of a half message is a one-way frame: the connection must not be closed
// right behind it.
func TestStopGivesTheLastEndTimeToArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		l := &listener{execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
			return message.StateCommit, nil
		}}
		f := &fakeTransactions{}
		p := transactionsOf(c, l, f)
		f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
			return stored(p, m), nil
		}
		if _, err := p.SendInTransaction(t.Context(), half(), nil); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := p.Stop(t.Context()); err != nil || time.Since(begin) < settleTime {
			t.Errorf("Stop after %v: %v", time.Since(begin), err)
		}
	})
}
