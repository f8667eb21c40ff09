package main

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestPageIsUpToDate(t *testing.T) {
	metrics, err := collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if page(metrics) != string(text) {
		t.Error(`docs/metrics.md is not what the programs register: run "make generate"`)
	}
}

// The names are the field's: https://prometheus.io/docs/practices/naming/. Dashboards
// can be read without a manual then, and a type can be told from its name.
func TestNamesFollowTheConvention(t *testing.T) {
	metrics, err := collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(metrics) < 60 {
		t.Fatalf("only %d metrics were found", len(metrics))
	}
	for _, m := range metrics {
		if ofRuntime(m) {
			continue
		}
		if !regexp.MustCompile(`^[a-z][a-z_]*[a-z]$`).MatchString(m.name) {
			t.Errorf("%s: a name is snake_case", m.name)
		}
		if (m.kind == "counter") != strings.HasSuffix(m.name, "_total") {
			t.Errorf("%s is a %s: counters end in _total, and nothing else does", m.name, m.kind)
		}
		if m.kind == "histogram" && !strings.HasSuffix(m.name, "_seconds") {
			t.Errorf("%s: a histogram says its unit", m.name)
		}
		if len(m.help) < 10 {
			t.Errorf("%s: what does it mean?", m.name)
		}
	}
}

// A label with a value per order or SKU makes a series of each.
func TestLabelsAreBounded(t *testing.T) {
	known := []string{
		"answer", "code", "commit", "error_type", "event", "group", "grpc_code", "grpc_method", "grpc_service", "grpc_type", "outcome",
		"poll", "reason", "result", "status", "tag", "to", "topic", "version", "what",
	}
	metrics, err := collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics {
		for _, label := range m.labels {
			if !ofRuntime(m) && !slices.Contains(known, label) {
				t.Errorf("%s has the label %q: if its values are few and known, add it here", m.name, label)
			}
		}
	}
}

// A metric that never moves looks like good news. Each is looked at in some test, which
// makes what it counts happen.
func TestEveryMetricIsTested(t *testing.T) {
	metrics, err := collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = fs.WalkDir(os.DirFS("../.."), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile("../../" + file)
		tests.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics {
		if !ofRuntime(m) && !strings.Contains(tests.String(), m.name) {
			t.Errorf("%s is in no test", m.name)
		}
	}
}

func TestDescriptionsAreRead(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "x_total", Help: `Says "hello", {a}.`, ConstLabels: prometheus.Labels{"z": "1"},
	}, []string{"b", "a"}))
	got, err := describe(registry)
	if err != nil || len(got) != 1 || got[0].help != `Says "hello", {a}.` || !slices.Equal(got[0].labels, []string{"a", "b", "z"}) {
		t.Errorf("%+v, %v", got, err)
	}
}
