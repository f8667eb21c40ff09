package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

func TestLogLineCarriesTheTraceID(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, JSON, slog.LevelInfo).With("service", "order-srv")
	ctx, span := NewTracer().Tracer("test").Start(context.Background(), "call")
	defer span.End()
	log.InfoContext(ctx, "hello", "took", 1500*time.Millisecond)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if want := span.SpanContext().TraceID().String(); line["trace_id"] != want || line["service"] != "order-srv" || line["took"] != "1.5s" {
		t.Errorf("got %v, want trace_id %s, the service and the duration", line, want)
	}
}

func TestLogLineOutsideATraceHasNone(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, Text, slog.LevelWarn)
	log.Info("too quiet")
	log.Warn("hello")
	if text := out.String(); strings.Contains(text, "trace_id") || strings.Contains(text, "quiet") || !strings.Contains(text, "msg=hello") {
		t.Errorf("got %q", text)
	}
}

func TestTracerKeepsTheCallersTraceAndDecision(t *testing.T) {
	const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
	in := propagation.MapCarrier{"traceparent": parent}
	ctx := propagation.TraceContext{}.Extract(context.Background(), in)
	ctx, span := NewTracer().Tracer("test").Start(ctx, "call")
	defer span.End()
	got := trace.SpanContextFromContext(ctx)
	if got.TraceID().String() != parent[3:35] || got.SpanID().String() == parent[36:52] || !got.IsSampled() {
		t.Errorf("got %v", got)
	}
}

func TestRegistryHasTheRuntime(t *testing.T) {
	families, err := NewRegistry(nil).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "go_goroutines" {
			return
		}
	}
	t.Error("no go_goroutines")
}
