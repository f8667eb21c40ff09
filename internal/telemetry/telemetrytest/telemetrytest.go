// Package telemetrytest reads metrics in a test.
package telemetrytest

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Value is the sum of a metric's samples that have the labels, which are name and value
// in turn: of a histogram or summary it is the number of observations. A metric without
// such a sample is 0.
func Value(t testing.TB, g prometheus.Gatherer, metric string, labels ...string) float64 {
	t.Helper()
	value := 0.0
	for _, sample := range samples(t, g, metric) {
		if has(sample, labels) {
			value += valueOf(sample)
		}
	}
	return value
}

// Sample is one sample of a metric.
type Sample struct {
	Metric string
	Labels map[string]string
	Value  float64 // of a histogram or summary the number of observations
}

// Samples are all that there are.
func Samples(g prometheus.Gatherer) ([]Sample, error) {
	families, err := g.Gather()
	if err != nil {
		return nil, err
	}
	var all []Sample
	for _, family := range families {
		for _, sample := range family.GetMetric() {
			all = append(all, Sample{family.GetName(), labelsOf(sample), valueOf(sample)})
		}
	}
	return all, nil
}

// Sum is the sum of what was observed by a metric's histograms.
func Sum(t testing.TB, g prometheus.Gatherer, metric string) float64 {
	t.Helper()
	sum := 0.0
	for _, sample := range samples(t, g, metric) {
		sum += sample.GetHistogram().GetSampleSum()
	}
	return sum
}

// Present tells whether a metric has a sample with the labels.
func Present(t testing.TB, g prometheus.Gatherer, metric string, labels ...string) bool {
	t.Helper()
	for _, sample := range samples(t, g, metric) {
		if has(sample, labels) {
			return true
		}
	}
	return false
}

func samples(t testing.TB, g prometheus.Gatherer, metric string) []*dto.Metric {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == metric {
			return family.GetMetric()
		}
	}
	return nil
}

func has(sample *dto.Metric, labels []string) bool {
	got := labelsOf(sample)
	for i := 0; i+1 < len(labels); i += 2 {
		if value, ok := got[labels[i]]; !ok || value != labels[i+1] {
			return false
		}
	}
	return true
}

func labelsOf(sample *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, pair := range sample.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}

func valueOf(sample *dto.Metric) float64 {
	switch {
	case sample.GetHistogram() != nil:
		return float64(sample.GetHistogram().GetSampleCount())
	case sample.GetSummary() != nil:
		return float64(sample.GetSummary().GetSampleCount())
	case sample.GetGauge() != nil:
		return sample.GetGauge().GetValue()
	case sample.GetCounter() != nil:
		return sample.GetCounter().GetValue()
	default:
		return sample.GetUntyped().GetValue()
	}
}
