//go:build wireinject

package ordersrv

import (
	"context"

	"github.com/google/wire"
	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/assembly"
	"orderflow/internal/mq"
	"orderflow/internal/order"
	"orderflow/internal/parking"
)

// New puts order-srv together. The clean-up closes what was opened, also after
// Run.
func New(ctx context.Context, c Config, host assembly.Host) (*App, func(), error) {
	wire.Build(
		newName, newNames, newPoint, newServerConfig, newGroups, newSchedule,
		wire.FieldsOf(new(Config), "Database", "Broker", "Tracing"),
		wire.FieldsOf(new(assembly.Host), "Clock"),

		assembly.NewTracer, assembly.NewRegistry,
		wire.Bind(new(prometheus.Registerer), new(*prometheus.Registry)),

		assembly.OpenDatabase, order.NewStore, assembly.NewParker,
		parking.NewStore, parking.NewMetrics, assembly.NewKeeper, newReplays,

		mq.NewMetrics, assembly.NewMQClient, assembly.NewAdmin,
		newListener, newTransactions, newTimers, newConsumer, newDrains, newKeepTopology,

		order.NewMetrics, order.NewGauges, newPolls, assembly.NewPoller, newService, newRegister,
		newPlan, assembly.NewReadiness, assembly.NewServer, newApp,
	)
	return nil, nil, nil
}
