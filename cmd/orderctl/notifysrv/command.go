// Package notifysrv puts the notifier together. It is importable, so that "orderctl dev"
// and tests run the same assembly as "orderctl notify".
package notifysrv

import (
	"context"
	"fmt"

	"orderflow/internal/assembly"
	"orderflow/internal/cli"
	"orderflow/internal/clock"
	"orderflow/internal/version"
)

// Command runs the notifier until SIGTERM.
type Command struct{ Config }

// Help is more about it.
func (Command) Help() string {
	return `A consumer of its own beside inventory-srv: it tells each customer once that an order
was placed, paid or closed, in its log or by a signed webhook. It makes its tables and
its consumer group itself.

  orderctl notify --database-url sqlite:notify.db
  orderctl notify --database-url sqlite:notify.db --webhook-url https://example.com/hook --webhook-secret-file secret`
}

// Run is the command.
func (c Command) Run(ctx context.Context, out cli.Output) error {
	if err := CheckSecret(secretFlag, c.WebhookURL, c.WebhookSecretFile); err != nil {
		return err
	}
	log, sink, stop := c.Start(out.Stderr)
	defer stop()
	log = log.With("service", Name)
	assembly.UseLogger(log)
	log.Info("starting", "version", version.String(), "database", c.DatabaseURL,
		"name_servers", c.NameServers, "topic_prefix", c.TopicPrefix, "notifications_to", c.target())
	app, cleanup, err := New(ctx, c.Config, assembly.Host{Log: log, Sink: sink, Clock: clock.System{}})
	if err != nil {
		return err
	}
	defer cleanup()
	fmt.Fprintf(out.Stdout, "notify  gRPC %s, health and metrics http://%s, notifications to %s\n", app.Addr(), app.AdminAddr(), c.target())
	return app.Run(ctx)
}
