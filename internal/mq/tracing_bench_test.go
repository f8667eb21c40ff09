package mq

import (
	"context"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry"
	"orderflow/internal/tracing"
)

// BenchmarkTracing is what the spans of one order cost in this package: those of its
// timer, its half message with the local transaction and its end, and two deliveries.
//
//	never  no tracer at all: what tracing adds to the messages of an order, at the least
//	off    the tracer of a service without --otlp-endpoint: ids, and no spans
//	on     spans are recorded, and thrown away
//
// The broker would take some 100 times as long; see BenchmarkTracingOff in test/bench.
func BenchmarkTracing(b *testing.B) {
	for name, provider := range map[string]trace.TracerProvider{
		"never": noop.NewTracerProvider(), "off": telemetry.NewTracer(),
		"on": sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(discard{})),
	} {
		b.Run(name, func(b *testing.B) {
			c := Client{Tracer: provider}
			tracer := c.tracer()
			m := message.Message{Topic: "topic", Tag: "created", Keys: []string{"key"}, Body: []byte("body"), Properties: map[string]string{"barrier": "b"}}
			p := transactionsOf(c, &listener{execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
				return message.StateCommit, nil
			}}, nil)
			b.ReportAllocs()
			for b.Loop() {
				ctx, server := tracer.Start(b.Context(), "CreateOrder")
				timer := m
				_, end := startSend(ctx, tracer, &timer)
				end(nil)
				half := m
				sending, end := startSend(ctx, tracer, &half)
				call := &localCall{ctx: sending, message: half, done: make(chan struct{})}
				msg := &primitive.Message{}
				p.calls.Store(msg, call)
				libraryListener{p}.ExecuteLocalTransaction(msg)
				p.calls.Delete(msg)
				call.settle.End()
				end(nil)
				server.End()
				for _, received := range []message.Message{half, timer} {
					received.Attempt = 1
					_, process := startProcess(b.Context(), tracer, "group", received)
					tracing.End(process, nil)
				}
			}
		})
	}
}

// discard takes spans and drops them.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }
