package ordersrv

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/assembly"
	"orderflow/internal/crashpoint"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/lifecycle"
	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/order"
	"orderflow/internal/parking"
	"orderflow/internal/server"
	"orderflow/internal/sweep"
	"orderflow/internal/telemetry"
	"orderflow/migrations"
)

// App is order-srv: put together, listening, not yet running.
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

func newName() assembly.Service { return assembly.OrderService }

func newNames(c Config) event.Names { return event.NewNames(c.TopicPrefix) }

func newPoint(c Config) (*crashpoint.Point, error) { return c.Point() }

func newServerConfig(c Config) server.Config {
	return server.Config{Listen: c.Listen, AdminListen: c.AdminListen}
}

func newSchedule(c Config) order.Schedule { return c.schedule() }

func newGroups(n event.Names) assembly.Groups { return assembly.Groups{n.OrderStockEvents} }

func newListener(store *order.Store, point *crashpoint.Point, host assembly.Host) *order.Listener {
	return order.NewListener(store, host.Clock, point, host.Log)
}

// newTransactions makes the producer of half messages: created, paid, closed.
func newTransactions(c mq.Client, n event.Names, l *order.Listener) *mq.TransactionProducer {
	return mq.NewTransactionProducer(c, n.OrderTransactions, l, n.OrderEvents)
}

// newTimers makes the producer of the payment timers.
func newTimers(c mq.Client, n event.Names) *mq.Producer {
	return mq.NewProducer(c, n.OrderTimers, n.OrderTimeouts)
}

func newService(
	c Config, host assembly.Host, names event.Names, store *order.Store,
	transactions *mq.TransactionProducer, timers *mq.Producer, parker message.Parker, parked *parking.Store, metrics *order.Metrics,
	tracer trace.TracerProvider,
) *order.Service {
	return order.New(order.Deps{
		Store: store, Transactions: transactions, Timers: timers, Parker: parker, Parked: parked,
		Names: names, Clock: host.Clock, Log: host.Log, Metrics: metrics, Tracer: tracer, Config: c.orders(),
	})
}

// newConsumer consumes what inventory says about the stock of orders.
func newConsumer(c Config, client mq.Client, n event.Names, s *order.Service, parked message.Parker) *mq.Consumer {
	client.Metrics.ExpectParked(n.OrderStockEvents, order.ParkReasons()...)
	return mq.NewConsumer(client, mq.Subscription{
		Group: n.OrderStockEvents, Topic: n.StockEvents, Handler: s.HandleStockEvents, Parker: parked,
		Concurrency: c.ConsumerConcurrency, HandlerTimeout: c.HandlerTimeout,
	})
}

// drains are the consumers of what the broker gives up: dead letters of the service's
// group, and its half messages.
type drains []lifecycle.Part

func newDrains(client mq.Client, n event.Names, parked message.Parker) drains {
	return drains{
		assembly.NewDeadLetters(client, n.DrainOrderStockEvents, n.OrderStockEvents, parked),
		assembly.NewHalfMessages(client, n.DrainHalfMessages, n.OrderTransactions, parked),
	}
}

// newReplays says how parked messages are handled once more.
func newReplays(s *order.Service) parking.Replays { return s.Replays() }

// newKeepTopology makes the task that makes topics again which the broker has lost.
func newKeepTopology(c Config, host assembly.Host, admin *mq.Admin, names event.Names) lifecycle.Task {
	return assembly.KeepTopology(admin, names, assembly.Queues(c.TopicQueues), assembly.KeepInterval, host.Log)
}

// newPolls are the metrics that the database and the broker have to be asked for.
func newPolls(gauges *order.Gauges, parked *parking.Metrics, metrics *mq.Metrics, admin *mq.Admin, n event.Names) assembly.Polls {
	backlogs := append(mq.BacklogsOf(n.OrderStockEvents, n.StockEvents),
		assembly.DrainOf(n.DrainOrderStockEvents, n.OrderStockEvents), assembly.DrainOfHalfMessages(n.DrainHalfMessages))
	return assembly.Polls{
		{Name: "orders", Ask: gauges.Poll}, assembly.PollParked(parked), assembly.PollLag(admin, metrics, backlogs...),
	}
}

func newPlan(
	c Config, host assembly.Host, db *database.DB, names event.Names, store *order.Store, service *order.Service,
	listener *order.Listener, transactions *mq.TransactionProducer, timers *mq.Producer, consumer *mq.Consumer, drains drains,
	keep lifecycle.Task, poller *telemetry.Poller,
) *lifecycle.Plan {
	return &lifecycle.Plan{
		Log: host.Log, DrainTimeout: c.DrainTimeout,
		Schema: assembly.NewSchemaGate(assembly.OrderService, db, migrations.Order()),
		Config: lifecycle.NewGate("payment window", service.CheckConfig, undeliverable),
		Producers: []lifecycle.Part{
			{Name: "producer " + names.OrderTransactions, Client: transactions},
			{Name: "producer " + names.OrderTimers, Client: timers},
		},
		Consumers:  []lifecycle.Part{{Name: "consumer " + names.OrderStockEvents, Client: consumer}},
		Background: drains,
		Tasks: []lifecycle.Task{
			keep, poller.Run, listener.TellCheckBacks,
			func(ctx context.Context) {
				store.PurgeBarriers(ctx, func(err error) { host.Log.Warn("old barriers were not purged", "error", err) })
			},
			func(ctx context.Context) {
				service.PollChanges(ctx, func(err error) { host.Log.Warn("watched orders cannot be polled", "error", err) })
			},
		},
		Senders: []lifecycle.Task{func(ctx context.Context) {
			service.Sweep(ctx, c.SweepInterval, func(err error) { sweep.Report(ctx, host.Log, err) })
		}},
	}
}

// undeliverable ends the service when the broker has said that it cannot deliver
// after the default payment window; the error names what it can.
func undeliverable(err error) error {
	var no *message.UnsupportedDelayError
	if errors.As(err, &no) {
		return err
	}
	return nil
}

func newRegister(s *order.Service, parked *parking.Keeper) func(grpc.ServiceRegistrar) {
	return func(r grpc.ServiceRegistrar) {
		orderv1.RegisterOrderServiceServer(r, order.NewGRPC(s))
		orderv1.RegisterAuditServiceServer(r, order.NewAuditGRPC(s))
		parkedv1.RegisterParkedServiceServer(r, parking.NewGRPC(parked))
	}
}
