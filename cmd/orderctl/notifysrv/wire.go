//go:build wireinject

package notifysrv

import (
	"context"

	"github.com/google/wire"
	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/assembly"
	"orderflow/internal/mq"
	"orderflow/internal/notify"
	"orderflow/internal/parking"
)

// New puts the notifier together. The clean-up closes what was opened, also after Run.
func New(ctx context.Context, c Config, host assembly.Host) (*App, func(), error) {
	wire.Build(
		newName, newNames, newPoint, newServerConfig, newGroups,
		wire.FieldsOf(new(Config), "Database", "Broker", "Tracing"),
		wire.FieldsOf(new(assembly.Host), "Clock"),

		assembly.NewTracer, assembly.NewRegistry,
		wire.Bind(new(prometheus.Registerer), new(*prometheus.Registry)),

		assembly.OpenDatabase, notify.NewStore, parking.NewStore, parking.NewMetrics, assembly.NewParker,
		assembly.NewKeeper, newReplays,

		mq.NewMetrics, assembly.NewMQClient, assembly.NewAdmin, newConsumer,

		notify.NewMetrics, newPolls, assembly.NewPoller, newSender, newService, newRegister,
		newPlan, assembly.NewReadiness, assembly.NewServer, newApp,
	)
	return nil, nil, nil
}
