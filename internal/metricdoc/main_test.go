package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"orderflow/internal/metricdoc/registered"
)

func TestPageIsUpToDate(t *testing.T) {
	metrics, err := registered.Metrics(t.Context())
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
	metrics, err := registered.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(metrics) < 60 {
		t.Fatalf("only %d metrics were found", len(metrics))
	}
	for _, m := range metrics {
		if m.OfLibrary() {
			continue
		}
		if !regexp.MustCompile(`^[a-z][a-z_]*[a-z]$`).MatchString(m.Name) {
			t.Errorf("%s: a name is snake_case", m.Name)
		}
		if (m.Kind == "counter") != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s is a %s: counters end in _total, and nothing else does", m.Name, m.Kind)
		}
		if m.Kind == "histogram" && !strings.HasSuffix(m.Name, "_seconds") {
			t.Errorf("%s: a histogram says its unit", m.Name)
		}
		if len(m.Help) < 10 {
			t.Errorf("%s: what does it mean?", m.Name)
		}
	}
}

// A label with a value per order or SKU makes a series of each.
func TestLabelsAreBounded(t *testing.T) {
	known := []string{
		"answer", "code", "commit", "error_type", "event", "group", "grpc_code", "grpc_method", "grpc_service", "grpc_type", "outcome",
		"poll", "reason", "result", "status", "tag", "to", "topic", "version", "what",
	}
	metrics, err := registered.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics {
		for _, label := range m.Labels {
			if !m.OfLibrary() && !slices.Contains(known, label) {
				t.Errorf("%s has the label %q: if its values are few and known, add it here", m.Name, label)
			}
		}
	}
}
