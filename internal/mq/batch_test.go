package mq

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

func TestBatchIsOneSendWithAnIDForEach(t *testing.T) {
	c, r := quiet()
	spans := tracetest.NewSpanRecorder()
	c.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	var sent [][]*primitive.Message
	p := producerOf(c, &fakeProducer{batch: func(_ context.Context, m []*primitive.Message) (*primitive.SendResult, error) {
		sent = append(sent, m)
		return &primitive.SendResult{}, nil
	}})
	messages := []message.Message{text("topic", "a"), text("topic", "b"), text("topic", "c")}
	if err := p.SendBatch(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	if len(sent) != 1 || len(sent[0]) != 3 {
		t.Fatalf("sent %v", sent)
	}
	ids, parents := map[string]bool{}, map[string]bool{}
	for i, m := range sent[0] {
		ids[m.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)] = true
		parents[m.GetProperty("traceparent")] = true
		if string(m.Body) != messages[i].Keys[0] || m.GetKeys() != messages[i].Keys[0] {
			t.Errorf("message %d is %s, %s", i, m.Body, m.GetKeys())
		}
	}
	if len(ids) != 3 || ids[""] {
		t.Errorf("ids %v", ids)
	}
	if len(parents) != 1 || parents[""] || len(spans.Ended()) != 1 {
		t.Errorf("%d spans, traceparents %v", len(spans.Ended()), parents)
	}
	if messages[1].Properties != nil {
		t.Errorf("the caller's properties have changed: %v", messages[1].Properties)
	}
	if got := telemetrytest.Value(t, r, "mq_messages_sent_total", "outcome", "ok"); got != 3 {
		t.Errorf("counted %v messages", got)
	}
}

func TestBatchThatIsRefused(t *testing.T) {
	long := text("topic", "long")
	long.Properties = map[string]string{"a": strings.Repeat("x", maxPropertiesSize)}
	large := message.Message{Topic: "topic", Body: bytes.Repeat([]byte("x"), maxBatchSize/2)}
	good := text("topic", "a")
	for name, test := range map[string]struct {
		messages []message.Message
		index    int
		text     string
	}{
		"empty":              {nil, -1, "empty"},
		"another topic":      {[]message.Message{good, text("other", "b")}, 1, `"other"`},
		"no body":            {[]message.Message{good, good, {Topic: "topic"}}, 2, "body"},
		"illegal key":        {[]message.Message{text("topic", "k\x01l"), good}, 0, "key"},
		"long properties":    {[]message.Message{good, long}, 1, "properties"},
		"large in all":       {[]message.Message{large, large}, -1, "more than 4194304"},
		"large on its own":   {[]message.Message{{Topic: "topic", Body: bytes.Repeat([]byte("x"), maxBatchSize)}}, -1, "more than"},
		"broker's property":  {[]message.Message{{Topic: "topic", Body: []byte("b"), Properties: map[string]string{"DELAY": "3"}}}, 0, "DELAY"},
		"timer for a member": {[]message.Message{good, {Topic: "topic", Body: []byte("b"), Properties: map[string]string{propertyDeliverAt: "1"}}}, 1, propertyDeliverAt},
	} {
		c, r := quiet()
		p := producerOf(c, &fakeProducer{batch: func(context.Context, []*primitive.Message) (*primitive.SendResult, error) {
			t.Errorf("%s: sent", name)
			return nil, nil
		}})
		err := p.SendBatch(t.Context(), test.messages)
		var wrong *BatchError
		if !errors.As(err, &wrong) || wrong.Index != test.index || !errors.Is(err, message.ErrNotSent) ||
			errors.Is(err, message.ErrUnavailable) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v", name, err)
		}
		if got := telemetrytest.Value(t, r, "mq_messages_sent_total", "outcome", "error"); got != float64(len(test.messages)) {
			t.Errorf("%s: counted %v messages", name, got)
		}
	}
}

func TestBatchThatFails(t *testing.T) {
	c, _ := quiet()
	p := producerOf(c, &fakeProducer{batch: func(context.Context, []*primitive.Message) (*primitive.SendResult, error) {
		return nil, errors.New("failed")
	}})
	batch := []message.Message{text("topic", "a"), text("topic", "b")}
	if err := p.SendBatch(t.Context(), batch); !errors.Is(err, message.ErrUnavailable) || errors.Is(err, message.ErrNotSent) {
		t.Errorf("err = %v", err)
	}
	p.library = nil
	if err := p.SendBatch(t.Context(), batch); !errors.Is(err, message.ErrNotSent) {
		t.Errorf("not started: %v", err)
	}
}
