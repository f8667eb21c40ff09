package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"orderflow/cmd/orderctl/dev"
	"orderflow/internal/assembly"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
)

// Payment windows that the brokers of all stacks can deliver.
const (
	expiring   = 3 * time.Second  // for orders that shall expire
	shortly    = 5 * time.Second  // for orders whose window shall be extended before
	later      = 10 * time.Second // to this
	minute     = time.Minute      // for orders that shall not, in scenes of seconds
	tenMinutes = 10 * time.Minute // for orders that shall not, whatever is killed
)

// startTimeout is how long a service may take until it is ready.
const startTimeout = 40 * time.Second

// stopTimeout is how long a service may take to end when it was asked to.
const stopTimeout = 15 * time.Second

// plan says what is special about a deployment.
type plan struct {
	broker       killableBroker          // the test's own instead of the stack's
	orderURL     func(url string) string // how order-srv reaches its database, if not directly
	inventoryURL func(url string) string // the same of inventory-srv
	noTopics     bool                    // topics and groups are left to the test
	noSchema     bool                    // the databases stay empty

	// Of an embedded system only; the broker of the programs commits repeatedly.
	brokerOptions []devbroker.Option
	log           io.Writer // gets the log, too; nil for nobody
	keepsData     bool      // the broker has its data on disk
}

// deployment is one system from outside: its topics, databases and services.
type deployment struct {
	plan
	on         stack
	prefix     string // of topics and groups
	names      event.Names
	logs       string // folder
	nameServer string
	databases  databases
	services   services
	admin      *mq.Admin
	embedded   *dev.System                       // nil on other stacks
	closers    []func(ctx context.Context) error // called in reverse order

	mu        sync.Mutex
	instances []*instance
	injector  *mq.Producer
	expected  map[parkedMessage]bool // what tests expect to be parked
	ghosts    map[string]bool        // order ids that exist in injected messages only
}

// deploy makes the databases and the topics. Nothing runs yet. What it has made is
// to be closed, also after an error.
func deploy(ctx context.Context, on stack, logs string, p plan) (*deployment, error) {
	d := &deployment{
		plan: p, on: on, logs: logs,
		expected: map[parkedMessage]bool{}, ghosts: map[string]bool{},
	}
	prepare := d.install
	if on == onEmbedded {
		prepare = d.embed
	}
	if err := prepare(ctx); err != nil {
		return d, err
	}
	d.admin = mq.NewAdmin([]string{d.nameServer})
	d.closing(func(context.Context) error { return d.admin.Close() })
	return d, nil
}

// install makes the parts of a system whose services are processes.
func (d *deployment) install(ctx context.Context) error {
	d.prefix = run.nextName()
	d.names, d.services = event.NewNames(d.prefix), &programs{d: d}
	if err := errors.Join(d.findBroker(ctx), d.makeDatabases(ctx)); err != nil {
		return err
	}
	if !d.noSchema {
		if err := d.migrate(ctx); err != nil {
			return err
		}
	}
	if !d.noTopics {
		return d.makeTopics(ctx)
	}
	return nil
}

func (d *deployment) findBroker(ctx context.Context) error {
	switch {
	case d.broker != nil:
		d.nameServer = d.broker.nameServer()
	case d.on == onReal:
		d.nameServer = run.nameServer
	default:
		shared, err := run.broker.get(ctx)
		if err != nil {
			return err
		}
		d.nameServer = shared.nameServer()
	}
	return nil
}

func (d *deployment) makeDatabases(ctx context.Context) error {
	if d.on == onReal {
		schemas, err := newSchemas(ctx, d.prefix)
		if schemas != nil {
			d.closing(schemas.drop)
			d.databases = schemas
		}
		return err
	}
	folder, err := os.MkdirTemp(run.data, "databases-")
	d.closing(func(context.Context) error { return os.RemoveAll(folder) })
	d.databases = newFiles(folder)
	return err
}

// migrate has the services make their tables.
func (d *deployment) migrate(ctx context.Context) error {
	var errs []error
	for _, service := range bothServices() {
		_, err := execute(ctx, string(service), "migrate", "--database-url="+d.databases.url(service))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// makeTopics has orderctl create topics and groups.
func (d *deployment) makeTopics(ctx context.Context) error {
	_, err := execute(ctx, "orderctl", "mq", "init", "--wait=1m", "--name-servers="+d.nameServer, "--topic-prefix="+d.prefix)
	return err
}

// start starts a service with some settings; it listens then, but need not be ready.
// Its port is none of those that the system hands out: a successor gets it, also a while
// after the service has ended.
func (d *deployment) start(ctx context.Context, service assembly.Service, settings ...string) (*instance, error) {
	port, err := freePort(0)
	if err != nil {
		return nil, err
	}
	settings = append([]string{fmt.Sprintf("--listen=127.0.0.1:%d", port)}, settings...)
	d.mu.Lock()
	number := len(d.instances) + 1
	d.mu.Unlock()
	log := filepath.Join(d.logs, fmt.Sprintf("%s-%d.log", service, number))
	return d.launch(ctx, &instance{service: service, settings: settings, log: log})
}

// launch starts the service that the instance describes.
func (d *deployment) launch(ctx context.Context, i *instance) (*instance, error) {
	started, err := d.services.start(ctx, i.service, i.log, i.settings)
	if err != nil {
		return nil, err
	}
	i.running = started
	d.mu.Lock()
	defer d.mu.Unlock()
	d.instances = append(d.instances, i)
	return i, nil
}

// closing has something done when the deployment is closed, before what was asked
// for earlier.
func (d *deployment) closing(end func(ctx context.Context) error) { d.closers = append(d.closers, end) }

// close stops what runs, politely, and removes topics and databases.
func (d *deployment) close(ctx context.Context) error {
	var errs []error
	// inventory-srv first: what it asks of order-srv is answered to the end.
	for _, i := range slices.Backward(d.instances) {
		if i.runs() {
			errs = append(errs, d.end(ctx, i))
		}
	}
	if d.injector != nil {
		errs = append(errs, d.injector.Stop(ctx))
	}
	if d.on == onReal && d.admin != nil && (!d.noTopics || len(d.instances) > 0) {
		errs = append(errs, d.dropTopics(ctx)) // other brokers go with their systems, or the run
	}
	for _, end := range slices.Backward(d.closers) {
		errs = append(errs, end(ctx))
	}
	return errors.Join(errs...)
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
	files, _ := filepath.Glob(filepath.Join(d.logs, "*.log")) // the pattern is sound
	var out strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		all := strings.SplitAfter(string(text), "\n")
		fmt.Fprintf(&out, "--- end of %s\n%s\n", filepath.Base(file), strings.Join(all[max(0, len(all)-lines):], ""))
	}
	return out.String()
}
