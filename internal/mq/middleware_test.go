package mq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

func TestChainOrder(t *testing.T) {
	var calls []string
	note := func(name string) message.Middleware {
		return func(next message.Handler) message.Handler {
			return func(ctx context.Context, m message.Message) error { calls = append(calls, name); return next(ctx, m) }
		}
	}
	h := message.Chain(func(context.Context, message.Message) error { calls = append(calls, "handler"); return nil }, note("outer"), note("inner"))
	if err := h(t.Context(), message.Message{}); err != nil || !slices.Equal(calls, []string{"outer", "inner", "handler"}) {
		t.Errorf("calls %v, %v", calls, err)
	}
}

func TestRecoverMakesAPanicAnError(t *testing.T) {
	h := Recover()(func(context.Context, message.Message) error { panic("boom") })
	err := h(t.Context(), message.Message{})
	if err == nil || !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "middleware_test.go") {
		t.Errorf("err = %v; want the panic and where it was", err)
	}
}

func TestLogLevels(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		level string
		text  string
	}{
		"ok":        {nil, "DEBUG", "message handled"},
		"error":     {errors.New("later"), "WARN", "message comes again"},
		"permanent": {message.Permanent("BAD", "bad"), "DEBUG", "message is to be parked"},
	} {
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		h := Log(log, "group")(func(context.Context, message.Message) error { return test.err })
		m := message.Message{Topic: "topic", Tag: "tag", Keys: []string{"k"}, ID: "id", Attempt: 2, Body: []byte("secret")}
		if err := h(t.Context(), m); !errors.Is(err, test.err) {
			t.Errorf("%s: err = %v", name, err)
		}
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%s: not one line: %q", name, out.String())
		}
		if line["level"] != test.level || line["msg"] != test.text || line["group"] != "group" ||
			line["message_id"] != "id" || line["order_id"] != "k" || line["attempt"] != 2.0 || (line["error"] != nil) != (test.err != nil) {
			t.Errorf("%s: %v", name, line)
		}
		if strings.Contains(out.String(), "secret") {
			t.Errorf("%s: the body is in the log", name)
		}
	}
}

func TestMetricsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := quiet()
		failed := errors.New("failed")
		plain := producerOf(c, &fakeProducer{send: func(_ context.Context, m *primitive.Message) (*primitive.SendResult, error) {
			if string(m.Body) == "bad" {
				return nil, failed
			}
			return &primitive.SendResult{}, nil
		}})
		_ = plain.Send(t.Context(), half())
		_ = plain.Send(t.Context(), message.Message{Topic: "topic", Body: []byte("bad")})
		_, _ = plain.SendDelayed(t.Context(), half(), time.Second) // the table cannot be fetched

		l := &listener{execute: func(_ context.Context, _ message.Message, arg any) (message.TransactionState, error) {
			return arg.(message.TransactionState), nil
		}, check: func(context.Context, message.Message) message.TransactionState { return message.StateCommit }}
		f := &fakeTransactions{}
		p := transactionsOf(c, l, f)
		f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
			return stored(p, m), nil
		}
		for _, s := range []message.TransactionState{message.StateCommit, message.StateRollback, message.StateUnknown} {
			_, _ = p.SendInTransaction(t.Context(), half(), s)
		}
		_, _ = p.SendInTransaction(t.Context(), message.Message{}, nil)
		libraryListener{p}.CheckLocalTransaction(received("1"))

		for _, err := range []error{nil, errors.New("later"), message.Permanent("BAD", "bad")} {
			k, _, _ := consumerOf(t, c, Subscription{Parker: c.Metrics.CountParked(&fakeParker{}),
				Handler: func(context.Context, message.Message) error { return err }})
			_, _ = k.onMessages(t.Context(), received("1"))
		}
		for _, sample := range []struct {
			metric string
			labels []string
			want   float64
		}{
			{"mq_messages_sent_total", []string{"topic", "topic", "outcome", "ok"}, 1},
			{"mq_messages_sent_total", []string{"topic", "topic", "outcome", "error"}, 2},
			{"mq_half_messages_total", []string{"topic", "topic", "outcome", "commit"}, 1},
			{"mq_half_messages_total", []string{"topic", "topic", "outcome", "rollback"}, 1},
			{"mq_half_messages_total", []string{"topic", "topic", "outcome", "unknown"}, 1},
			{"mq_half_messages_total", []string{"outcome", "not_sent"}, 1},
			{"mq_check_backs_total", []string{"group", "group", "answer", "commit"}, 1},
			{"mq_messages_handled_total", []string{"group", "group", "topic", "topic", "result", "ok"}, 1},
			{"mq_messages_handled_total", []string{"result", "retry"}, 1},
			{"mq_messages_handled_total", []string{"result", "permanent"}, 1},
			{"mq_handle_duration_seconds", []string{"group", "group", "topic", "topic"}, 3},
			{"mq_messages_parked_total", []string{"group", "group", "reason", "BAD"}, 1},
		} {
			if got := telemetrytest.Value(t, r, sample.metric, sample.labels...); got != sample.want {
				t.Errorf("%s%v = %v, want %v", sample.metric, sample.labels, got, sample.want)
			}
		}
	})
}

func TestNilMetricsCountNothing(t *testing.T) {
	var m *Metrics
	m.countSent("topic", 1, nil)
	m.countHalf("topic", "commit")
	m.countCheckBack("group", message.StateCommit, time.Minute)
	m.countHandled("group", "topic", "ok", time.Second, 1)
	m.countDropped("group", "topic")
	if err := m.CountParked(&fakeParker{}).Park(t.Context(), message.Parked{}); err != nil {
		t.Error(err)
	}
}
