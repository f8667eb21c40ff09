// Package registered knows every metric of the programs, by asking them: docs/metrics.md
// is written of it, and a test makes each of them move.
package registered

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/cmd/inventory-srv/inventorysrv"
	"orderflow/cmd/order-srv/ordersrv"
	"orderflow/cmd/orderctl/notifysrv"
	"orderflow/internal/assembly"
	"orderflow/internal/clock"
)

// Metric is what a registry says of a metric.
type Metric struct {
	Name     string
	Kind     string   // counter, gauge, histogram or summary
	Labels   []string // in the order of the alphabet
	Help     string
	Programs []string // which have it
}

// OfLibrary tells whether a library decides about the metric: of the Go runtime, the
// process or the database pool.
func (m Metric) OfLibrary() bool {
	return strings.HasPrefix(m.Name, "go_") || strings.HasPrefix(m.Name, "process_")
}

// Metrics puts the programs together, as they are in production but running nothing,
// and asks their registries.
func Metrics(ctx context.Context) (metrics []Metric, err error) {
	folder, err := os.MkdirTemp("", "metricdoc-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	host := assembly.Host{Log: slog.New(slog.DiscardHandler), Clock: clock.System{}}
	flags := []string{
		"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--name-servers=127.0.0.1:1",
		"--database-url=sqlite:" + filepath.Join(folder, "nothing.db"),
	}
	found := map[string]*Metric{}
	for _, p := range []struct {
		name string
		make func() (*prometheus.Registry, func(), error)
	}{
		{string(assembly.OrderService), func() (*prometheus.Registry, func(), error) { return orders(ctx, host, flags) }},
		{string(assembly.InventoryService), func() (*prometheus.Registry, func(), error) { return inventory(ctx, host, flags) }},
		{string(notifysrv.Name), func() (*prometheus.Registry, func(), error) { return notifier(ctx, host, flags) }},
	} {
		registry, cleanup, err := p.make()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		err = add(found, p.name, registry)
		cleanup()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for _, m := range found {
		if m.Kind == "" {
			m.Kind = kindByName(m.Name)
		}
		metrics = append(metrics, *m)
	}
	slices.SortFunc(metrics, func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	return metrics, nil
}

func orders(ctx context.Context, host assembly.Host, flags []string) (*prometheus.Registry, func(), error) {
	config, err := ordersrv.ParseConfig(flags...)
	if err != nil {
		return nil, nil, err
	}
	app, cleanup, err := ordersrv.New(ctx, config, host)
	if err != nil {
		return nil, nil, err
	}
	return app.Registry(), cleanup, nil
}

func inventory(ctx context.Context, host assembly.Host, flags []string) (*prometheus.Registry, func(), error) {
	config, err := inventorysrv.ParseConfig(flags...)
	if err != nil {
		return nil, nil, err
	}
	app, cleanup, err := inventorysrv.New(ctx, config, host)
	if err != nil {
		return nil, nil, err
	}
	return app.Registry(), cleanup, nil
}

func notifier(ctx context.Context, host assembly.Host, flags []string) (*prometheus.Registry, func(), error) {
	config, err := notifysrv.ParseConfig(flags...)
	if err != nil {
		return nil, nil, err
	}
	app, cleanup, err := notifysrv.New(ctx, config, host)
	if err != nil {
		return nil, nil, err
	}
	return app.Registry(), cleanup, nil
}

// add adds what a program's registry says.
func add(found map[string]*Metric, program string, registry *prometheus.Registry) error {
	described, err := describe(registry)
	if err != nil {
		return err
	}
	kinds, err := kindsOf(registry)
	if err != nil {
		return err
	}
	for _, m := range described {
		m.Kind = kinds[m.Name] // none without a sample
		known, ok := found[m.Name]
		if !ok {
			known = &m
			found[m.Name] = known
		}
		if known.Kind == "" {
			known.Kind = m.Kind
		}
		if m.Kind != "" && m.Kind != known.Kind || m.Help != known.Help || !slices.Equal(m.Labels, known.Labels) {
			return fmt.Errorf("%s means two things: %+v and %+v", m.Name, m, *known)
		}
		known.Programs = append(known.Programs, program)
	}
	return nil
}

// describe reads the descriptions, which are there before the first sample. They show
// themselves as text only.
func describe(registry *prometheus.Registry) ([]Metric, error) {
	descriptions := make(chan *prometheus.Desc)
	go func() { defer close(descriptions); registry.Describe(descriptions) }()
	form := regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*")(?:, unit: "[^"]*")?, constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	var metrics []Metric
	var wrong []error
	seen := map[string]bool{}
	for d := range descriptions {
		parts := form.FindStringSubmatch(d.String())
		if parts == nil {
			wrong = append(wrong, fmt.Errorf("cannot read %s", d))
			continue
		}
		name, nameErr := strconv.Unquote(parts[1])
		help, helpErr := strconv.Unquote(parts[2])
		wrong = append(wrong, nameErr, helpErr)
		if seen[name] {
			continue
		}
		seen[name] = true
		metrics = append(metrics, Metric{Name: name, Help: help, Labels: labelsOf(parts[3], parts[4])})
	}
	return metrics, errors.Join(wrong...)
}

// labelsOf are the names of both kinds of labels.
func labelsOf(constant, variable string) []string {
	var labels []string
	for _, text := range append(strings.Split(constant, ","), strings.Split(variable, ",")...) {
		if name, _, _ := strings.Cut(text, "="); name != "" {
			labels = append(labels, name)
		}
	}
	slices.Sort(labels)
	return labels
}

// kindsOf are the kinds of those metrics that have a sample.
func kindsOf(registry *prometheus.Registry) (map[string]string, error) {
	families, err := registry.Gather()
	kinds := map[string]string{}
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	return kinds, err
}

// kindByName is the kind of a metric without a sample, by what the field's naming says
// of it; the test makes sure that our names follow it.
func kindByName(name string) string {
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}
