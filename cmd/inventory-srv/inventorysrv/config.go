package inventorysrv

import (
	"fmt"

	"orderflow/internal/cli"
)

// Config is every setting of inventory-srv.
type Config struct {
	Listen      string `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Address of the gRPC API; port 0 takes a free one."`
	AdminListen string `default:"127.0.0.1:7012" placeholder:"HOST:PORT" help:"Address of /healthz, /readyz, /metrics and /debug/pprof, which is for operators only."`
	cli.Database
	cli.Broker
	cli.Topology
	OrderService []string `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Address of order-srv, which decides whether an order is closed, or of several of its replicas."`
	cli.Consumers
	cli.Sweeper
	cli.Process
	cli.Tracing
	cli.Log
}

// envPrefix begins the environment variable of every flag.
const envPrefix = "INVENTORY"

// ParseConfig makes a Config from flags, as the command line does.
func ParseConfig(flags ...string) (Config, error) {
	var c Config
	err := cli.ParseFlags(&c, envPrefix, flags...)
	return c, err
}

// Validate checks what concerns inventory-srv only; the embedded parts check
// themselves.
func (c Config) Validate() error {
	if err := cli.CheckListen(c.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if err := cli.CheckListen(c.AdminListen); err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	if err := cli.CheckAddresses(c.OrderService); err != nil {
		return fmt.Errorf("--order-service: %w", err)
	}
	return nil
}
