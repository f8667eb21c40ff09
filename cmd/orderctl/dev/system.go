// Package dev runs the whole system in one process: the embedded broker and both
// services, on SQLite, with one clock for all of them. The services are the same
// assemblies as in their programs, and speak with the broker over the same client
// and the same wire; what is missing is other machines.
package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"orderflow/cmd/inventory-srv/inventorysrv"
	"orderflow/cmd/order-srv/ordersrv"
	"orderflow/internal/assembly"
	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/telemetry"
	"orderflow/migrations"
)

// Options say how a System is made. The zero value is usable: everything listens
// at free ports on loopback and nothing outlives the process.
type Options struct {
	Log  *slog.Logger         // nil: nothing is logged
	Sink *telemetry.LogWriter // where Log ends, if it is there; the services say how many lines it dropped

	// Data is the folder of both databases and of the broker. If it is empty the
	// broker keeps its messages in memory, and the databases are files in a
	// temporary folder.
	Data string
	Temp string // where that temporary folder is made; os.TempDir if empty

	Broker []devbroker.Option // more about the broker, such as where it listens

	// OrderFlags and InventoryFlags are settings of the services as on their
	// command lines, such as --payment-window=10s. Where the broker and the
	// databases are is not to be said.
	OrderFlags     []string
	InventoryFlags []string

	Notify      bool     // the notifier runs, too; see StartNotify
	NotifyFlags []string // its settings
}

// System is the broker and both services in this process, and the notifier if it is asked
// for.
type System struct {
	options   Options
	log       *slog.Logger
	clock     *clock.Ahead
	broker    *devbroker.Broker
	data      string // folder of the databases
	temporary bool   // it goes with the system

	orders, inventory, notify *service // nil when it does not run
}

// queues is how many queues a topic gets: with one process of each service, it
// decides nothing.
const queues = 4

