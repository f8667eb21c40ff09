package bench

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/order"
	"orderflow/internal/parking"
	"orderflow/internal/telemetry"
	"orderflow/internal/telemetry/telemetrytest"
	"orderflow/migrations"
)

// BenchmarkTracingOff places orders, one by one, on the embedded broker and SQLite, each
// one by four services in turn, so that all of them meet the same machine:
//
//	never  without any tracer
//	again  the same: what it differs by is what this machine cannot measure
//	off    with the one of a service without --otlp-endpoint
//	on     recording every trace, for a collector in this process
//
// It reports the median of each, and the ratios to that of "never".
func BenchmarkTracingOff(b *testing.B) {
	mq.UseLogger(slog.New(slog.DiscardHandler))
	broker := devbroker.RunT(b)
	recording, end, err := telemetry.NewExportingTracer(b.Context(),
		telemetry.Export{Endpoint: telemetrytest.NewCollector(b).URL(), Sample: 1},
		telemetry.NewSpanMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	check(b, err)
	b.Cleanup(end)
	kinds := []string{"never", "again", "off", "on"}
	tracers := []trace.TracerProvider{noop.NewTracerProvider(), noop.NewTracerProvider(), telemetry.NewTracer(), recording}
	names, _ := prepare(b, broker.Addr())
	place := make([]func(n int) error, len(kinds))
	for i, tracer := range tracers {
		place[i] = placer(b, broker.Addr(), names, tracer)
	}
	took := make([][]time.Duration, len(kinds))
	b.ResetTimer()
	for n := range b.N {
		for k := range kinds {
			i := (k + n) % len(kinds) // whoever is first has the cold caches
			began := time.Now()
			check(b, place[i](n))
			took[i] = append(took[i], time.Since(began))
		}
	}
	b.StopTimer()
	for i, kind := range kinds {
		slices.Sort(took[i])
		b.ReportMetric(float64(median(took[i]).Microseconds()), kind+"-µs/order")
		b.ReportMetric(float64(median(took[i]))/float64(median(took[0])), kind+"/never")
	}
	b.ReportMetric(0, "ns/op") // of all four together: it says nothing
}

func median(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }

// placer makes a service whose messages and calls are traced so, and places the n-th
// order with it.
func placer(b *testing.B, nameServer string, names event.Names, tracer trace.TracerProvider) func(n int) error {
	b.Helper()
	log, clk := slog.New(slog.DiscardHandler), clock.System{}
	db, err := database.Open("sqlite:" + filepath.Join(b.TempDir(), "order.db"))
	check(b, err)
	b.Cleanup(func() { check(b, db.Close()) })
	_, err = db.Migrate(b.Context(), migrations.Order())
	check(b, err)
	store := order.NewStore(db, clk, order.Schedule{ResendAfter: time.Hour, CloseGrace: time.Hour}, nil)
	client := mq.Client{NameServers: []string{nameServer}, Service: "bench", Logger: log, Tracer: tracer}
	transactions := mq.NewTransactionProducer(client, names.OrderTransactions, order.NewListener(store, clk, nil, log), names.OrderEvents)
	timers := mq.NewProducer(client, names.OrderTimers, names.OrderTimeouts)
	check(b, transactions.Start(b.Context()))
	check(b, timers.Start(b.Context()))
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		check(b, transactions.Stop(ctx))
		check(b, timers.Stop(ctx))
	})
	service := order.New(order.Deps{
		Store: store, Transactions: transactions, Timers: timers, Parker: parking.NewStore(db, clk), Names: names, Clock: clk,
		Log: log, Tracer: tracer, Config: order.Config{PaymentWindow: window, LocalTransactionTimeout: 5 * time.Second},
	})
	run, calls := uuid.NewString(), tracer.Tracer("bench")
	return func(n int) error {
		ctx, call := calls.Start(b.Context(), "CreateOrder", trace.WithSpanKind(trace.SpanKindServer))
		defer call.End()
		draft, err := order.NewDraft(order.Request{
			IdempotencyKey: fmt.Sprintf("%s-%d", run, n), CustomerID: "bench", Currency: "EUR",
			Lines: []order.RequestLine{{SKU: "bench", Quantity: 1, UnitPriceMinor: 1999}},
		})
		if err != nil {
			return err
		}
		_, err = service.Place(ctx, draft)
		return err
	}
}
