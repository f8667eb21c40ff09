package mq

import (
	"context"
	"maps"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

// What is done with a message, in the words of the semantic conventions. A half
// message is settled by the end of its local transaction.
const (
	operationSend    = "send"
	operationExecute = "execute" // the local transaction of a half message
	operationCheck   = "check"   // answer what became of it
	operationProcess = "process"
	operationSettle  = "settle"
)

// startSend opens a producer span and puts its traceparent into m's properties.
// end closes the span.
func startSend(ctx context.Context, tracer trace.Tracer, m *message.Message) (spanCtx context.Context, end func(error)) {
	ctx, span := tracer.Start(ctx, operationSend+" "+m.Topic, trace.WithSpanKind(trace.SpanKindProducer))
	describe(span, operationSend, operationSend, *m)
	inject(ctx, m)
	return ctx, func(err error) { tracing.End(span, err) }
}

// inject puts the traceparent of ctx into a copy of m's properties.
func inject(ctx context.Context, m *message.Message) {
	m.Properties = maps.Clone(m.Properties)
	if m.Properties == nil {
		m.Properties = map[string]string{}
	}
	tracing.Inject(ctx, m.Properties)
}

// describe says in a span what is done with which message. A span that nobody records
// costs nothing more.
func describe(span trace.Span, name, kind string, m message.Message, more ...attribute.KeyValue) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("messaging.system", "rocketmq"), attribute.String("messaging.operation.name", name),
		attribute.String("messaging.destination.name", m.Topic), attribute.String("messaging.rocketmq.message.tag", m.Tag),
		attribute.StringSlice("messaging.rocketmq.message.keys", m.Keys), attribute.Int("messaging.message.body.size", len(m.Body)),
	)
	if kind != "" {
		span.SetAttributes(attribute.String("messaging.operation.type", kind))
	}
	if m.ID != "" {
		span.SetAttributes(attribute.String("messaging.message.id", m.ID))
	}
	if len(m.Keys) == 1 {
		span.SetAttributes(tracing.OrderID(m.Keys[0]))
	}
	span.SetAttributes(more...)
}

// startProcess opens the span of a delivery to a handler. The first one of a message that
// was sent to be delivered at once is part of the trace that sent it; what comes later
// begins one of its own (see package tracing). Both have a link to the span that sent the
// message.
func startProcess(ctx context.Context, tracer trace.Tracer, group string, m message.Message) (context.Context, trace.Span) {
	ctx, span := startDelivery(ctx, tracer, operationProcess, m)
	if span.IsRecording() {
		describe(span, operationProcess, operationProcess, m, attribute.String("messaging.consumer.group.name", group),
			attribute.Int("orderflow.delivery.attempt", m.Attempt))
	}
	return ctx, span
}

// startDelivery opens the span of a message that the broker has brought.
func startDelivery(ctx context.Context, tracer trace.Tracer, operation string, m message.Message) (context.Context, trace.Span) {
	sent, name, kind := tracing.SenderOf(m.Properties), operation+" "+m.Topic, trace.WithSpanKind(trace.SpanKindConsumer)
	if comesLater(m) || operation == operationCheck {
		return tracer.Start(ctx, name, kind, tracing.LinkTo(sent), trace.WithNewRoot())
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, sent)
	if !sent.IsSampled() { // nor is this one
		return tracer.Start(ctx, name, kind)
	}
	return tracer.Start(ctx, name, kind, tracing.LinkTo(sent))
}

// comesLater tells whether a message is not what its sender has just sent.
func comesLater(m message.Message) bool {
	moved := m.Origin.Topic != "" && m.Origin.Topic != m.Topic
	return m.Delayed || m.Attempt > 1 || moved
}

// startLocal opens the span of a half message's local transaction.
func startLocal(ctx context.Context, m message.Message) (context.Context, trace.Span) {
	ctx, span := tracing.Start(ctx, operationExecute+" "+m.Topic, "")
	describe(span, operationExecute, "", m)
	return ctx, span
}

// startSettle opens the span in which the broker is told what becomes of a half message,
// within that of its sender, which may end before.
func startSettle(ctx context.Context, m message.Message, state message.TransactionState) trace.Span {
	_, span := tracing.Start(ctx, state.String()+" "+m.Topic, "", trace.WithSpanKind(trace.SpanKindClient))
	describe(span, state.String(), operationSettle, m)
	return span
}
