package order

import (
	"slices"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"orderflow/internal/tracing"
)

// spanOf is the one span of the name about an order.
func spanOf(t *testing.T, spans *tracetest.SpanRecorder, name, orderID string) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, s := range spans.Ended() {
		if s.Name() == name && slices.Contains(s.Attributes(), tracing.OrderID(orderID)) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans %q about order %s, want 1", len(found), name, orderID)
	}
	return found[0]
}

// An order keeps the span in which it was placed, and what the sweeper and an operator
// do about it later is linked to that. Of an order that nobody traces nothing is kept.
func TestTracesOfAnOrderAreLinkedToItsPlacing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		spans := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		w.service.tracer = provider
		r := request()
		r.IdempotencyKey = "untraced"
		if o := w.get(w.place(r).ID); o.Traceparent != nil {
			t.Errorf("an order that is not traced keeps %s", *o.Traceparent)
		}

		ctx, call := provider.Tracer("test").Start(t.Context(), "call")
		o, err := w.service.Place(ctx, draft(t, request()))
		if err != nil {
			t.Fatal(err)
		}
		call.End()
		spanOf(t, spans, "call", o.ID)
		placing := call.SpanContext()
		if kept := tracing.Stored(w.get(o.ID).Traceparent); kept.SpanID() != placing.SpanID() || kept.TraceID() != placing.TraceID() {
			t.Fatalf("the row keeps %v, want %v", kept, placing)
		}

		ctx, operator := provider.Tracer("test").Start(t.Context(), "operator")
		if _, err := w.service.Redrive(ctx, []string{o.ID}); err != nil {
			t.Fatal(err)
		}
		operator.End()
		w.clock.Advance(schedule().ResendAfter)
		w.sweepAll()
		redrive, sweep := spanOf(t, spans, "redrive order", o.ID), spanOf(t, spans, "sweep order", o.ID)
		for _, s := range []sdktrace.ReadOnlySpan{redrive, sweep} {
			if l := s.Links(); len(l) != 1 || l[0].SpanContext.SpanID() != placing.SpanID() {
				t.Errorf("%s has links %v, want one to %v", s.Name(), l, placing)
			}
		}
		if redrive.Parent().SpanID() != operator.SpanContext().SpanID() || sweep.Parent().IsValid() || sweep.SpanContext().TraceID() == placing.TraceID() {
			t.Errorf("redrive has the parent %v, want the operator's call; sweep has %v, want none", redrive.Parent(), sweep.Parent())
		}
	})
}

// A redrive of an order that nobody has traced is linked to nothing.
func TestARedriveOfAnUntracedOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		spans := tracetest.NewSpanRecorder()
		o := w.place(request())
		ctx, operator := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test").Start(t.Context(), "operator")
		if _, err := w.service.Redrive(ctx, []string{o.ID}); err != nil {
			t.Fatal(err)
		}
		operator.End()
		if l := spanOf(t, spans, "redrive order", o.ID).Links(); len(l) > 0 {
			t.Errorf("links %v", l)
		}
	})
}
