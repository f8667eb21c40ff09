package mq

import (
	"context"
	"errors"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/mq/message"
)

// The handler's spans belong to the trace of whoever sent the message.
func TestTraceGoesWithTheMessage(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	c, _ := quiet()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	c.Tracer = provider
	var sent *primitive.Message
	p := producerOf(c, &fakeProducer{send: func(_ context.Context, m *primitive.Message) (*primitive.SendResult, error) {
		sent = m
		return &primitive.SendResult{}, nil
	}})
	ctx, request := provider.Tracer("test").Start(t.Context(), "request")
	m := message.Message{Topic: "topic", Tag: "created", Body: []byte("b"), Properties: map[string]string{"own": "1"}}
	if err := p.Send(ctx, m); err != nil {
		t.Fatal(err)
	}
	request.End()
	if len(m.Properties) != 1 {
		t.Errorf("the caller's properties have changed: %v", m.Properties)
	}
	if sent.GetProperty("traceparent") == "" || sent.GetProperty("own") != "1" {
		t.Fatalf("sent with properties %v", sent.GetProperties())
	}
	if _, empty := sent.GetProperties()["tracestate"]; empty {
		t.Error("an empty tracestate was sent")
	}

	back := received("1")
	back.WithProperties(sent.GetProperties())
	failed := errors.New("later")
	var inside trace.SpanContext
	k, _, _ := consumerOf(t, c, Subscription{Handler: func(ctx context.Context, _ message.Message) error {
		inside = trace.SpanContextFromContext(ctx)
		return failed
	}})
	if _, err := k.onMessages(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	ended := spans.Ended()
	if len(ended) != 3 {
		t.Fatalf("%d spans, want send, request and handle", len(ended))
	}
	send, handle := ended[0], ended[2]
	if send.Name() != "send topic" || send.SpanKind() != trace.SpanKindProducer || send.Parent().SpanID() != request.SpanContext().SpanID() {
		t.Errorf("send: %s, %v, parent %v", send.Name(), send.SpanKind(), send.Parent())
	}
	if handle.Name() != "handle topic" || handle.SpanKind() != trace.SpanKindConsumer ||
		handle.Parent().SpanID() != send.SpanContext().SpanID() || handle.SpanContext().TraceID() != send.SpanContext().TraceID() {
		t.Errorf("handle: %s, %v, parent %v", handle.Name(), handle.SpanKind(), handle.Parent())
	}
	if len(handle.Links()) != 1 || handle.Links()[0].SpanContext.SpanID() != send.SpanContext().SpanID() {
		t.Errorf("links %v", handle.Links())
	}
	if inside.SpanID() != handle.SpanContext().SpanID() {
		t.Error("the handler is not in its span")
	}
	if handle.Status().Code != codes.Error || send.Status().Code == codes.Error {
		t.Errorf("status of handle %v, of send %v", handle.Status(), send.Status())
	}
}

// Without a tracer of its own a message carries the caller's trace on, or none.
func TestTraceWithoutATracer(t *testing.T) {
	c, _ := quiet()
	m := message.Message{Topic: "topic", Body: []byte("b")}
	_, end := startSend(t.Context(), c.tracer(), &m)
	end(nil)
	if len(m.Properties) != 0 {
		t.Errorf("properties %v", m.Properties)
	}
	state, err := trace.ParseTraceState("vendor=1")
	if err != nil {
		t.Fatal(err)
	}
	caller := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceState: state})
	_, end = startSend(trace.ContextWithRemoteSpanContext(t.Context(), caller), c.tracer(), &m)
	end(nil)
	var got trace.SpanContext
	h := Trace(c.tracer(), "group")(func(ctx context.Context, _ message.Message) error {
		got = trace.SpanContextFromContext(ctx)
		return nil
	})
	if err := h(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got.TraceID() != caller.TraceID() || got.SpanID() != caller.SpanID() || got.TraceState().String() != "vendor=1" {
		t.Errorf("the handler is in trace %v, want %v", got, caller)
	}
}
