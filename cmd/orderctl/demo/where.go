package demo

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"orderflow/internal/cli"
)

// services are what a show or the story runs against.
type services interface {
	// Title says what they run on.
	Title() string
	// Start starts them and returns the addresses of their APIs, those of several
	// replicas with commas between them.
	Start(ctx context.Context) (orders, inventory string, err error)
	// Close ends what was started.
	Close(ctx context.Context) error
}

// Where says which services a show runs against: those that run at the addresses, if
// there are any; else the programs on the databases, if there are any; else both in this
// process.
type Where struct {
	OrderService         []string        `default:"" placeholder:"HOST:PORT" help:"Address of an order-srv that runs, or of several of its replicas."`
	InventoryService     []string        `default:"" placeholder:"HOST:PORT" help:"Addresses of all replicas of the inventory-srv that runs with it."`
	OrderDatabaseURL     cli.DatabaseURL `default:"" placeholder:"URL" help:"Or: database of an order-srv that is started for this."`
	InventoryDatabaseURL cli.DatabaseURL `default:"" placeholder:"URL" help:"And that of its inventory-srv."`
	cli.Broker
	Bin string `default:"bin" help:"Folder of the binaries order-srv and inventory-srv, if they are started."`
	Logs
}

// Validate checks what goes together.
func (w Where) Validate() error {
	if w.running() {
		if len(w.OrderService) == 0 || len(w.InventoryService) == 0 {
			return errors.New("--order-service: goes with --inventory-service")
		}
		if err := w.at().Validate(); err != nil {
			return err
		}
	}
	if (w.OrderDatabaseURL == "") != (w.InventoryDatabaseURL == "") {
		return errors.New("--order-database-url: goes with --inventory-database-url")
	}
	return w.Broker.Validate()
}

// running tells whether the services run already.
func (w Where) running() bool { return len(w.OrderService) > 0 || len(w.InventoryService) > 0 }

// at is where they run.
func (w Where) at() Running {
	return Running{OrderService: w.OrderService, InventoryService: w.InventoryService, Wait: sceneTimeout}
}

// on calls f with the services. window is the payment window of order-srv, and handlers
// how many messages inventory-srv handles at once, 0 for its default, if they are started.
func (w Where) on(window time.Duration, handlers int, out cli.Output, f func(services) error) error {
	if w.running() {
		return f(&running{command: w.at()})
	}
	return w.in(func(folder string) error {
		if w.OrderDatabaseURL != "" {
			p := &processes{command: Real{
				OrderDatabaseURL: w.OrderDatabaseURL, InventoryDatabaseURL: w.InventoryDatabaseURL,
				Broker: w.Broker, Bin: w.Bin, Logs: Logs{folder}, PaymentWindow: window,
			}}
			if handlers > 0 {
				p.inventoryEnv = []string{"INVENTORY_CONSUMER_CONCURRENCY=" + strconv.Itoa(handlers)}
			}
			return f(p)
		}
		return logged(folder, func(log *slog.Logger) error {
			e := &embedded{log: log}
			if handlers > 0 {
				e.inventoryFlags = []string{"--consumer-concurrency=" + strconv.Itoa(handlers)}
			}
			return f(e)
		})
	}, out)
}
