package inventorysrv

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/assembly"
	"orderflow/internal/clock"
	"orderflow/internal/connect"
	"orderflow/internal/crashpoint"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/lifecycle"
	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
	"orderflow/internal/server"
	"orderflow/internal/telemetry"
	"orderflow/migrations"
)

// App is inventory-srv: put together, listening, not yet running.
type App struct {
	server   *server.Server
	plan     *lifecycle.Plan
	registry *prometheus.Registry
}

// Run runs the service until ctx ends, and drains it.
func (a *App) Run(ctx context.Context) error { return a.plan.Run(ctx, a.server) }

// Addr is where gRPC listens.
func (a *App) Addr() string { return a.server.Addr() }

// AdminAddr is where /healthz, /readyz and /metrics listen.
func (a *App) AdminAddr() string { return a.server.AdminAddr() }

// Registry is what /metrics shows.
func (a *App) Registry() *prometheus.Registry { return a.registry }

func newApp(srv *server.Server, plan *lifecycle.Plan, registry *prometheus.Registry) *App {
	return &App{server: srv, plan: plan, registry: registry}
}

func newName() assembly.Service { return assembly.InventoryService }

func newNames(c Config) event.Names { return event.NewNames(c.TopicPrefix) }

func newPoint(c Config) (*crashpoint.Point, error) { return c.Point() }

func newServerConfig(c Config) server.Config {
	return server.Config{Listen: c.Listen, AdminListen: c.AdminListen}
}

func newGroups(n event.Names) assembly.Groups {
	return assembly.Groups{n.InventoryOrderEvents, n.InventoryOrderTimeouts}
}

// newOrders makes the client of order-srv. It connects when it is first used, and
// again when order-srv comes back: whether it is up is no part of our readiness.
func newOrders(c Config, host assembly.Host, tracer trace.TracerProvider) (orderv1.OrderServiceClient, func(), error) {
	reconnect := backoff.DefaultConfig
	reconnect.MaxDelay = 3 * time.Second // a timer that waits longer is redelivered anyway
	conn, err := connect.To(c.OrderService,
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 3 * time.Second}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(tracer), otelgrpc.WithPropagators(propagation.TraceContext{}),
		)),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("client of order-srv: %w", err)
	}
	return orderv1.NewOrderServiceClient(conn), func() {
		if err := conn.Close(); err != nil {
			host.Log.Warn("close the connection to order-srv", "error", err)
		}
	}, nil
}

func newStore(c Config, db *database.DB, clk clock.Clock, metrics *inventory.Metrics) *inventory.Store {
	return inventory.NewStore(db, clk, c.SweepGrace, metrics)
}

// newStockEvents makes the producer of what happened to reservations.
func newStockEvents(c mq.Client, n event.Names) *mq.Producer {
	return mq.NewProducer(c, n.InventoryEvents, n.StockEvents)
}

func newService(
	host assembly.Host, names event.Names, store *inventory.Store, orders orderv1.OrderServiceClient,
	stockEvents *mq.Producer, parked message.Parker, point *crashpoint.Point, tracer trace.TracerProvider,
) *inventory.Service {
	return inventory.New(inventory.Deps{
		Store: store, Orders: orders, StockEvents: stockEvents, Parker: parked,
		Names: names, Clock: host.Clock, Crash: point, Log: host.Log, Tracer: tracer,
	})
}

func newSweeper(c Config, s *inventory.Service, metrics *inventory.SweepMetrics) *inventory.Sweeper {
	return inventory.NewSweeper(s, c.SweepInterval, metrics)
}

// sweeping runs the sweeper once the producer works: what it does is told as every
// other change is.
func sweeping(c Config, clk clock.Clock, stockEvents *mq.Producer, sweeper *inventory.Sweeper) lifecycle.Task {
	return func(ctx context.Context) {
		for stockEvents.Ready() != nil {
			select {
			case <-ctx.Done():
				return
			case <-clk.After(c.SweepInterval):
			}
		}
		sweeper.Run(ctx)
	}
}

// consumers are the two consumers of inventory-srv: one group per topic.
type consumers struct {
	orderEvents, orderTimeouts *mq.Consumer
}

