package mq

import (
	"context"
	"errors"
	"testing"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// T03: the process that sent the half message is gone; another one of its group
// is asked, although it has sent nothing yet itself.
func TestT03AnotherProcessAnswersTheCheckBack(t *testing.T) {
	r := newReal(t, "TRANSACTION")
	box := newInbox()
	r.consume(t, box.handle)
	a := start(t, NewTransactionProducer(r.client, r.group+"-tx", &listener{
		execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
			return message.StateUnknown, errors.New("the outcome of COMMIT is unknown")
		},
	}, r.topic))
	m := text(r.topic, "k")
	m.Properties = map[string]string{"barrier": "b1"}
	if state, err := a.SendInTransaction(t.Context(), m, nil); state != message.StateUnknown || err == nil {
		t.Fatalf("got %v, %v", state, err)
	}
	stop(t, a)
	asked := make(chan message.Message, 100)
	l := forbidden(t)
	l.check = func(_ context.Context, m message.Message) message.TransactionState {
		asked <- m
		return message.StateCommit
	}
	start(t, NewTransactionProducer(r.client, r.group+"-tx", l, r.topic))
	box.wait(t, "the message that the second process committed", withKey("k"))
	if got := <-asked; got.Topic != r.topic || got.Keys[0] != "k" || got.Tag != "created" ||
		got.Properties["barrier"] != "b1" || string(got.Body) != "k" {
		t.Errorf("asked about %+v", got)
	}
}

// When Start returns, the broker knows whom to ask.
func TestStartedProducerIsKnownToTheBroker(t *testing.T) {
	r := newReal(t, "TRANSACTION")
	group := r.group + "-tx"
	start(t, NewTransactionProducer(r.client, group, forbidden(t), r.topic))
	masters, _, err := r.admin.routeMasters(t.Context(), r.topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range masters {
		// A group without producers is an error.
		_, err := r.admin.call(t.Context(), b.addr, remoting.RequestProducerConnections, map[string]string{"producerGroup": group})
		if err != nil {
			t.Errorf("broker %s: %v", b.name, err)
		}
	}
}

// The check-back's rollback counts: the message is never delivered.
func TestCheckBackRollsBack(t *testing.T) {
	r := newReal(t, "TRANSACTION")
	box := newInbox()
	k := r.consume(t, box.handle)
	asked := make(chan string, 100)
	p := start(t, NewTransactionProducer(r.client, r.group+"-tx", &listener{
		execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
			return message.StateUnknown, errors.New("unknown")
		},
		check: func(_ context.Context, m message.Message) message.TransactionState {
			asked <- m.Keys[0]
			if m.Keys[0] == "bad" {
				return message.StateRollback
			}
			return message.StateCommit
		},
	}, r.topic))
	for _, key := range []string{"bad", "good"} {
		if _, err := p.SendInTransaction(t.Context(), text(r.topic, key), nil); err == nil {
			t.Error("unknown without an error")
		}
	}
	box.wait(t, "the good message", withKey("good"))
	for key := range asked {
		if key == "bad" {
			break
		}
	}
	stop(t, k)
	if withKey("bad")(box.all()) {
		t.Error("the message that was rolled back was delivered")
	}
}
