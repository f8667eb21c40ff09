// Package assembly holds the pieces that both services are put together from;
// which of them go where is said by wire.go of each service.
package assembly

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"orderflow/internal/cli"
	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/lifecycle"
	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
	"orderflow/internal/server"
	"orderflow/internal/telemetry"
)

// Service is the name of a service: that of its program.
type Service string

// The services.
const (
	OrderService     Service = "order-srv"
	InventoryService Service = "inventory-srv"
)

// Host is what a service gets from whoever runs it: its own process, or a test
// that runs several services in one.
type Host struct {
	Log   *slog.Logger
	Sink  *telemetry.LogWriter // where Log ends, if it is there
	Clock clock.Clock
}

// OpenDatabase opens the database and measures its connection pool. It does not
// connect: the service waits for a database that is down.
func OpenDatabase(c cli.Database, registry *prometheus.Registry, host Host) (*database.DB, func(), error) {
	db, err := c.Open()
	if err != nil {
		return nil, nil, err
	}
	if err := registry.Register(collectors.NewDBStatsCollector(db.Pool(), "main")); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("measure the connection pool: %w", err), db.Close())
	}
	return db, func() {
		if err := db.Close(); err != nil {
			host.Log.Warn("close the database", "error", err)
		}
	}, nil
}

// NewParker makes the store of what could not be handled, which also counts and logs it.
func NewParker(store *parking.Store, metrics *mq.Metrics, host Host) message.Parker {
	return metrics.CountParked(parking.Logged(store, host.Log))
}

// NewKeeper makes what looks after parked messages.
func NewKeeper(store *parking.Store, parker message.Parker, replays parking.Replays, host Host) *parking.Keeper {
	return parking.NewKeeper(store, parker, replays, host.Log)
}

// NewDeadLetters makes the consumer that parks the dead letters of a group. They are
// few, and a part of the broker that is not there as a rule.
func NewDeadLetters(client mq.Client, drain, group string, parker message.Parker) lifecycle.Part {
	client.Metrics.ExpectParked(group, parking.ReasonDeadLetter)
	return newDrain(client, drain, mq.DeadLetterTopic(group), parking.DeadLetters(group, parker), parker)
}

// NewHalfMessages makes the consumer that parks the half messages of a producer group
// that nobody decided about.
func NewHalfMessages(client mq.Client, drain, group string, parker message.Parker) lifecycle.Part {
	client.Metrics.ExpectParked(group, parking.ReasonDiscarded)
	return newDrain(client, drain, mq.DiscardedTopic, parking.HalfMessages(group, parker), parker)
}

func newDrain(client mq.Client, group, topic string, handler message.Handler, parker message.Parker) lifecycle.Part {
	return lifecycle.Part{Name: "drain " + group, Client: mq.NewConsumer(client, mq.Subscription{
		Group: group, Topic: topic, LateTopic: true, Ordered: true, Handler: handler, Parker: parker,
	})}
}

// NewAdmin makes the client that asks the broker about topics and groups.
func NewAdmin(c cli.Broker, host Host) (*mq.Admin, func()) {
	admin := mq.NewAdmin(c.NameServers)
	return admin, func() {
		if err := admin.Close(); err != nil {
			host.Log.Warn("close the broker's admin client", "error", err)
		}
	}
}

// NewMQClient makes what all producers and consumers of the service share.
func NewMQClient(s Service, c cli.Broker, host Host, metrics *mq.Metrics, tracer trace.TracerProvider) mq.Client {
	return mq.Client{NameServers: c.NameServers, Service: string(s), Logger: host.Log, Metrics: metrics, Tracer: tracer}
}

// NewSchemaGate passes when the schema has every migration of files. One that is
// too old ends the service: it would fail at some statement later.
func NewSchemaGate(s Service, db *database.DB, files fs.FS) *lifecycle.Gate {
	return lifecycle.NewGate("schema",
		func(ctx context.Context) error { return db.CheckSchema(ctx, files) },
		func(err error) error {
			if errors.Is(err, database.ErrSchemaTooOld) {
				return fmt.Errorf("%w: run %q with the same --database-url first", err, string(s)+" migrate")
			}
			return nil
		})
}

// NewReadiness makes the checks of a service: the database, its topics and
// consumer groups at the broker, and the parts of the plan.
func NewReadiness(host Host, db *database.DB, admin *mq.Admin, names event.Names, groups Groups, plan *lifecycle.Plan) *server.Readiness {
	checks := append([]server.Check{{Name: "database", Probe: db.Ping}}, plan.Checks()...)
	for _, topic := range names.Topics() {
		checks = append(checks, brokerCheck("topic "+topic.Name, topic.Name, admin.CheckTopic))
	}
	for _, group := range groups {
		checks = append(checks, brokerCheck("group "+group, group, admin.CheckGroup))
	}
	return server.NewReadiness(host.Log, server.DefaultCheckInterval, checks...)
}

// brokerCheckAge is how long a yes of the broker is believed.
const brokerCheckAge = 3 * time.Second

// Groups are the consumer groups of one service.
type Groups []string

func brokerCheck(label, name string, check func(ctx context.Context, name string) error) server.Check {
	return server.Check{Name: label, Probe: server.Every(brokerCheckAge, func(ctx context.Context) error {
		return check(ctx, name)
	})}
}

// NewServer makes the server and listens. Closing it again, should the service
// not come to run, is the clean-up.
func NewServer(
	ctx context.Context, c server.Config, host Host, tracer trace.TracerProvider,
	registry *prometheus.Registry, readiness *server.Readiness, register func(grpc.ServiceRegistrar),
) (*server.Server, func(), error) {
	deps := server.Deps{Log: host.Log, Tracer: tracer, Registry: registry, Readiness: readiness}
	srv, err := server.New(ctx, c, deps, register)
	if err != nil {
		return nil, nil, err
	}
	return srv, func() {
		if err := srv.Stop(ctx); err != nil { // does nothing if the service has run
			host.Log.Warn("close the listeners", "error", err)
		}
	}, nil
}
