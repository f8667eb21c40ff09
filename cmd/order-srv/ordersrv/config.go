package ordersrv

import (
	"fmt"
	"time"

	"orderflow/internal/cli"
	"orderflow/internal/order"
)

// Config is every setting of order-srv.
type Config struct {
	Listen      string `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Address of the gRPC API; port 0 takes a free one."`
	AdminListen string `default:"127.0.0.1:7011" placeholder:"HOST:PORT" help:"Address of /healthz, /readyz, /metrics and /debug/pprof, which is for operators only."`
	cli.Database
	cli.Broker
	cli.Topology
	PaymentWindow           time.Duration `default:"30m" help:"How long a customer has to pay unless the order says otherwise: one of the broker's delay levels, 1s to 720h."`
	LocalTransactionTimeout time.Duration `default:"2s" help:"How long the database transaction of an order may take, 10ms to 1m. Must be shorter than the payment window."`
	WatchInterval           time.Duration `default:"200ms" help:"How often to look for changes of watched orders that other replicas made, 10ms to 1m."`
	MaxWatches              int           `default:"1000" help:"How many streams may watch orders at once, 1 to 100000."`
	cli.Consumers
	cli.Sweeper
	ResendAfter time.Duration `default:"1m" help:"How long inventory may take to confirm an order's stock before the sweeper sends its event again, at first; twice as long each time, up to 1h. 100ms to 1h."`
	cli.Process
	cli.Tracing
	cli.Log
}

// envPrefix begins the environment variable of every flag.
const envPrefix = "ORDER"

// ParseConfig makes a Config from flags, as the command line does.
func ParseConfig(flags ...string) (Config, error) {
	var c Config
	err := cli.ParseFlags(&c, envPrefix, flags...)
	return c, err
}

// Validate checks what concerns order-srv only; the embedded parts check
// themselves.
func (c Config) Validate() error {
	if err := cli.CheckListen(c.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if err := cli.CheckListen(c.AdminListen); err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	if err := cli.CheckDuration("--payment-window", c.PaymentWindow, time.Second, 720*time.Hour); err != nil {
		return err
	}
	if err := cli.CheckDuration("--local-transaction-timeout", c.LocalTransactionTimeout, 10*time.Millisecond, time.Minute); err != nil {
		return err
	}
	if err := cli.CheckDuration("--resend-after", c.ResendAfter, 100*time.Millisecond, time.Hour); err != nil {
		return err
	}
	if c.LocalTransactionTimeout >= c.PaymentWindow {
		return fmt.Errorf("--local-transaction-timeout: %v must be shorter than --payment-window, which is %v",
			c.LocalTransactionTimeout, c.PaymentWindow)
	}
	if c.MaxWatches < 1 || c.MaxWatches > 100_000 {
		return fmt.Errorf("--max-watches: must be 1 to 100000, is %d", c.MaxWatches)
	}
	return cli.CheckDuration("--watch-interval", c.WatchInterval, 10*time.Millisecond, time.Minute)
}

// schedule is when the sweeper has to look at orders.
func (c Config) schedule() order.Schedule {
	return order.Schedule{ResendAfter: c.ResendAfter, CloseGrace: c.SweepGrace}
}

// orders is the part of it that the domain knows.
func (c Config) orders() order.Config {
	return order.Config{
		PaymentWindow: c.PaymentWindow, LocalTransactionTimeout: c.LocalTransactionTimeout,
		WatchInterval: c.WatchInterval, MaxWatches: c.MaxWatches,
	}
}