// Start starts the broker, makes databases and topics, and starts both services.
// They are ready when it returns. Close ends all of it.
func Start(ctx context.Context, o Options) (s *System, err error) {
	if s, err = Prepare(ctx, o); err != nil {
		return nil, err
	}
	if err = s.StartOrders(ctx); err == nil {
		err = s.StartInventory(ctx)
	}
	if err == nil && o.Notify {
		err = s.StartNotify(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// Prepare starts the broker and makes databases and topics; the services are left
// to the caller. Close ends all of it.
func Prepare(ctx context.Context, o Options) (*System, error) {
	s := &System{options: o, log: o.Log, clock: clock.NewAhead(), data: o.Data}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// prepare makes everything that the services find.
func (s *System) prepare(ctx context.Context) (err error) {
	brokerOptions := []devbroker.Option{devbroker.WithClock(s.clock), devbroker.WithLogger(s.log.With("service", "broker"))}
	if s.data == "" {
		s.temporary = true
		if s.data, err = os.MkdirTemp(s.options.Temp, "orderflow-dev-"); err != nil {
			return fmt.Errorf("make a folder for the databases: %w", err)
		}
	} else {
		brokerOptions = append(brokerOptions, devbroker.WithDataDir(filepath.Join(s.data, "broker")))
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if s.broker, err = devbroker.Start(append(brokerOptions, s.options.Broker...)...); err != nil {
		return err
	}
	return errors.Join(s.migrate(ctx), s.makeTopics(ctx))
}

func (s *System) migrate(ctx context.Context) error {
	orders, err := database.Open(s.databaseURL("order"))
	if err != nil {
		return err
	}
	defer orders.Cleanup()
	inventory, err := database.Open(s.databaseURL("inventory"))
	if err != nil {
		return err
	}
	defer inventory.Cleanup()
	_, first := orders.Migrate(ctx, migrations.Order())
	_, second := inventory.Migrate(ctx, migrations.Inventory())
	return errors.Join(first, second)
}

func (s *System) makeTopics(ctx context.Context) (err error) {
	admin := mq.NewAdmin([]string{s.broker.Addr()})
	defer func() { err = errors.Join(err, admin.Close()) }()
	return assembly.EnsureTopology(ctx, admin, event.NewNames(""), queues, func(string, string, bool) {})
}

func (s *System) databaseURL(name string) string {
	return "sqlite:" + filepath.Join(s.data, name+".db")
}

// StartOrders starts order-srv, which must not run, and waits until it is ready.
// More flags win over those of the Options.
func (s *System) StartOrders(ctx context.Context, more ...string) error {
	config, err := ordersrv.ParseConfig(s.flags("order", s.options.OrderFlags, more)...)
	if err != nil {
		return fmt.Errorf("order-srv: %w", err)
	}
	s.orders, err = start(ctx, s.host(assembly.OrderService), func(ctx context.Context, h assembly.Host) (app, func(), error) {
		return ordersrv.New(ctx, config, h)
	})
	return err
}

// StartInventory starts inventory-srv, which must not run, and waits until it is
// ready. It asks the order-srv that runs; if none does, the one that the flags name.
// More flags win over those of the Options.
func (s *System) StartInventory(ctx context.Context, more ...string) error {
	flags := s.flags("inventory", s.options.InventoryFlags, more)
	if s.orders != nil {
		flags = append(flags, "--order-service="+s.OrderAddr())
	}
	config, err := inventorysrv.ParseConfig(flags...)
	if err != nil {
		return fmt.Errorf("inventory-srv: %w", err)
	}
	s.inventory, err = start(ctx, s.host(assembly.InventoryService), func(ctx context.Context, h assembly.Host) (app, func(), error) {
		return inventorysrv.New(ctx, config, h)
	})
	return err
}

// flags are the settings that the system decides, those of its Options, and more.
func (s *System) flags(name string, options, more []string) []string {
	return slices.Concat([]string{
		"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
		"--name-servers=" + s.broker.Addr(), "--topic-prefix=", "--database-url=" + s.databaseURL(name),
	}, options, more)
}

func (s *System) host(name assembly.Service) assembly.Host {
	return assembly.Host{Log: s.log.With("service", name), Sink: s.options.Sink, Clock: s.clock}
}

// StopOrders drains order-srv and waits for its end.
func (s *System) StopOrders(ctx context.Context) error {
	stopped := s.orders
	s.orders = nil
	return stopped.stop(ctx)
}

// StopInventory drains inventory-srv and waits for its end.
func (s *System) StopInventory(ctx context.Context) error {
	stopped := s.inventory
	s.inventory = nil
	return stopped.stop(ctx)
}

// OrderAddr is where order-srv's API listens; "" when it does not run.
func (s *System) OrderAddr() string { return s.orders.addr() }

// OrderAdminAddr is where order-srv's health and metrics are.
func (s *System) OrderAdminAddr() string { return s.orders.adminAddr() }

// InventoryAddr is where inventory-srv's API listens; "" when it does not run.
func (s *System) InventoryAddr() string { return s.inventory.addr() }

// InventoryAdminAddr is where inventory-srv's health and metrics are.
func (s *System) InventoryAdminAddr() string { return s.inventory.adminAddr() }

// Broker is the embedded broker.
func (s *System) Broker() *devbroker.Broker { return s.broker }

// DatabaseURL is the URL of a service's database.
func (s *System) DatabaseURL(name assembly.Service) string {
	if name == assembly.OrderService {
		return s.databaseURL("order")
	}
	return s.databaseURL("inventory")
}

// Advance pushes the clock of the broker and of both services; see
// devbroker.Broker.Advance.
func (s *System) Advance(d time.Duration) { s.broker.Advance(d) }

// Failed waits until ctx ends, which is no error, or until the broker or a service
// has ended by itself, and says why. Both services must run.
func (s *System) Failed(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.broker.Failed():
		return s.broker.Err()
	case <-s.orders.ended:
		return s.orders.failure("order-srv")
	case <-s.inventory.ended:
		return s.inventory.failure("inventory-srv")
	case <-s.notify.failed():
		return s.notify.failure("notify")
	}
}

// Close drains the services, ends the broker and removes what is temporary.
func (s *System) Close(ctx context.Context) error {
	// inventory-srv before order-srv: what it asks is answered to the end.
	err := errors.Join(s.StopNotify(ctx), s.StopInventory(ctx), s.StopOrders(ctx))
	if s.broker != nil {
		err = errors.Join(err, s.broker.Close())
	}
	if s.temporary {
		err = errors.Join(err, os.RemoveAll(s.data))
	}
	return err
}
