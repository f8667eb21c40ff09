package dev

import (
	"context"
	"testing"
	"time"

	"orderflow/internal/telemetry"
	"orderflow/internal/telemetry/telemetrytest"
)

// scraped are the metrics of an admin listener: the sum of each one's samples.
func scraped(ctx context.Context, admin string) (map[string]float64, error) {
	samples, err := telemetrytest.Samples(telemetrytest.Scrape(ctx, admin))
	sums := map[string]float64{}
	for _, sample := range samples {
		sums[sample.Metric] += sample.Value
	}
	return sums, err
}

// What the packages measure is there when the services are put together, and moves
// while an order lives.
func TestMetricsOfAnOrdersLife(t *testing.T) {
	t.Parallel()
	s := running(t)
	shop := open(t, s)
	shop.reserved("first")
	if _, err := shop.place(t.Context(), "first0"); err != nil { // a repetition
		t.Fatal(err)
	}
	s.Advance(telemetry.PollInterval + time.Second) // the gauges are asked for again
	moves := func(admin string, names ...string) {
		t.Helper()
		var still []string
		shop.until("the metrics move", func(ctx context.Context) (bool, error) {
			sums, err := scraped(ctx, admin)
			still = nil
			for _, name := range names {
				if sums[name] == 0 {
					still = append(still, name)
				}
			}
			return err == nil && len(still) == 0, err
		})
	}
	moves(s.OrderAdminAddr(), "orders_open")
	moves(s.InventoryAdminAddr(), "inventory_reservations_open", "inventory_stock_drift_skus")
	s.Advance(30 * time.Minute)
	moves(s.OrderAdminAddr(), "grpc_server_handled_total", "grpc_server_handling_seconds", "order_transitions_total",
		"order_created_to_reserved_seconds", "order_duplicates_absorbed_total", "order_sweeper_round_duration_seconds",
		"mq_messages_sent_total", "mq_half_messages_total", "mq_messages_handled_total", "mq_handle_duration_seconds",
		"poll_last_success_timestamp_seconds", "go_sql_max_open_connections", "orderflow_build_info", "go_goroutines")
	moves(s.InventoryAdminAddr(), "inventory_transitions_total", "inventory_timer_lag_seconds", "grpc_server_started_total",
		"inventory_sweeper_round_duration_seconds", "mq_messages_handled_total", "mq_messages_sent_total")
	for _, admin := range []string{s.OrderAdminAddr(), s.InventoryAdminAddr()} {
		shop.until("the broker was asked for the backlogs", func(ctx context.Context) (bool, error) {
			sums, err := scraped(ctx, admin)
			_, asked := sums["mq_consumer_lag_messages"]
			return asked, err
		})
		sums, err := scraped(t.Context(), admin)
		if err != nil || sums["poll_failed_total"] != 0 || sums["inventory_stock_drift_units"] != 0 || sums["log_lines_dropped_total"] != 0 {
			t.Errorf("failed %v, drift %v, %v lines dropped, %v", sums["poll_failed_total"], sums["inventory_stock_drift_units"],
				sums["log_lines_dropped_total"], err)
		}
	}
}

// The environment of a deployment that the shell knows changes nothing: the system has
// topics, a broker and databases of its own.
func TestSystemInAShellOfAnotherDeployment(t *testing.T) {
	for _, service := range []string{"ORDER", "INVENTORY"} {
		t.Setenv(service+"_TOPIC_PREFIX", "another-")
		t.Setenv(service+"_NAME_SERVERS", "127.0.0.1:1")
		t.Setenv(service+"_DATABASE_URL", "sqlite:/nowhere/another.db")
	}
	open(t, running(t)).reserved("first")
}
