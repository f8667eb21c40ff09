package mq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

func TestOneWayOutcomes(t *testing.T) {
	for name, test := range map[string]struct {
		write func(context.Context, *primitive.Message) error
		ok    bool
	}{
		"written": {func(_ context.Context, m *primitive.Message) error {
			if m.Topic != "topic" || m.GetKeys() != "k" {
				return errors.New("another message")
			}
			return nil
		}, true},
		"error": {func(context.Context, *primitive.Message) error { return errors.New("failed") }, false},
		"panic": {func(context.Context, *primitive.Message) error { panic("nil pointer") }, false},
	} {
		c, r := quiet()
		p := producerOf(c, &fakeProducer{write: test.write})
		err := p.SendOneWay(t.Context(), half())
		if (err == nil) != test.ok || err != nil && (!errors.Is(err, message.ErrUnavailable) || errors.Is(err, message.ErrNotSent)) {
			t.Errorf("%s: %v", name, err)
		}
		outcome := map[bool]string{true: "ok", false: "error"}[test.ok]
		if got := telemetrytest.Value(t, r, "mq_messages_sent_total", "outcome", outcome); got != 1 {
			t.Errorf("%s: counted %v times", name, got)
		}
	}
	c, _ := quiet()
	p := producerOf(c, &fakeProducer{})
	if err := p.SendOneWay(t.Context(), message.Message{Topic: "topic"}); !errors.Is(err, message.ErrNotSent) {
		t.Errorf("no body: %v", err)
	}
}

func TestOneWayKeepsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hangs := make(chan struct{})
		p := producerOf(c, &fakeProducer{write: func(context.Context, *primitive.Message) error { <-hangs; return nil }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := p.SendOneWay(ctx, half()); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		close(hangs)
	})
}

// A connection that is closed right behind a message may be reset under it.
func TestStopGivesTheLastOneWayMessageTimeToArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		p := producerOf(c, &fakeProducer{write: func(context.Context, *primitive.Message) error { return nil }})
		if err := p.SendOneWay(t.Context(), half()); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := p.Stop(t.Context()); err != nil || time.Since(begin) != settleTime {
			t.Errorf("Stop after %v: %v", time.Since(begin), err)
		}
	})
}
