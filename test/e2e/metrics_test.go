package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/metricdoc/registered"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/telemetry/telemetrytest"
)

// A metric that never moves looks like good news. Everything that one counts is made to
// happen, and each metric of docs/metrics.md has been something else than 0 in the end; so
// has each value of a label that says what happened, such as a reason or an outcome.
func TestEveryMetricMoves(t *testing.T) {
	onStacks(t, needs{aFailingBroker, aClockToPush}, func(t *testing.T, on stack) {
		d := newDrill(t, on)
		for _, scene := range []struct {
			name string
			play func()
		}{
			{"members disagree", d.disagree},
			{"a message cannot be sent back", d.refuseToTakeBack},
			{"lives of orders", d.live},
			{"repetitions", d.repeat},
			{"the notifier's troubles", d.trouble},
			{"inventory is away", d.leaveInventory},
			{"half messages", d.undecided},
			{"what the sweeper of inventory finds", d.sweep},
			{"order-srv is away", d.leaveOrders},
			{"contradictions", d.contradict},
			{"nobody can be asked", d.failPolls},
			{"the log fails", d.failLog},
			{"what no program does", d.beside},
			{"parked at last", d.parkedAtLast},
		} {
			began := time.Now()
			scene.play()
			d.look()
			t.Logf("%s: %s", scene.name, time.Since(began).Round(time.Millisecond))
		}
		d.wantAllMoved()
		d.wantBounded()
	})
}

// drill is a system in which everything goes wrong, and what its metrics have said.
type drill struct {
	*system
	sink     *faltering
	webhook  *moody
	notifier string // where its metrics are
	unable   *devbroker.Injected
	tea      string

	bought, cancelled, refused *orderv1.Order // how some orders ended

	metrics []registered.Metric             // all that there are
	beyond  []prometheus.Gatherer           // what is measured outside of the programs
	begun   map[string]bool                 // programs that were looked at
	premade labels                          // what was there when they were looked at first
	known   labels                          // what was ever there
	moved   labels                          // what was not 0
	samples map[string]telemetrytest.Sample // that moved, by what they print as without their value
}

// labels are the values of a metric's labels; "" is the label of every sample.
type labels map[string]map[string]map[string]bool

func (l labels) add(s telemetrytest.Sample) {
	if l[s.Metric] == nil {
		l[s.Metric] = map[string]map[string]bool{"": {}}
	}
	l[s.Metric][""][""] = true
	for name, value := range s.Labels {
		if l[s.Metric][name] == nil {
			l[s.Metric][name] = map[string]bool{}
		}
		l[s.Metric][name][value] = true
	}
}

func newDrill(t *testing.T, on stack) *drill {
	t.Helper()
	d := &drill{
		sink: &faltering{}, webhook: newMoody(t),
		begun: map[string]bool{}, premade: labels{}, known: labels{}, moved: labels{}, samples: map[string]telemetrytest.Sample{},
	}
	d.system = newSweeping(t, on, plan{log: d.sink, brokerOptions: []devbroker.Option{
		devbroker.WithTransactionTimeout(24 * time.Hour), devbroker.WithCheckInterval(24 * time.Hour), devbroker.WithMaxChecks(2),
	}})
	var err error
	d.metrics, err = registered.Metrics(t.Context())
	d.must(err)
	d.tea = d.stocked("tea", 1_000_000)
	return d
}

// admins are where the metrics of the programs are that run.
func (d *drill) admins() map[string]string {
	all := map[string]string{"order-srv": d.embedded.OrderAdminAddr(), "inventory-srv": d.embedded.InventoryAdminAddr(), "notify": d.notifier}
	maps.DeleteFunc(all, func(_, address string) bool { return address == "" })
	return all
}

// look notes what the metrics say at the moment.
func (d *drill) look() {
	d.t.Helper()
	d.must(d.lookAt(slices.Collect(maps.Keys(d.admins()))))
}

// lookAt does so where the programs run.
func (d *drill) lookAt(programs []string) error {
	ctx, cancel := d.call()
	defer cancel()
	var errs []error
	for program, admin := range d.admins() {
		if !slices.Contains(programs, program) {
			continue
		}
		samples, err := telemetrytest.Samples(telemetrytest.Scrape(ctx, admin))
		errs = append(errs, err)
		d.note(samples)
		if err == nil && !d.begun[program] {
			d.begun[program] = true
			for _, sample := range samples {
				d.premade.add(sample)
			}
		}
	}
	for _, measured := range d.beyond {
		samples, err := telemetrytest.Samples(measured)
		errs = append(errs, err)
		d.note(samples)
	}
	return errors.Join(errs...)
}

