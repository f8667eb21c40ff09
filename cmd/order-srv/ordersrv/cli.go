// Package ordersrv puts order-srv together. It is importable, so that tests run
// the same assembly as the program.
package ordersrv

import (
	"context"

	"orderflow/internal/assembly"
	"orderflow/internal/cli"
	"orderflow/internal/clock"
	"orderflow/internal/version"
	"orderflow/migrations"
)

// Grammar is every command of order-srv.
type Grammar struct {
	Serve   Serve       `cmd:"" help:"Run the service until SIGTERM."`
	Migrate Migrate     `cmd:"" help:"Bring the database schema up to date."`
	Health  Health      `cmd:"" help:"Ask the running service whether it is ready: exit code 0 if it is."`
	Version cli.Version `cmd:"" help:"Print the version."`
}

// Program is order-srv.
func Program() cli.Program {
	return cli.Program{
		Name:        string(assembly.OrderService),
		Description: "The order service: places orders, records payments, closes what is not paid in time.",
		EnvPrefix:   envPrefix,
		Grammar:     &Grammar{},
	}
}

// Serve runs the service.
type Serve struct{ Config }

// Run is the command.
func (s Serve) Run(ctx context.Context, out cli.Output) error {
	log, sink, stop := s.Start(out.Stderr)
	defer stop()
	log = log.With("service", assembly.OrderService)
	assembly.UseLogger(log)
	log.Info("starting", "version", version.String(), "database", s.DatabaseURL,
		"name_servers", s.NameServers, "topic_prefix", s.TopicPrefix)
	app, cleanup, err := New(ctx, s.Config, assembly.Host{Log: log, Sink: sink, Clock: clock.System{}})
	if err != nil {
		return err
	}
	defer cleanup()
	return app.Run(ctx)
}

// Migrate brings the schema up to date.
type Migrate struct{ cli.Migrate }

// Run is the command.
func (m Migrate) Run(ctx context.Context, out cli.Output) error {
	return m.Apply(ctx, migrations.Order(), out)
}

// Health asks the running service whether it is ready.
type Health struct {
	Listen string `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Where it listens, as of serve."`
	cli.HealthTimeout
}

// Run is the command.
func (h Health) Run(ctx context.Context, out cli.Output) error { return h.Ask(ctx, h.Listen, out) }
