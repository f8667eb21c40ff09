package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"orderflow/internal/process"
)

// processes are the programs of both services on a broker and databases that run
// elsewhere.
type processes struct {
	command           Real
	inventoryEnv      []string         // more settings of inventory-srv
	orders, inventory *process.Process // nil when it does not run
}

// Title says what they run on.
func (p *processes) Title() string {
	c := p.command
	return fmt.Sprintf("RocketMQ at %s, database %s", c.NameServers[0], c.OrderDatabaseURL)
}

// Start prepares the databases and the broker and starts both services.
func (p *processes) Start(ctx context.Context) (orders, inventory string, err error) {
	if err := p.prepare(ctx); err != nil {
		return "", "", err
	}
	p.orders, err = p.start(ctx, "order-srv", []string{"ORDER_DATABASE_URL=" + string(p.command.OrderDatabaseURL)})
	if err != nil {
		return "", "", err
	}
	inventory, err = p.StartInventory(ctx)
	return p.orders.GRPC(), inventory, err
}

// prepare migrates both databases and creates topics and groups; all of it
// changes nothing that is there already.
func (p *processes) prepare(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find orderctl: %w", err)
	}
	c := p.command
	return errors.Join(
		tool(ctx, filepath.Join(c.Bin, "order-srv"), []string{"ORDER_DATABASE_URL=" + string(c.OrderDatabaseURL)}, "migrate"),
		tool(ctx, filepath.Join(c.Bin, "inventory-srv"), []string{"INVENTORY_DATABASE_URL=" + string(c.InventoryDatabaseURL)}, "migrate"),
		tool(ctx, self, nil, "mq", "init", "--wait=30s", "--name-servers="+c.NameServers[0], "--topic-prefix="+c.TopicPrefix),
	)
}

// tool runs one of the programs to its end.
func tool(ctx context.Context, path string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", filepath.Base(path), args, err, output)
	}
	return nil
}

// start runs a service on free ports and waits until it is ready.
func (p *processes) start(ctx context.Context, name string, env []string) (*process.Process, error) {
	c := p.command
	prefix := strings.ToUpper(strings.TrimSuffix(name, "-srv")) + "_"
	env = append(env,
		prefix+"LISTEN=127.0.0.1:0", prefix+"ADMIN_LISTEN=127.0.0.1:0", prefix+"LOG_FORMAT=json",
		prefix+"NAME_SERVERS="+strings.Join(c.NameServers, ","), prefix+"TOPIC_PREFIX="+c.TopicPrefix)
	if name == "order-srv" { // the default of 30 minutes is no level of a stack for tests
		env = append(env, prefix+"PAYMENT_WINDOW="+c.PaymentWindow.String())
	}
	started, err := process.Start(ctx, process.Spec{
		Path: filepath.Join(c.Bin, name), Args: []string{"serve"}, Env: env,
		LogFile: filepath.Join(c.Logs.Logs, name+".log"),
	})
	if err != nil {
		return nil, err
	}
	return started, started.WaitReady(ctx)
}

// StartInventory starts inventory-srv.
func (p *processes) StartInventory(ctx context.Context) (address string, err error) {
	p.inventory, err = p.start(ctx, "inventory-srv", append([]string{
		"INVENTORY_DATABASE_URL=" + string(p.command.InventoryDatabaseURL),
		"INVENTORY_ORDER_SERVICE=" + p.orders.GRPC(),
	}, p.inventoryEnv...))
	if err != nil {
		return "", err
	}
	return p.inventory.GRPC(), nil
}

// StopInventory asks inventory-srv to drain, and waits until it is gone.
func (p *processes) StopInventory(ctx context.Context) error {
	err := p.inventory.Stop(ctx)
	p.inventory = nil
	return err
}

// Close ends what was started.
func (p *processes) Close(ctx context.Context) error {
	var errs []error
	for _, running := range []*process.Process{p.inventory, p.orders} {
		if running != nil {
			errs = append(errs, running.Stop(ctx))
		}
	}
	return errors.Join(errs...)
}