func newConsumers(c Config, client mq.Client, n event.Names, s *inventory.Service, parked message.Parker) consumers {
	subscribe := func(group, topic string, handler message.Handler) *mq.Consumer {
		client.Metrics.ExpectParked(group, inventory.ParkReasons()...)
		return mq.NewConsumer(client, mq.Subscription{
			Group: group, Topic: topic, Handler: handler, Parker: parked,
			Concurrency: c.ConsumerConcurrency, HandlerTimeout: c.HandlerTimeout,
		})
	}
	return consumers{
		orderEvents:   subscribe(n.InventoryOrderEvents, n.OrderEvents, s.HandleOrderEvents),
		orderTimeouts: subscribe(n.InventoryOrderTimeouts, n.OrderTimeouts, s.HandlePaymentTimeouts),
	}
}

// newSuspendable makes them what an operator can suspend: not the drains, which have
// nothing to do with how fast orders are handled.
func newSuspendable(host assembly.Host, n event.Names, both consumers) *inventory.Consumers {
	return inventory.NewConsumers([]inventory.Member{
		{Group: n.InventoryOrderEvents, Topic: n.OrderEvents, Consumer: both.orderEvents},
		{Group: n.InventoryOrderTimeouts, Topic: n.OrderTimeouts, Consumer: both.orderTimeouts},
	}, host.Clock, host.Log)
}

// drains are the consumers of what the broker gives up: dead letters of both groups.
type drains []lifecycle.Part

func newDrains(client mq.Client, n event.Names, parked message.Parker) drains {
	return drains{
		assembly.NewDeadLetters(client, n.DrainInventoryOrderEvents, n.InventoryOrderEvents, parked),
		assembly.NewDeadLetters(client, n.DrainInventoryOrderTimeouts, n.InventoryOrderTimeouts, parked),
	}
}

// newReplays says how parked messages are handled once more.
func newReplays(s *inventory.Service, orders orderv1.OrderServiceClient) parking.Replays {
	return s.Replays(orders)
}

// newKeepTopology makes the task that makes topics again which the broker has lost.
func newKeepTopology(c Config, host assembly.Host, admin *mq.Admin, names event.Names) lifecycle.Task {
	return assembly.KeepTopology(admin, names, assembly.Queues(c.TopicQueues), assembly.KeepInterval, host.Log)
}

// newPolls are the metrics that the database and the broker have to be asked for.
func newPolls(gauges *inventory.Gauges, parked *parking.Metrics, metrics *mq.Metrics, admin *mq.Admin, n event.Names) assembly.Polls {
	backlogs := slices.Concat(
		mq.BacklogsOf(n.InventoryOrderEvents, n.OrderEvents), mq.BacklogsOf(n.InventoryOrderTimeouts, n.OrderTimeouts),
		[]mq.Backlog{
			assembly.DrainOf(n.DrainInventoryOrderEvents, n.InventoryOrderEvents),
			assembly.DrainOf(n.DrainInventoryOrderTimeouts, n.InventoryOrderTimeouts),
		})
	return assembly.Polls{
		{Name: "stock", Ask: gauges.Poll}, assembly.PollParked(parked), assembly.PollLag(admin, metrics, backlogs...),
	}
}

func newPlan(
	c Config, host assembly.Host, db *database.DB, names event.Names, stockEvents *mq.Producer, both consumers,
	suspendable *inventory.Consumers, sweeper *inventory.Sweeper, drains drains, keep lifecycle.Task, poller *telemetry.Poller,
) *lifecycle.Plan {
	return &lifecycle.Plan{
		Log: host.Log, DrainTimeout: c.DrainTimeout,
		Schema:    assembly.NewSchemaGate(assembly.InventoryService, db, migrations.Inventory()),
		Producers: []lifecycle.Part{{Name: "producer " + names.InventoryEvents, Client: stockEvents}},
		Consumers: []lifecycle.Part{
			{Name: "consumer " + names.InventoryOrderEvents, Client: both.orderEvents},
			{Name: "consumer " + names.InventoryOrderTimeouts, Client: both.orderTimeouts},
		},
		Background: drains,
		Tasks:      []lifecycle.Task{sweeping(c, host.Clock, stockEvents, sweeper), keep, suspendable.Run, poller.Run},
	}
}

func newRegister(
	store *inventory.Store, stored *parking.Store, parked *parking.Keeper, suspendable *inventory.Consumers, host assembly.Host,
) func(grpc.ServiceRegistrar) {
	return func(r grpc.ServiceRegistrar) {
		inventoryv1.RegisterInventoryServiceServer(r, inventory.NewGRPC(store, stored, host.Log))
		inventoryv1.RegisterAuditServiceServer(r, inventory.NewAuditGRPC(store))
		inventoryv1.RegisterOperatorServiceServer(r, inventory.NewOperatorGRPC(suspendable, host.Log))
		parkedv1.RegisterParkedServiceServer(r, parking.NewGRPC(parked))
	}
}
