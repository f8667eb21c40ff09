package mq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry"
)

// Whatever is logged about a message says which it is, which order it is about, and the
// trace that it belongs to.
func TestEveryLineAboutAMessageSaysWhich(t *testing.T) {
	once := func() *fakeParker {
		failed := false
		return &fakeParker{park: func() error {
			if failed {
				return nil
			}
			failed = true
			return errors.New("database down")
		}}
	}
	bad := func(context.Context, message.Message) error { return message.Permanent("BAD", "bad") }
	for text, test := range map[string]struct {
		sub  Subscription
		back error
	}{
		"cannot park message":                                 {Subscription{Handler: bad, Parker: once()}, nil},
		"cannot send message back, holding it":                {Subscription{Handler: later, Parker: once()}, errLost},
		"message is parked, the broker does not take it back": {Subscription{Handler: later, Parker: once()}, errLost},
		"message of a broadcast is dropped":                   {Subscription{Handler: bad, Broadcast: "me"}, nil},
		"cannot park message, holding it":                     {Subscription{Handler: later, Parker: once(), Broadcast: "me"}, nil},
	} {
		t.Run(text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				c, _ := quiet()
				c.Logger, c.Tracer = telemetry.NewLogger(&out, telemetry.JSON, slog.LevelDebug), telemetry.NewTracer()
				k, _, back := consumerOf(t, c, test.sub)
				back.set(test.back)
				const trace = "0af7651916cd43dd8448eb211c80319c"
				m := received("1")
				m.WithProperty("traceparent", "00-"+trace+"-b7ad6b7169203331-01")
				m.WithTag("created")
				<-call(k, m)
				checkLines(t, out.String(), text, trace)
			})
		})
	}
}

// checkLines looks at every line of a log about the one message of order key-1. Those of
// its first attempt are in the trace of its sender.
func checkLines(t *testing.T, log, text, trace string) {
	t.Helper()
	found := false
	for written := range strings.Lines(log) {
		var line struct {
			Msg, Group, Topic, Tag, Error string
			Order                         string `json:"order_id"`
			Message                       string `json:"message_id"`
			Trace                         string `json:"trace_id"`
			Attempt                       int
		}
		if err := json.Unmarshal([]byte(written), &line); err != nil {
			t.Fatal(err)
		}
		found = found || line.Msg == text
		if line.Group != "group" || line.Topic != "topic" || line.Tag != "created" || line.Order != "key-1" || line.Message != "1" ||
			line.Attempt < 1 || line.Error == "" || line.Trace == "" || line.Attempt == 1 && line.Trace != trace {
			t.Errorf("a line says too little: %s", written)
		}
	}
	if !found {
		t.Errorf("no line %q in\n%s", text, log)
	}
}

// The same of what is no delivery to a consumer.
func TestAPanicSaysOfWhichMessage(t *testing.T) {
	var out bytes.Buffer
	c, _ := quiet()
	c.Logger, c.Tracer = telemetry.NewLogger(&out, telemetry.JSON, slog.LevelDebug), telemetry.NewTracer()
	p := transactionsOf(c, &listener{check: func(context.Context, message.Message) message.TransactionState { panic("boom") }}, &fakeTransactions{})
	if state := (libraryListener{p}).CheckLocalTransaction(received("1")); state != primitive.UnknowState {
		t.Errorf("answered %v", state)
	}
	plain := producerOf(c, &fakeProducer{send: func(context.Context, *primitive.Message) (*primitive.SendResult, error) {
		return &primitive.SendResult{}, nil
	}})
	m := message.Message{Topic: "topic", Keys: []string{"key-1"}, Body: []byte("b")}
	if err := plain.SendAsync(t.Context(), m, func(error) { panic("boom") }); err != nil {
		t.Fatal(err)
	}
	if err := plain.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Errorf("%d lines, want 2:\n%s", len(lines), out.String())
	}
	for _, line := range lines {
		if !strings.Contains(line, `"order_id":"key-1"`) || !strings.Contains(line, `"trace_id":"`) || !strings.Contains(line, `"panic":"boom"`) {
			t.Errorf("a line says too little: %s", line)
		}
	}
}
