package e2e

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/internal/assembly"
	"orderflow/internal/cli"
	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry"
	"orderflow/internal/telemetry/telemetrytest"
)

// beside makes happen what the packages measure and none of the programs does: on SQLite,
// or ever.
func (d *drill) beside() {
	d.squeezePool()
	d.dropBroadcast()
	d.loseSpans()
}

// squeezePool has a pool of connections close them for all reasons, and keep callers
// waiting. That of SQLite has one connection, which it keeps for ever.
func (d *drill) squeezePool() {
	registry := prometheus.NewRegistry()
	config := cli.Database{DatabaseURL: cli.DatabaseURL("sqlite:" + filepath.Join(d.t.TempDir(), "pool.db"))}
	db, cleanup, err := assembly.OpenDatabase(config, registry, assembly.Host{Log: slog.New(slog.DiscardHandler)})
	d.must(err)
	d.t.Cleanup(cleanup)
	d.beyond = append(d.beyond, registry)
	pool := db.Pool()
	use := func() { d.t.Helper(); d.must(db.Ping(d.t.Context())) }

	taken, err := pool.Conn(d.t.Context())
	d.must(err)
	d.move("go_sql_in_use_connections")
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Millisecond)
	defer cancel()
	if err := db.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		d.t.Errorf("who waits for a connection got %v", err)
	}
	d.must(taken.Close())
	d.move("go_sql_idle_connections")
	pool.SetConnMaxLifetime(time.Nanosecond)
	use()
	d.move("go_sql_max_lifetime_closed_total")
	pool.SetConnMaxLifetime(0)
	pool.SetMaxIdleConns(-1)
	use()
	d.move("go_sql_max_idle_closed_total")
	pool.SetMaxIdleConns(1)
	pool.SetConnMaxIdleTime(time.Nanosecond)
	use()
	d.move("go_sql_max_idle_time_closed_total")
}

// loseSpans has a collector take a span, and then none of more than may wait for it.
func (d *drill) loseSpans() {
	registry := prometheus.NewRegistry()
	collector := telemetrytest.NewCollector(d.t)
	provider, end, err := telemetry.NewExportingTracer(d.t.Context(),
		telemetry.Export{Endpoint: collector.URL(), Sample: 1, Service: "e2e"}, telemetry.NewSpanMetrics(registry), slog.New(slog.DiscardHandler))
	d.must(err)
	d.t.Cleanup(end)
	d.beyond = append(d.beyond, registry)
	record := func() {
		_, span := provider.Tracer("e2e").Start(d.t.Context(), "call")
		span.End()
	}
	record()
	d.move("otel_sdk_exporter_span_exported_total", "error_type", "")
	collector.Refuse(status.Error(codes.PermissionDenied, "no more"))
	for range 20_000 { // faster than they can be refused
		record()
	}
	d.move("otel_sdk_processor_span_processed_total", "error_type", "queue_full")
	d.move("otel_sdk_exporter_span_exported_total", "error_type", "_OTHER")
}

// dropBroadcast has a member of a broadcast fail that has nowhere to park.
func (d *drill) dropBroadcast() {
	registry := prometheus.NewRegistry()
	group := run.nextName() + "broadcast"
	ctx, cancel := context.WithTimeout(d.t.Context(), startTimeout)
	defer cancel()
	_, err := d.admin.EnsureGroup(ctx, mq.GroupSpec{Name: group})
	d.must(err)
	member := mq.NewConsumer(mq.Client{
		NameServers: []string{d.nameServer}, Service: "e2e", Logger: slog.New(slog.DiscardHandler), Metrics: mq.NewMetrics(registry),
	}, mq.Subscription{
		Group: group, Topic: d.names.StockEvents, Broadcast: "e2e",
		Handler: func(context.Context, message.Message) error {
			return message.Permanent("NOT_FOR_ME", "this is not for me")
		},
	})
	d.must(member.Start(ctx))
	d.beyond = append(d.beyond, registry)
	d.move("mq_messages_dropped_total")
	d.must(member.Stop(ctx))
	kept, err := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".rocketmq_client_go", "*"+group+"*"))
	d.must(err)
	for _, file := range kept {
		d.must(os.RemoveAll(file))
	}
}
