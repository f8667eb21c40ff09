package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/process"
)

// Payment windows that the broker of the stack can deliver.
const (
	expiring   = 3 * time.Second  // for orders that shall expire
	minute     = time.Minute      // for orders that shall not, in scenes of seconds
	tenMinutes = 10 * time.Minute // for orders that shall not, whatever is killed
)

// startTimeout is how long a program may take until it is ready.
const startTimeout = 40 * time.Second

// stopTimeout is how long a program may take to end after SIGTERM.
const stopTimeout = 15 * time.Second

// plan says what is special about a deployment.
type plan struct {
	nameServer   string                  // another broker than the run's
	orderURL     func(url string) string // how order-srv reaches its database, if not directly
	inventoryURL func(url string) string // the same of inventory-srv
	noTopics     bool                    // topics and groups are left to the test
	noSchema     bool                    // the databases stay empty
}

// deployment is one system from outside: its topics, databases and processes.
type deployment struct {
	plan
	prefix string // of topics and groups
	names  event.Names
	logs   string // folder

	orderSchema, inventorySchema string
	server                       *database.DB // the database server

	admin *mq.Admin

	mu        sync.Mutex
	instances []*instance
	injector  *mq.Producer
	expected  map[parkedMessage]bool // what tests expect to be parked
	ghosts    map[string]bool        // order ids that exist in injected messages only
}

// instance is a process of the deployment.
type instance struct {
	*process.Process
	spec process.Spec
}

// deploy makes the databases and the topics. Nothing runs yet.
func deploy(ctx context.Context, logs string, p plan) (*deployment, error) {
	prefix := run.nextName()
	schema := "orderflow_test_" + strings.ReplaceAll(prefix, "-", "_")
	if p.nameServer == "" {
		p.nameServer = run.nameServer
	}
	d := &deployment{
		plan: p, prefix: prefix, names: event.NewNames(prefix), logs: logs,
		orderSchema: schema + "order", inventorySchema: schema + "inventory",
		admin:    mq.NewAdmin([]string{p.nameServer}),
		expected: map[parkedMessage]bool{}, ghosts: map[string]bool{},
	}
	var err error
	if d.server, err = database.Open(run.mysql); err != nil {
		return nil, err
	}
	for _, schema := range []string{d.orderSchema, d.inventorySchema} {
		if _, err := d.server.Pool().ExecContext(ctx, "CREATE DATABASE "+schema); err != nil {
			return d, fmt.Errorf("create database: %w", err)
		}
	}
	if !p.noSchema {
		_, orders := d.execute(ctx, "order-srv", []string{"ORDER_DATABASE_URL=" + d.url(d.orderSchema)}, "migrate")
		_, stock := d.execute(ctx, "inventory-srv", []string{"INVENTORY_DATABASE_URL=" + d.url(d.inventorySchema)}, "migrate")
		if err := errors.Join(orders, stock); err != nil {
			return d, err
		}
	}
	if !p.noTopics {
		return d, d.makeTopics(ctx)
	}
	return d, nil
}

// url is the URL of one of the deployment's schemas.
func (d *deployment) url(schema string) string {
	address, parameters, found := strings.Cut(run.mysql, "?")
	if found {
		parameters = "?" + parameters
	}
	return address + schema + parameters
}

// makeTopics has orderctl create topics and groups.
func (d *deployment) makeTopics(ctx context.Context) error {
	_, err := d.execute(ctx, "orderctl", nil, "mq", "init", "--name-servers="+d.nameServer, "--topic-prefix="+d.prefix)
	return err
}

// execute runs a program to its end. The error has what it printed.
func (d *deployment) execute(ctx context.Context, program string, env []string, args ...string) (stdout string, err error) {
	var out, failure bytes.Buffer
	cmd := exec.CommandContext(ctx, run.binary(program), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, out.String(), failure.String())
	}
	return out.String(), nil
}

// orderEnv is the environment of an order-srv; later settings win.
func (d *deployment) orderEnv(more ...string) []string {
	url := d.url(d.orderSchema)
	if d.orderURL != nil {
		url = d.orderURL(url)
	}
	return append([]string{
		"ORDER_DATABASE_URL=" + url,
		"ORDER_NAME_SERVERS=" + d.nameServer,
		"ORDER_TOPIC_PREFIX=" + d.prefix,
		"ORDER_PAYMENT_WINDOW=" + tenMinutes.String(),
		"ORDER_LISTEN=127.0.0.1:0", "ORDER_ADMIN_LISTEN=127.0.0.1:0",
	}, more...)
}

