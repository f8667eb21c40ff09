package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry"
	"orderflow/internal/tracing"
)

const orderID = "0197a1b2-0000-7000-8000-000000000001"

func recorder() (*tracetest.SpanRecorder, trace.TracerProvider) {
	spans := tracetest.NewSpanRecorder()
	return spans, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
}

func TestASpanWithinAnother(t *testing.T) {
	spans, provider := recorder()
	ctx, outer := provider.Tracer("test").Start(t.Context(), "outer")
	inner, span := tracing.Start(ctx, "inner", orderID)
	tracing.End(span, nil)
	got := spans.Ended()[0]
	if got.Name() != "inner" || got.Parent().SpanID() != outer.SpanContext().SpanID() || trace.SpanFromContext(inner) != span {
		t.Errorf("%s has the parent %v", got.Name(), got.Parent())
	}
	if a := got.Attributes(); len(a) != 1 || a[0] != tracing.OrderID(orderID) {
		t.Errorf("attributes %v", a)
	}
}

// Where nothing is recorded, no span is opened, and the trace id stays that of the call.
func TestASpanWithinNothingThatIsRecorded(t *testing.T) {
	ctx, outer := telemetry.NewTracer().Tracer("test").Start(t.Context(), "outer")
	for _, ctx := range []context.Context{t.Context(), ctx} {
		inner, span := tracing.Start(ctx, "inner", orderID)
		tracing.End(span, errors.New("failed"))
		if inner != ctx || tracing.Traceparent(inner) != nil {
			t.Error("a span was opened")
		}
	}
	if !outer.SpanContext().HasTraceID() {
		t.Error("there is no trace id")
	}
}

// A root has no parent even within a span, and links to what is known only.
func TestARootIsLinked(t *testing.T) {
	spans, provider := recorder()
	ctx, from := provider.Tracer("test").Start(t.Context(), "from")
	stored := tracing.Traceparent(ctx)
	if stored == nil || len(*stored) != 55 {
		t.Fatalf("a row would keep %v, and has room for 55 characters", stored)
	}
	garbage := "not a traceparent"
	_, span := tracing.Root(ctx, provider, "root", orderID, tracing.Stored(stored), tracing.Stored(nil), tracing.Stored(&garbage))
	span.End()
	got := spans.Ended()[0]
	if got.Parent().IsValid() || got.SpanContext().TraceID() == from.SpanContext().TraceID() {
		t.Errorf("the parent is %v", got.Parent())
	}
	if l := got.Links(); len(l) != 1 || l[0].SpanContext.SpanID() != from.SpanContext().SpanID() || !l[0].SpanContext.IsSampled() {
		t.Errorf("links %v", l)
	}
	if ctx, span := tracing.Root(t.Context(), nil, "root", orderID); trace.SpanContextFromContext(ctx).IsValid() || span.IsRecording() {
		t.Error("a span without a provider")
	}
}

// A failed span says what kind of failure it was, and nothing of the error's text.
func TestAFailedSpan(t *testing.T) {
	for want, err := range map[string]error{
		"deadline_exceeded":   fmt.Errorf("select: %w", context.DeadlineExceeded),
		"canceled":            fmt.Errorf("select: %w", context.Canceled),
		"BAD_BODY":            fmt.Errorf("event: %w", message.Permanent("BAD_BODY", "no JSON: %s", "jane@example.com")),
		"*errors.errorString": fmt.Errorf("insert: %w", errors.New("duplicate entry jane@example.com")),
	} {
		spans, provider := recorder()
		_, span := provider.Tracer("test").Start(t.Context(), "call")
		tracing.End(span, err)
		got := spans.Ended()[0]
		if got.Status().Code != codes.Error || got.Status().Description != "" || len(got.Events()) > 0 {
			t.Errorf("%v: status %v, events %v", err, got.Status(), got.Events())
		}
		if a := got.Attributes(); len(a) != 1 || string(a[0].Key) != "error.type" || a[0].Value.AsString() != want {
			t.Errorf("%v: attributes %v, want error.type %s", err, a, want)
		}
	}
}
