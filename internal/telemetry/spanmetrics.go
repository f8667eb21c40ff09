package telemetry

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Why a span was lost, in the words of the conventions.
const (
	queueFull  = "queue_full"
	otherError = "_OTHER" // the log says which
)

// SpanMetrics counts what becomes of spans, by the names that the semantic conventions
// have for it. The library itself counts only behind a switch for experiments, and into
// a provider that the whole process shares.
type SpanMetrics struct{ processed, exported *prometheus.CounterVec }

// NewSpanMetrics makes the metrics and registers them.
func NewSpanMetrics(r prometheus.Registerer) *SpanMetrics {
	m := &SpanMetrics{
		processed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "otel_sdk_processor_span_processed_total",
			Help: "Recorded spans that were handed to the exporter (no error_type), or dropped since too many were waiting for it (queue_full).",
		}, []string{"error_type"}),
		exported: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "otel_sdk_exporter_span_exported_total",
			Help: "Spans that the receiver has taken (no error_type), or that were lost since it did not (_OTHER: the log says why).",
		}, []string{"error_type"}),
	}
	r.MustRegister(m.processed, m.exported)
	for errorType, counter := range map[string]*prometheus.CounterVec{queueFull: m.processed, otherError: m.exported} {
		counter.WithLabelValues("") // there before the first one, so that a rate sees it
		counter.WithLabelValues(errorType)
	}
	return m
}

func (m *SpanMetrics) countProcessed(spans int) { m.processed.WithLabelValues("").Add(float64(spans)) }

func (m *SpanMetrics) countDropped() { m.processed.WithLabelValues(queueFull).Inc() }

func (m *SpanMetrics) countExported(spans int, err error) {
	errorType := ""
	if err != nil {
		errorType = otherError
	}
	m.exported.WithLabelValues(errorType).Add(float64(spans))
}

// bounded lets no more spans wait than there is room for, and counts those that it drops.
// The processor within would drop them as well, and tell nobody.
type bounded struct {
	sdktrace.SpanProcessor
	metrics *SpanMetrics
	waiting atomic.Int64 // queued, or being exported
}

// OnEnd queues a span, or drops it.
func (b *bounded) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if b.waiting.Add(1) > queueSize {
		b.leave(1)
		b.metrics.countDropped()
		return
	}
	b.SpanProcessor.OnEnd(s)
}

// leave makes room.
func (b *bounded) leave(spans int) { b.waiting.Add(-int64(spans)) }
