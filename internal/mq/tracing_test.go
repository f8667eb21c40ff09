package mq

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.opentelemetry.io/otel/attribute"
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
	m := message.Message{Topic: "topic", Tag: "created", Keys: []string{"key-1"}, Body: []byte("b"), Properties: map[string]string{"own": "1"}}
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
		t.Fatalf("%d spans, want send, request and process", len(ended))
	}
	send, handle := ended[0], ended[2]
	if send.Name() != "send topic" || send.SpanKind() != trace.SpanKindProducer || send.Parent().SpanID() != request.SpanContext().SpanID() {
		t.Errorf("send: %s, %v, parent %v", send.Name(), send.SpanKind(), send.Parent())
	}
	if handle.Name() != "process topic" || handle.SpanKind() != trace.SpanKindConsumer ||
		handle.Parent().SpanID() != send.SpanContext().SpanID() || handle.SpanContext().TraceID() != send.SpanContext().TraceID() {
		t.Errorf("process: %s, %v, parent %v", handle.Name(), handle.SpanKind(), handle.Parent())
	}
	if len(handle.Links()) != 1 || handle.Links()[0].SpanContext.SpanID() != send.SpanContext().SpanID() {
		t.Errorf("links %v", handle.Links())
	}
	if inside.SpanID() != handle.SpanContext().SpanID() {
		t.Error("the handler is not in its span")
	}
	for key, want := range map[attribute.Key]string{
		"messaging.system": "rocketmq", "messaging.operation.name": "process", "messaging.operation.type": "process",
		"messaging.destination.name": "topic", "messaging.consumer.group.name": "group", "orderflow.order_id": "key-1",
		"error.type": "*errors.errorString",
	} {
		if got := attributeOf(handle, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if len(handle.Events()) > 0 {
		t.Errorf("the error's text is in the trace: %v", handle.Events())
	}
	if handle.Status().Code != codes.Error || send.Status().Code == codes.Error {
		t.Errorf("status of handle %v, of send %v", handle.Status(), send.Status())
	}
}

// attributeOf is the value of a span's attribute.
func attributeOf(span sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, a := range span.Attributes() {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

// named is the one span with the name.
func named(t *testing.T, spans []sdktrace.ReadOnlySpan, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, s := range spans {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans %q, want 1", len(found), name)
	}
	return found[0]
}

// What comes later begins a trace of its own, which is linked to the sender's.
func TestTraceOfWhatComesLater(t *testing.T) {
	for name, later := range map[string]func(*primitive.MessageExt){
		"delayed": func(m *primitive.MessageExt) { m.WithProperty(propertyDelayed, "true") },
		"retry":   func(m *primitive.MessageExt) { m.ReconsumeTimes = 2 },
		"moved":   func(m *primitive.MessageExt) { m.WithProperty(primitive.PropertyRetryTopic, "other") },
	} {
		spans := tracetest.NewSpanRecorder()
		c, _ := quiet()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		c.Tracer = provider
		_, sent := provider.Tracer("test").Start(t.Context(), "sent")
		m := received("1")
		m.WithProperty("traceparent", "00-"+sent.SpanContext().TraceID().String()+"-"+sent.SpanContext().SpanID().String()+"-01")
		later(m)
		k, _, _ := consumerOf(t, c, Subscription{Handler: func(context.Context, message.Message) error { return nil }})
		if _, err := k.onMessages(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		process := named(t, spans.Ended(), "process topic")
		if process.Parent().IsValid() || process.SpanContext().TraceID() == sent.SpanContext().TraceID() {
			t.Errorf("%s: it is in the sender's trace", name)
		}
		if links := process.Links(); len(links) != 1 || links[0].SpanContext.SpanID() != sent.SpanContext().SpanID() {
			t.Errorf("%s: links %v", name, links)
		}
	}
}

// A receiver is told that a message was delayed, in each of the two ways, and that an
// ordinary one was not. The mark is no property that handlers see.
func TestDelayedMessagesAreMarked(t *testing.T) {
	c, _ := quiet()
	var sent *primitive.Message
	p := producerOf(c, &fakeProducer{send: func(_ context.Context, m *primitive.Message) (*primitive.SendResult, error) {
		sent = m
		return &primitive.SendResult{}, nil
	}})
	p.delays = newDelayTable(func(context.Context) (DelayLevels, error) {
		return DelayLevels{delays: []time.Duration{time.Second}}, nil
	})
	m := message.Message{Topic: "topic", Body: []byte("b")}
	for name, send := range map[string]func() error{
		"level": func() error { _, err := p.SendDelayed(t.Context(), m, time.Second); return err },
		"time":  func() error { return p.SendAt(t.Context(), m, time.Now().Add(time.Hour)) },
		"":      func() error { return p.Send(t.Context(), m) },
	} {
		if err := send(); err != nil {
			t.Fatal(err)
		}
		back := received("1")
		back.WithProperties(sent.GetProperties())
		got := incoming(back)
		if got.Delayed != (name != "") || got.Properties[propertyDelayed] != "" {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

// The local transaction and the end of the half message are within the span that sent it;
// the check-back is a trace of its own.
func TestTraceOfAHalfMessage(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	c, _ := quiet()
	c.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	var inside, asked trace.SpanContext
	l := &listener{
		execute: func(ctx context.Context, _ message.Message, _ any) (message.TransactionState, error) {
			inside = trace.SpanContextFromContext(ctx)
			return message.StateCommit, nil
		},
		check: func(ctx context.Context, _ message.Message) message.TransactionState {
			asked = trace.SpanContextFromContext(ctx)
			return message.StateCommit
		},
	}
	f := &fakeTransactions{}
	p := transactionsOf(c, l, f)
	var sent *primitive.Message
	f.send = func(_ context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error) {
		sent = m
		return stored(p, m), nil
	}
	if _, err := p.SendInTransaction(t.Context(), half(), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.sends.drain(t.Context()); err != nil { // the end of the half message
		t.Fatal(err)
	}
	back := received("1")
	back.WithProperties(sent.GetProperties())
	libraryListener{p}.CheckLocalTransaction(back)

	send := named(t, spans.Ended(), "send topic").SpanContext()
	for _, name := range []string{"execute topic", "commit topic"} {
		if child := named(t, spans.Ended(), name); child.Parent().SpanID() != send.SpanID() {
			t.Errorf("%s has the parent %v, want %v", name, child.Parent(), send)
		}
	}
	if execute := named(t, spans.Ended(), "execute topic"); execute.SpanContext().SpanID() != inside.SpanID() {
		t.Error("the local transaction is not in its span")
	}
	check := named(t, spans.Ended(), "check topic")
	if check.Parent().IsValid() || len(check.Links()) != 1 || check.Links()[0].SpanContext.SpanID() != send.SpanID() ||
		check.SpanContext().SpanID() != asked.SpanID() || attributeOf(check, "orderflow.answer") != "commit" {
		t.Errorf("check: parent %v, links %v, attributes %v", check.Parent(), check.Links(), check.Attributes())
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
	ctx, span := startProcess(t.Context(), c.tracer(), "group", m)
	span.End()
	if got := trace.SpanContextFromContext(ctx); got.TraceID() != caller.TraceID() || got.SpanID() != caller.SpanID() || got.TraceState().String() != "vendor=1" {
		t.Errorf("the handler is in trace %v, want %v", got, caller)
	}
}