// inventoryEnv is the environment of an inventory-srv.
func (d *deployment) inventoryEnv(orderService string, more ...string) []string {
	url := d.url(d.inventorySchema)
	if d.inventoryURL != nil {
		url = d.inventoryURL(url)
	}
	return append([]string{
		"INVENTORY_DATABASE_URL=" + url,
		"INVENTORY_NAME_SERVERS=" + d.nameServer,
		"INVENTORY_TOPIC_PREFIX=" + d.prefix,
		"INVENTORY_ORDER_SERVICE=" + orderService,
		"INVENTORY_LISTEN=127.0.0.1:0", "INVENTORY_ADMIN_LISTEN=127.0.0.1:0",
	}, more...)
}

// start starts a service; it listens then, but need not be ready.
func (d *deployment) start(ctx context.Context, program string, env []string) (*instance, error) {
	d.mu.Lock()
	log := filepath.Join(d.logs, fmt.Sprintf("%s-%d.log", program, len(d.instances)+1))
	d.mu.Unlock()
	return d.launch(ctx, process.Spec{Path: run.binary(program), Args: []string{"serve"}, Env: env, LogFile: log})
}

func (d *deployment) launch(ctx context.Context, spec process.Spec) (*instance, error) {
	p, err := process.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	i := &instance{Process: p, spec: spec}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.instances = append(d.instances, i)
	return i, nil
}

// again is the spec of a successor of the instance: at the same addresses, and
// without its crash point. Later settings win.
func (i *instance) again(more ...string) process.Spec {
	spec := i.spec
	prefix := "ORDER_"
	if strings.HasSuffix(spec.Path, "inventory-srv") {
		prefix = "INVENTORY_"
	}
	spec.Env = slices.Concat(spec.Env, []string{
		prefix + "CRASH_POINT=", prefix + "LISTEN=" + i.GRPC(), prefix + "ADMIN_LISTEN=" + i.Admin(),
	}, more)
	return spec
}

// running tells whether the process has not ended yet.
func (i *instance) running() bool {
	select {
	case <-i.Done():
		return false
	default:
		return true
	}
}

// close stops what runs, politely, and removes topics and databases.
func (d *deployment) close(ctx context.Context) error {
	var errs []error
	// inventory-srv first: what it asks of order-srv is answered to the end.
	for _, i := range slices.Backward(d.instances) {
		if i.running() {
			errs = append(errs, d.end(ctx, i))
		}
	}
	if d.injector != nil {
		errs = append(errs, d.injector.Stop(ctx))
	}
	if !d.noTopics || len(d.instances) > 0 {
		errs = append(errs, d.dropTopics(ctx))
	}
	for _, schema := range []string{d.orderSchema, d.inventorySchema} {
		_, err := d.server.Pool().ExecContext(ctx, "DROP DATABASE IF EXISTS "+schema)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, d.server.Close(), d.admin.Close())...)
}

// end stops an instance; one that hangs must not keep the rest from being closed.
func (d *deployment) end(ctx context.Context, i *instance) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return i.Stop(ctx)
}

// dropTopics leaves the broker as it was found.
func (d *deployment) dropTopics(ctx context.Context) error {
	var errs []error
	for _, topic := range d.names.Topics() {
		errs = append(errs, d.admin.DeleteTopic(ctx, topic.Name))
	}
	for _, group := range d.names.ConsumerGroups() {
		errs = append(errs, d.admin.DeleteGroup(ctx, group))
	}
	return errors.Join(errs...)
}

// logTail is the end of every log, for a test that has failed.
func (d *deployment) logTail(lines int) string {
	d.mu.Lock()
	files := map[string]bool{}
	for _, i := range d.instances {
		files[i.spec.LogFile] = true
	}
	d.mu.Unlock()
	var out strings.Builder
	for _, file := range slices.Sorted(maps.Keys(files)) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		all := strings.SplitAfter(string(text), "\n")
		fmt.Fprintf(&out, "--- end of %s\n%s\n", filepath.Base(file), strings.Join(all[max(0, len(all)-lines):], ""))
	}
	return out.String()
}
