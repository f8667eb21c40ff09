// Package telemetry makes what a process reports about itself: its log, its
// trace ids and its metrics. Nothing of it is global: whoever needs one of them
// is given it.
//
// One event is one line of the log: who handles an error logs it, and who returns it
// does not. A line about orders has their ids as order_id, and one that is written
// within a trace has its trace_id. The levels mean:
//
//	error   somebody has to act: an event is parked, a bug, members of a group at odds
//	warn    something does not work and heals by itself: a part is down, a message
//	        comes again
//	info    the life of the process, and what people do: it starts, listens, stops; a
//	        call that was refused for the caller's sake; goods received
//	debug   what happens all the time: each call and each message that went well
//
// The metrics are listed in docs/metrics.md.
package telemetry

import (
	"context"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/version"
)

// Format is how a log line is written.
type Format string

// The formats.
const (
	JSON Format = "json" // for machines; the default
	Text Format = "text" // for people
)

// NewLogger returns a log that writes lines of at least the level to w. A line
// that is written within a trace carries its trace_id.
func NewLogger(w io.Writer, format Format, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if format == Text {
		return slog.New(tracing{slog.NewTextHandler(w, options)})
	}
	return slog.New(tracing{slog.NewJSONHandler(w, options)})
}

// readable writes a duration as 1.5s; JSON would have it as 1500000000.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// tracing is a handler that adds the trace id of the context.
type tracing struct{ slog.Handler }

// Handle adds trace_id and passes the record on.
func (h tracing) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		r = r.Clone() // the record is shared with its sender
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapper around the handler with more attributes.
func (h tracing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracing{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the wrapper around the handler of a group.
func (h tracing) WithGroup(name string) slog.Handler { return tracing{h.Handler.WithGroup(name)} }

// NewRegistry returns a registry with the metrics of the Go runtime and of the
// process, its build, and the lines that its log has dropped; sink may be nil.
func NewRegistry(sink *LogWriter) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	number, commit := version.Parts()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "orderflow_build_info", Help: "1; its labels say which build is running.",
	}, []string{"version", "commit"})
	build.WithLabelValues(number, commit).Set(1)
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "log_lines_dropped_total", Help: "Lines of the log that were dropped, because their sink was slow or failed.",
		}, func() float64 { return float64(sink.Dropped()) }),
	)
	return registry
}
