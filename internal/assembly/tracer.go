package assembly

import (
	"context"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/cli"
	"orderflow/internal/telemetry"
	"orderflow/internal/version"
)

// NewTracer makes what records traces, or only makes ids if they are to go nowhere. The
// clean-up sends those that still wait.
func NewTracer(ctx context.Context, s Service, c cli.Tracing, host Host, registry prometheus.Registerer) (trace.TracerProvider, func(), error) {
	metrics := telemetry.NewSpanMetrics(registry)
	if c.OTLPEndpoint == "" {
		return telemetry.NewTracer(), func() {}, nil
	}
	return telemetry.NewExportingTracer(ctx, telemetry.Export{
		Endpoint: c.OTLPEndpoint, Sample: c.TraceSample,
		Service: string(s), Version: version.String(), InstanceID: uuid.NewString(),
	}, metrics, host.Log)
}
