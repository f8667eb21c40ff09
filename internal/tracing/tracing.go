// Package tracing opens and ends the spans of this system, and decides when a trace
// goes on and when a new one begins.
//
// A trace is what happens at once. It goes on
//
//   - within a call, and from service to service over gRPC;
//   - with a message, from whoever sends it to whoever handles its first delivery: each
//     message carries the traceparent of the span that sent it. So one trace leads from
//     CreateOrder over the half message, its local transaction and its commit to the
//     reservation, and with the stock event back to the order that is RESERVED.
//
// What happens later begins a trace of its own, with a link to the span that it stems
// from: a trace that ends half an hour after it began is one that nobody can look at
// meanwhile, and whose tail comes when the collector has long made up its mind. These are
//
//   - a delayed message, such as the payment timer: all that follows from it, the
//     order's end and the return of its stock, is in the timer's trace;
//   - a redelivery, and a message that the broker moved to where it keeps dead letters
//     or half messages that nobody decided about;
//   - a check-back: the broker's question about a half message;
//   - what the sweepers do about an order or a reservation, whose row keeps the
//     traceparent of the call or message that made it;
//   - the replay of a parked message and what an operator has sent again. They belong to
//     the trace of the operator's call, and have the link.
//
// A span that is about many orders has a link to each of the spans that they stem from;
// one that is about one order has its id in orderflow.order_id.
//
// A trace that begins with a link is recorded if one of those that it links to is, so
// that a story is told to its end or not at all (internal/telemetry).
//
// Names and attributes of spans about messages are those of OpenTelemetry's semantic
// conventions: "send order-events", "process order-events". No attribute has SQL,
// an error's text, or anything of a customer but ids: the log has the rest, by trace id.
package tracing

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// headerParent is the header of W3C Trace Context, and the name of a message's property.
const headerParent = "traceparent"

// scope is the instrumentation that spans within others come from.
const scope = "orderflow"

// OrderID is the attribute of a span that is about one order.
func OrderID(id string) attribute.KeyValue { return attribute.String("orderflow.order_id", id) }

// Start opens a span within that of ctx; orderID is empty if it is not about one order.
// If ctx has none that is recorded, it opens none: then it costs a look into ctx.
func Start(ctx context.Context, name, orderID string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name, options...)
	if orderID != "" {
		span.SetAttributes(OrderID(orderID))
	}
	return ctx, span
}

// Root opens a span that begins a trace of its own, linked to the spans that it stems
// from. A nil provider opens none.
func Root(ctx context.Context, provider trace.TracerProvider, name, orderID string, from ...trace.SpanContext) (context.Context, trace.Span) {
	if provider == nil {
		return ctx, noop.Span{}
	}
	ctx, span := provider.Tracer(scope).Start(ctx, name, trace.WithNewRoot(), LinkTo(from...))
	if orderID != "" && span.IsRecording() {
		span.SetAttributes(OrderID(orderID))
	}
	return ctx, span
}

// About says in the span of ctx that it is about one order.
func About(ctx context.Context, orderID string) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(OrderID(orderID))
	}
}

// LinkTo is the option that links a span to those that it stems from. Those of which
// nothing is known are left out.
func LinkTo(from ...trace.SpanContext) trace.SpanStartOption {
	links := make([]trace.Link, 0, len(from))
	for _, sc := range from {
		if sc.IsValid() {
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	return trace.WithLinks(links...)
}

// End ends a span, as failed if err is not nil. The error's text is for the log: it may
// quote what customers have sent.
func End(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.SetAttributes(attribute.String("error.type", errorType(err)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// errorType is a name for the error out of a small set: what the error calls itself, or
// its type.
func errorType(err error) string {
	var named interface{ ErrorType() string }
	switch {
	case errors.As(err, &named):
		return named.ErrorType()
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline_exceeded"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return fmt.Sprintf("%T", err)
}

// Inject puts the span of ctx into the properties of a message.
func Inject(ctx context.Context, properties map[string]string) {
	propagation.TraceContext{}.Inject(ctx, nonEmpty(properties))
}

// SenderOf is the span that sent a message with these properties; it is not valid if
// they do not say.
func SenderOf(properties map[string]string) trace.SpanContext {
	if properties[headerParent] == "" {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), nonEmpty(properties)))
}

// Traceparent is the span of ctx as a row keeps it; nil if it is not recorded.
func Traceparent(ctx context.Context) *string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	headers := map[string]string{}
	Inject(ctx, headers)
	parent := headers[headerParent]
	return &parent
}

// Stored is the span that a row keeps; it is not valid if there is none.
func Stored(traceparent *string) trace.SpanContext {
	if traceparent == nil {
		return trace.SpanContext{}
	}
	return SenderOf(map[string]string{headerParent: *traceparent})
}

// nonEmpty carries trace headers in a message's properties; an empty tracestate is left
// out, for a property must not be empty.
type nonEmpty map[string]string

// Get returns a header.
func (p nonEmpty) Get(key string) string { return p[key] }

// Keys are the headers that are there.
func (p nonEmpty) Keys() []string { return propagation.MapCarrier(p).Keys() }

// Set sets a header.
func (p nonEmpty) Set(key, value string) {
	if value != "" {
		p[key] = value
	}
}
