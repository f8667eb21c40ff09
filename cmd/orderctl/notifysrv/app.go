package notifysrv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/assembly"
	"orderflow/internal/clock"
	"orderflow/internal/crashpoint"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/lifecycle"
	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/notify"
	"orderflow/internal/parking"
	"orderflow/internal/server"
	"orderflow/internal/telemetry"
	"orderflow/migrations"
)

// Name is the name of the notifier in logs and traces.
const Name assembly.Service = "notify"

// App is the notifier: put together, listening, not yet running.
type App struct {
	server   *server.Server
	plan     *lifecycle.Plan
	registry *prometheus.Registry
}

// Run runs the notifier until ctx ends, and drains it.
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

func newName() assembly.Service { return Name }

func newNames(c Config) event.Names { return event.NewNames(c.TopicPrefix) }

func newPoint(c Config) (*crashpoint.Point, error) { return c.Point() }

func newServerConfig(c Config) server.Config {
	return server.Config{Listen: c.Listen, AdminListen: c.AdminListen}
}

func newGroups(c Config) assembly.Groups { return assembly.Groups{notify.Group(c.TopicPrefix)} }

// newSender makes what brings notifications out of the house. It has the machine's clock
// also where the others have one that can be pushed: receivers look at theirs.
func newSender(c Config, host assembly.Host) (notify.Sender, func(), error) {
	if c.WebhookURL == "" {
		return notify.NewLogSender(host.Log), func() {}, nil
	}
	secrets, err := readSecrets(secretFlag, c.WebhookSecretFile)
	if err != nil {
		return nil, nil, err
	}
	address, err := notify.ParseWebhookURL(c.WebhookURL)
	if err != nil {
		return nil, nil, fmt.Errorf("--webhook-url: %w", err)
	}
	if address.Scheme == "http" {
		host.Log.Warn("notifications are signed, but not encrypted on their way", "to", c.target())
	}
	sender, err := notify.NewWebhookSender(notify.WebhookConfig{
		URL: address, Secrets: secrets, Timeout: c.WebhookTimeout, Clock: clock.System{},
	})
	if err != nil {
		return nil, nil, err
	}
	return sender, sender.Close, nil
}

func newService(
	c Config, host assembly.Host, store *notify.Store, sender notify.Sender, parked message.Parker,
	metrics *notify.Metrics, point *crashpoint.Point,
) *notify.Service {
	return notify.New(notify.Deps{
		Store: store, Sender: sender, Parker: parked, Group: notify.Group(c.TopicPrefix),
		SendTimeout: c.SendTimeout, Metrics: metrics, Crash: point, Log: host.Log,
	})
}

// newConsumer consumes what happens to orders, beside inventory-srv and whoever else does.
func newConsumer(c Config, client mq.Client, n event.Names, s *notify.Service, parked message.Parker) *mq.Consumer {
	client.Metrics.ExpectParked(notify.Group(c.TopicPrefix), notify.ParkReasons()...)
	return mq.NewConsumer(client, mq.Subscription{
		Group: notify.Group(c.TopicPrefix), Topic: n.OrderEvents, Handler: s.Handle, Parker: parked,
		Concurrency: c.ConsumerConcurrency, HandlerTimeout: notify.HandlerTimeout(c.SendTimeout),
	})
}

// newPolls are the metrics that the database and the broker have to be asked for.
func newPolls(c Config, parked *parking.Metrics, metrics *mq.Metrics, admin *mq.Admin, n event.Names) assembly.Polls {
	group := notify.Group(c.TopicPrefix)
	backlogs := append(mq.BacklogsOf(group, n.OrderEvents), assembly.DrainOf(drainGroup(c), group))
	return assembly.Polls{assembly.PollParked(parked), assembly.PollLag(admin, metrics, backlogs...)}
}

// newPlan brings the notifier what it needs before it starts, its tables and its group: as
// an example it shall be one command. The consumer waits for the group.
func newPlan(
	c Config, host assembly.Host, db *database.DB, store *notify.Store, admin *mq.Admin, consumer *mq.Consumer,
	client mq.Client, parked message.Parker, poller *telemetry.Poller,
) *lifecycle.Plan {
	group, drain := notify.Group(c.TopicPrefix), drainGroup(c)
	ensure := func(ctx context.Context) error {
		_, first := admin.EnsureGroup(ctx, mq.GroupSpec{Name: group})
		_, second := admin.EnsureGroup(ctx, mq.GroupSpec{Name: drain})
		return errors.Join(first, second)
	}
	wait := func(error) error { return nil } // for the database, and for the broker
	return &lifecycle.Plan{
		Log: host.Log, DrainTimeout: c.DrainTimeout,
		Schema: lifecycle.NewGate("schema", func(ctx context.Context) error {
			_, err := db.Migrate(ctx, migrations.Notify())
			return err
		}, wait),
		Config:     lifecycle.NewGate("consumer group", ensure, wait),
		Consumers:  []lifecycle.Part{{Name: "consumer " + group, Client: consumer}},
		Background: []lifecycle.Part{assembly.NewDeadLetters(client, drain, group, parked)},
		Tasks: []lifecycle.Task{
			func(ctx context.Context) {
				store.Purge(ctx, func(err error) { host.Log.Warn("old notifications were not purged", "error", err) })
			},
			keepGroups(ensure, host), poller.Run,
		},
	}
}

// drainGroup is the group that reads the notifier's dead letters.
func drainGroup(c Config) string { return notify.Group(c.TopicPrefix) + "-drain" }

// keepGroups makes the notifier's groups again when the broker has lost its store. The
// topics are order-srv's to keep.
func keepGroups(ensure func(ctx context.Context) error, host assembly.Host) lifecycle.Task {
	return func(ctx context.Context) {
		tick := time.NewTicker(assembly.KeepInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := ensure(ctx); err != nil && ctx.Err() == nil {
				host.Log.Debug("the broker was not asked for the notifier's groups", "error", err)
			}
		}
	}
}

// newReplays says how parked events are handled once more: they are sent, unless they
// were.
func newReplays(c Config, s *notify.Service) parking.Replays {
	return parking.Replays{notify.Group(c.TopicPrefix): {
		Guard:   func(context.Context, string, parking.Entry) error { return nil },
		Handler: s.Handle,
	}}
}

func newRegister(parked *parking.Keeper) func(grpc.ServiceRegistrar) {
	return func(r grpc.ServiceRegistrar) { parkedv1.RegisterParkedServiceServer(r, parking.NewGRPC(parked)) }
}
