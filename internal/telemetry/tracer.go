package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// NewTracer returns a provider that makes ids, which tie the log lines and
// messages of one order together, and records nothing, as there is no exporter.
// A caller's decision to sample is passed on to whom we call.
func NewTracer() trace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
}

// Spans wait in a queue for the collector. When it is full they are dropped: nothing
// waits for room.
const (
	queueSize     = 4096
	batchSize     = 512
	batchInterval = time.Second
	exportTimeout = 10 * time.Second // of one batch, with its repetitions
	firstRetry    = 200 * time.Millisecond
	longestRetry  = 2 * time.Second
	flushTimeout  = 3 * time.Second // of the end
)

// Export says which spans are sent where, and in whose name.
type Export struct {
	Endpoint   string  // URL of an OTLP/gRPC receiver: http, or https for TLS
	Sample     float64 // the part of the traces that begin here and are recorded, 0 to 1
	Service    string
	Version    string
	InstanceID string // of the process
}

// NewExportingTracer returns a provider that sends what it records to a collector, and
// what ends it: spans that still wait are sent then, if that takes no longer than a few
// seconds. The collector need not be there. Whether it takes spans is logged when that
// changes, and now and then; how many it takes is counted.
func NewExportingTracer(ctx context.Context, e Export, metrics *SpanMetrics, log *slog.Logger) (trace.TracerProvider, func(), error) {
	otlp, err := otlptracegrpc.New(ctx,
		otlptracegrpc.WithEndpointURL(e.Endpoint),
		otlptracegrpc.WithTimeout(exportTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: firstRetry, MaxInterval: longestRetry, MaxElapsedTime: exportTimeout,
		}))
	if err != nil {
		return nil, nil, fmt.Errorf("export traces to %s: %w", e.Endpoint, err)
	}
	exporter := newReporting(otlp, metrics, log)
	queue := &bounded{metrics: metrics, SpanProcessor: sdktrace.NewBatchSpanProcessor(exporter,
		sdktrace.WithMaxQueueSize(queueSize), sdktrace.WithMaxExportBatchSize(batchSize),
		sdktrace.WithBatchTimeout(batchInterval), sdktrace.WithExportTimeout(exportTimeout))}
	exporter.settled = queue.leave
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(linked{sdktrace.TraceIDRatioBased(e.Sample)})),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", e.Service),
			attribute.String("service.version", e.Version),
			attribute.String("service.instance.id", e.InstanceID),
		)),
		sdktrace.WithSpanProcessor(queue),
	)
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		defer exporter.giveUp()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn("the last traces were not sent", "error", err)
		}
	}, nil
}

// linked decides about a trace that begins with links: it is recorded if one of those
// that it links to is. So the timer of an order that is recorded is, too. About all others
// that begin here the sampler within decides.
type linked struct{ sdktrace.Sampler }

// ShouldSample decides.
func (s linked) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if len(p.Links) == 0 {
		return s.Sampler.ShouldSample(p)
	}
	for _, l := range p.Links {
		if l.SpanContext.IsSampled() {
			return sdktrace.AlwaysSample().ShouldSample(p)
		}
	}
	return sdktrace.NeverSample().ShouldSample(p)
}

// Description names the sampler.
func (s linked) Description() string { return "Linked{" + s.Sampler.Description() + "}" }

// complainAgain is how often it is logged that the collector takes nothing.
const complainAgain = 10 * time.Minute

// reporting is an exporter that logs its own failures, and rarely. The library would hand
// them to a handler that the whole process shares. Its batches come one after the other.
type reporting struct {
	sdktrace.SpanExporter
	metrics *SpanMetrics
	log     *slog.Logger
	giveUp  context.CancelFunc // ends what is under way
	ended   context.Context
	settled func(spans int) // is told of those that need no room any more

	failedSince time.Time // zero: the last batch was taken
	complained  time.Time
	lost        int // spans since the last complaint
}

func newReporting(exporter sdktrace.SpanExporter, metrics *SpanMetrics, log *slog.Logger) *reporting {
	ended, giveUp := context.WithCancel(context.Background())
	return &reporting{SpanExporter: exporter, metrics: metrics, log: log, ended: ended, giveUp: giveUp}
}

// ExportSpans sends a batch. That it cannot be sent is no error: nobody could do anything
// about it.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ended, cancel)()
	r.metrics.countProcessed(len(spans))
	err := r.SpanExporter.ExportSpans(ctx, spans)
	r.settled(len(spans))
	r.metrics.countExported(len(spans), err)
	r.report(err, len(spans), time.Now())
	return nil
}

func (r *reporting) report(err error, spans int, now time.Time) {
	switch {
	case err == nil && r.failedSince.IsZero():
	case err == nil:
		r.log.Info("the collector takes traces again", "after", now.Sub(r.failedSince), "spans_lost", r.lost)
		r.failedSince, r.complained, r.lost = time.Time{}, time.Time{}, 0
	case errors.Is(err, context.Canceled) && r.ended.Err() != nil: // said by whoever ends it
	default:
		if r.failedSince.IsZero() {
			r.failedSince = now
		}
		r.lost += spans
		if now.Sub(r.complained) >= complainAgain {
			r.log.Warn("the collector does not take traces; nothing waits for it", "spans_lost", r.lost, "error", err)
			r.complained = now
		}
	}
}
