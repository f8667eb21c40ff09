package registered

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestDescriptionsAreRead(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "x_total", Help: `Says "hello", {a}.`, ConstLabels: prometheus.Labels{"z": "1"},
	}, []string{"b", "a"}))
	got, err := describe(registry)
	if err != nil || len(got) != 1 || got[0].Help != `Says "hello", {a}.` || !slices.Equal(got[0].Labels, []string{"a", "b", "z"}) {
		t.Errorf("%+v, %v", got, err)
	}
}
