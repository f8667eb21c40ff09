package telemetry_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/internal/telemetry"
	"orderflow/internal/telemetry/telemetrytest"
)

// exporting is a tracer whose spans go to the URL, what ends it, and its log.
func exporting(t *testing.T, url string, sample float64) (trace.TracerProvider, func(), *telemetrytest.Log) {
	t.Helper()
	return exportingTo(t, prometheus.NewRegistry(), url, sample)
}

// exportingTo is the same with its metrics in the registry.
func exportingTo(t *testing.T, registry *prometheus.Registry, url string, sample float64) (trace.TracerProvider, func(), *telemetrytest.Log) {
	t.Helper()
	log := &telemetrytest.Log{}
	provider, end, err := telemetry.NewExportingTracer(t.Context(), telemetry.Export{
		Endpoint: url, Sample: sample, Service: "order-srv", Version: "v1", InstanceID: "i1",
	}, telemetry.NewSpanMetrics(registry), slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return provider, end, log
}

func TestSpansAreExported(t *testing.T) {
	t.Parallel()
	collector := telemetrytest.NewCollector(t)
	registry := prometheus.NewRegistry()
	provider, end, log := exportingTo(t, registry, collector.URL(), 1)
	ctx, outer := provider.Tracer("test").Start(t.Context(), "outer")
	_, inner := provider.Tracer("test").Start(ctx, "inner")
	inner.End()
	outer.End()
	end() // sends what waits
	traces := collector.Traces()
	if len(traces) != 1 || traces[0].Names() != "outer\n  inner\n" || traces[0].ID != outer.SpanContext().TraceID().String() {
		t.Fatalf("got %v", traces)
	}
	for key, want := range map[string]string{"service.name": "order-srv", "service.version": "v1", "service.instance.id": "i1"} {
		if got := traces[0].Root.Resource[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if log.String() != "" {
		t.Errorf("logged %s", log)
	}
	for _, metric := range []string{"otel_sdk_processor_span_processed_total", "otel_sdk_exporter_span_exported_total"} {
		if all, good := telemetrytest.Value(t, registry, metric), telemetrytest.Value(t, registry, metric, "error_type", ""); all != 2 || good != 2 {
			t.Errorf("%s: %v, %v of them without an error; want 2", metric, all, good)
		}
	}
}

// Of the traces that begin here the sample is recorded. One that has a caller or is linked
// is recorded if that is, whatever the sample.
func TestWhatIsSampled(t *testing.T) {
	t.Parallel()
	from := func(flags trace.TraceFlags) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags})
	}
	for _, sample := range []float64{0, 1} {
		provider, end, _ := exporting(t, "http://127.0.0.1:1", sample)
		tracer := provider.Tracer("test")
		if _, span := tracer.Start(t.Context(), "root"); span.IsRecording() != (sample == 1) || !span.SpanContext().HasTraceID() {
			t.Errorf("sample %v: a root is recorded: %v, trace id %s", sample, span.IsRecording(), span.SpanContext().TraceID())
		}
		for _, flags := range []trace.TraceFlags{0, trace.FlagsSampled} {
			want := flags.IsSampled()
			if _, span := tracer.Start(trace.ContextWithRemoteSpanContext(t.Context(), from(flags)), "child"); span.IsRecording() != want {
				t.Errorf("sample %v: a child of %v is recorded: %v", sample, flags, !want)
			}
			if _, span := tracer.Start(t.Context(), "linked", trace.WithLinks(trace.Link{SpanContext: from(flags)})); span.IsRecording() != want {
				t.Errorf("sample %v: a root that links to %v is recorded: %v", sample, flags, !want)
			}
		}
		end()
	}
}

// A collector that is not there, or hangs, holds up nobody: spans end at once also when
// the queue is full, the end comes within seconds, and one line says so.
func TestACollectorThatIsNotThere(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	provider, end, log := exportingTo(t, registry, "http://127.0.0.1:1", 1)
	tracer := provider.Tracer("test")
	began := time.Now()
	const spans = 20_000 // several times the queue
	for range spans {
		_, span := tracer.Start(t.Context(), "call")
		span.End()
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20,000 spans took %s", took)
	}
	began = time.Now()
	end()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the end took %s", took)
	}
	processed := func(why string) float64 {
		return telemetrytest.Value(t, registry, "otel_sdk_processor_span_processed_total", "error_type", why)
	}
	dropped, given := processed("queue_full"), processed("")
	if lost := telemetrytest.Value(t, registry, "otel_sdk_exporter_span_exported_total"); dropped < spans/2 || given == 0 || lost == 0 || lost > given ||
		dropped+given > spans || telemetrytest.Value(t, registry, "otel_sdk_exporter_span_exported_total", "error_type", "") != 0 {
		t.Errorf("of %d spans, %v were dropped and %v given to the exporter, which has lost %v", spans, dropped, given, lost)
	}
	if lines := strings.Count(log.String(), "\n"); lines < 1 || lines > 2 {
		t.Errorf("%d lines are logged, want one or two:\n%s", lines, log)
	}
}

// What the collector refuses is reported once, and so is that it takes spans again.
func TestACollectorThatComesBack(t *testing.T) {
	t.Parallel()
	collector := telemetrytest.NewCollector(t)
	collector.Refuse(status.Error(codes.PermissionDenied, "who are you?"))
	registry := prometheus.NewRegistry()
	provider, end, log := exportingTo(t, registry, collector.URL(), 1)
	defer end()
	until := func(what string, done func() bool) {
		t.Helper()
		deadline, tick := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
		defer tick.Stop()
		for !done() {
			select {
			case <-deadline:
				t.Fatalf("not %s: logged is\n%s", what, log)
			case <-tick.C:
				_, span := provider.Tracer("test").Start(t.Context(), "call")
				span.End()
			}
		}
	}
	until("refused", func() bool { return strings.Contains(log.String(), "does not take traces") })
	collector.Refuse(nil)
	until("taken again", func() bool { return strings.Contains(log.String(), "takes traces again") })
	for _, errorType := range []string{"_OTHER", ""} {
		if telemetrytest.Value(t, registry, "otel_sdk_exporter_span_exported_total", "error_type", errorType) == 0 {
			t.Errorf("no span is counted as exported with error %q", errorType)
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "who are you?") || len(collector.Spans()) == 0 {
		t.Errorf("%d spans, logged is\n%s", len(collector.Spans()), log)
	}
}