func (d *drill) note(samples []telemetrytest.Sample) {
	for _, sample := range samples {
		d.known.add(sample)
		if sample.Value != 0 {
			d.moved.add(sample)
			d.samples[fmt.Sprint(sample.Metric, sample.Labels)] = sample
		}
	}
}

// has tells whether a sample of the metric has moved that has the labels, which are name
// and value in turn.
func (d *drill) has(metric string, pairs ...string) bool {
	for _, sample := range d.samples {
		all := sample.Metric == metric
		for i := 0; i < len(pairs); i += 2 {
			all = all && sample.Labels[pairs[i]] == pairs[i+1]
		}
		if all {
			return true
		}
	}
	return false
}

// move waits until a sample of the metric with the labels is not 0.
func (d *drill) move(metric string, pairs ...string) {
	d.t.Helper()
	d.moveBy(0, metric, pairs...)
}

const (
	// looksAPush is how often moveBy looks before it pushes again: what a push has brought
	// about takes its time, and orders would end meanwhile.
	looksAPush = 4
	// quickLooks is how often it looks whenever it is asked to, which takes a second, and
	// then only at every slowness-th time: a look costs more than most of what it waits for.
	quickLooks, slowness = 24, 10
)

// moveBy does so, and pushes the clock by so much now and then.
func (d *drill) moveBy(push time.Duration, metric string, pairs ...string) {
	d.t.Helper()
	programs := d.metrics[slices.IndexFunc(d.metrics, func(m registered.Metric) bool { return m.Name == metric })].Programs
	missing := fmt.Sprintf("%s %v is 0", metric, pairs)
	asked, looks := 0, 0
	d.eventually(waitTimeout, func() string {
		if asked++; asked > quickLooks && asked%slowness != 0 {
			return missing
		}
		if err := d.lookAt(programs); err != nil {
			return err.Error()
		}
		if d.has(metric, pairs...) {
			return ""
		}
		if push > 0 && looks%looksAPush == 0 {
			d.push(push)
		}
		looks++
		return missing
	})
}

// wantAllMoved goes over the list of all metrics. Labels that say where something happened
// are left out, and those whose values are made by a library.
func (d *drill) wantAllMoved() {
	d.t.Helper()
	where := []string{"group", "topic", "grpc_code", "grpc_method", "grpc_service", "grpc_type"}
	for _, m := range d.metrics {
		if !d.moved[m.Name][""][""] {
			d.t.Errorf("%s was 0 all the time", m.Name)
			continue
		}
		for _, label := range m.Labels {
			if m.OfLibrary() || slices.Contains(where, label) {
				continue
			}
			for value := range d.known[m.Name][label] {
				if !d.moved[m.Name][label][value] {
					d.t.Errorf("%s was 0 all the time where %s is %q", m.Name, label, value)
				}
				if d.premade[m.Name] != nil && !d.premade[m.Name][label][value] {
					d.t.Errorf("%s has no sample with %s %q before the first one: no rate sees that", m.Name, label, value)
				}
			}
		}
	}
}

// wantBounded checks that no value of a label is an order, a customer or a SKU, and that the
// list of all metrics has what was there.
func (d *drill) wantBounded() {
	d.t.Helper()
	id := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	for name, all := range d.known {
		if !slices.ContainsFunc(d.metrics, func(m registered.Metric) bool { return m.Name == name }) {
			d.t.Errorf("%s is measured, and not in docs/metrics.md", name)
		}
		for label, values := range all {
			for value := range values {
				if id.MatchString(value) || strings.Contains(value, d.customer) {
					d.t.Errorf("%s has a sample of its own where %s is %q", name, label, value)
				}
			}
		}
	}
}

// faltering is a sink of a log that can fail.
type faltering struct{ fails atomic.Bool }

func (f *faltering) Write(p []byte) (int, error) {
	if f.fails.Load() {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// failLog has the sink of the log fail until lines are lost.
func (d *drill) failLog() {
	d.sink.fails.Store(true)
	defer d.sink.fails.Store(false)
	ctx, cancel := context.WithTimeout(d.t.Context(), callTimeout)
	defer cancel()
	_, err := d.orderClient.GetOrder(ctx, &orderv1.GetOrderRequest{}) // a refused call is a line
	if err == nil {
		d.t.Error("nothing was refused")
	}
	d.move("log_lines_dropped_total")
}
