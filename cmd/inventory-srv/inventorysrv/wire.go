//go:build wireinject

package inventorysrv

import (
	"context"

	"github.com/google/wire"
	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/assembly"
	"orderflow/internal/inventory"
	"orderflow/internal/mq"
	"orderflow/internal/parking"
)

// New puts inventory-srv together. The clean-up closes what was opened, also
// after Run.
func New(ctx context.Context, c Config, host assembly.Host) (*App, func(), error) {
	wire.Build(
		newName, newNames, newPoint, newServerConfig, newGroups,
		wire.FieldsOf(new(Config), "Database", "Broker", "Tracing"),
		wire.FieldsOf(new(assembly.Host), "Clock"),

		assembly.NewTracer, assembly.NewRegistry,
		wire.Bind(new(prometheus.Registerer), new(*prometheus.Registry)),

		assembly.OpenDatabase, newStore, assembly.NewParker,
		parking.NewStore, parking.NewMetrics, assembly.NewKeeper, newReplays,

		mq.NewMetrics, assembly.NewMQClient, assembly.NewAdmin,
		newStockEvents, newConsumers, newSuspendable, newOrders, newDrains, newKeepTopology,

		newService, newRegister, inventory.NewMetrics, inventory.NewSweepMetrics, newSweeper,
		inventory.NewGauges, newPolls, assembly.NewPoller,
		newPlan, assembly.NewReadiness, assembly.NewServer, newApp,
	)
	return nil, nil, nil
}
