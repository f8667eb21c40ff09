package inventory_test

import (
	"log/slog"
	"slices"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/tracing"
)

// The sweeper asks about many reservations in one call: its trace is linked to the spans
// in which they were made, and each of them has a span of its own within it.
func TestTheSweepersTraceIsLinkedToAllReservations(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		spans := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		w.service = inventory.New(inventory.Deps{
			Store: w.store, Orders: w.orders, StockEvents: w.sent, Parker: w.parked, Names: w.names,
			Clock: w.clock, Log: slog.New(slog.DiscardHandler), Tracer: provider,
		})
		w.receive("A", 10)
		w.reservedOrder("A", 1) // by a message that nobody traces
		first, second := w.newOrder(line("A", 1)), w.newOrder(line("A", 1))
		for _, o := range []*order{first, second} {
			ctx, span := provider.Tracer("test").Start(t.Context(), "process")
			if err := w.service.HandleOrderEvents(ctx, w.orderEvents(event.TagCreated, o)); err != nil {
				t.Fatal(err)
			}
			span.End()
		}
		w.clock.Advance(window + grace)
		w.sweep()
		w.expectStock("A", 10, 0, 0)

		sweep := named(t, spans, "sweep reservations", "")
		made := []trace.SpanID{
			named(t, spans, "reserve", first.id).SpanContext().SpanID(), named(t, spans, "reserve", second.id).SpanContext().SpanID(),
		}
		if l := sweep.Links(); sweep.Parent().IsValid() || len(l) != 2 ||
			!slices.Contains(made, l[0].SpanContext.SpanID()) || !slices.Contains(made, l[1].SpanContext.SpanID()) {
			t.Errorf("the sweep has the parent %v and links %v, want none, and to %v", sweep.Parent(), l, made)
		}
		one := named(t, spans, "sweep reservation", second.id)
		if l := one.Links(); one.Parent().SpanID() != sweep.SpanContext().SpanID() || len(l) != 1 || l[0].SpanContext.SpanID() != made[1] {
			t.Errorf("one reservation has the parent %v and links %v", one.Parent(), l)
		}
		if release := named(t, spans, "release", second.id); release.Parent().SpanID() != one.SpanContext().SpanID() {
			t.Errorf("the release has the parent %v", release.Parent())
		}
	})
}

// named is the one span of the name; about an order, if an id is given.
func named(t *testing.T, spans *tracetest.SpanRecorder, name, orderID string) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, s := range spans.Ended() {
		if s.Name() == name && (orderID == "" || slices.Contains(s.Attributes(), tracing.OrderID(orderID))) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans %q about %q, want 1", len(found), name, orderID)
	}
	return found[0]
}
