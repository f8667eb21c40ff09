package mq

import (
	"context"
	"maps"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/mq/message"
)

// startSend opens a producer span and puts its traceparent into m's properties.
// end closes the span.
func startSend(ctx context.Context, tracer trace.Tracer, m *message.Message) (spanCtx context.Context, end func(error)) {
	ctx, span := tracer.Start(ctx, "send "+m.Topic, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("messaging.system", "rocketmq"),
			attribute.String("messaging.destination.name", m.Topic), attribute.String("messaging.rocketmq.message.tag", m.Tag)))
	inject(ctx, m)
	return ctx, func(err error) { endSpan(span, err) }
}

// inject puts the traceparent of ctx into a copy of m's properties.
func inject(ctx context.Context, m *message.Message) {
	m.Properties = maps.Clone(m.Properties)
	if m.Properties == nil {
		m.Properties = map[string]string{}
	}
	propagation.TraceContext{}.Inject(ctx, nonEmpty(m.Properties))
}

// nonEmpty carries trace headers in a message's properties; an empty
// tracestate is left out, for a property must not be empty.
type nonEmpty map[string]string

func (p nonEmpty) Get(key string) string { return p[key] }
func (p nonEmpty) Keys() []string        { return propagation.MapCarrier(p).Keys() }
func (p nonEmpty) Set(key, value string) {
	if value != "" {
		p[key] = value
	}
}

// Trace continues the sender's trace: a delivery is a span of its own, linked to
// the span that sent the message, since a timer comes 30 minutes later.
func Trace(tracer trace.Tracer, group string) message.Middleware {
	return func(next message.Handler) message.Handler {
		return func(ctx context.Context, m message.Message) error {
			sent := trace.SpanContextFromContext(
				propagation.TraceContext{}.Extract(context.Background(), nonEmpty(m.Properties)))
			ctx, span := tracer.Start(trace.ContextWithRemoteSpanContext(ctx, sent), "handle "+m.Topic,
				trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(trace.Link{SpanContext: sent}),
				trace.WithAttributes(attribute.String("messaging.system", "rocketmq"),
					attribute.String("messaging.consumer.group.name", group),
					attribute.Int("messaging.rocketmq.message.attempt", m.Attempt)))
			err := next(ctx, m)
			endSpan(span, err)
			return err
		}
	}
}

func endSpan(span trace.Span, err error) {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
