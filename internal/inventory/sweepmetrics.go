package inventory

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The labels of what a sweeper finds, heals, and cannot heal yet.
const (
	foundOverdue  = "overdue"  // RESERVED past the due time and the grace
	foundOutdated = "outdated" // a row that a program without a sweeper has written

	healedReleased  = "released"
	healedSold      = "sold"
	healedExtended  = "extended"
	healedCorrected = "corrected"

	failedNoAnswer = "no_answer" // the order service did not answer for it
	failedAnswer   = "answer"    // it did, but its clock is behind, or we cannot read it
	failedParked   = "parked"    // a contradiction, which is parked
	failedError    = "error"     // the database or the broker
)

// healedBy is the label of what an incident heals.
func healedBy(t trigger) string {
	if t == orderPaid {
		return healedSold
	}
	return healedReleased
}

// SweepMetrics counts what a Sweeper does. A nil *SweepMetrics counts nothing.
type SweepMetrics struct {
	found  *prometheus.CounterVec
	healed *prometheus.CounterVec
	failed *prometheus.CounterVec
	round  prometheus.Histogram
}

// NewSweepMetrics registers the metrics with r.
func NewSweepMetrics(r prometheus.Registerer) *SweepMetrics {
	m := &SweepMetrics{
		found: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inventory_sweeper_found_total",
			Help: "Reservations that the sweeper took, by what they were (overdue, outdated); one that it cannot heal counts each time.",
		}, []string{"what"}),
		healed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inventory_sweeper_healed_total",
			Help: "Reservations that the sweeper put right, by what became of them (released, sold, extended, corrected).",
		}, []string{"what"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inventory_sweeper_failed_total",
			Help: "Reservations that the sweeper looks at again later, by what stood in the way (no_answer, answer, parked, error).",
		}, []string{"what"}),
		round: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "inventory_sweeper_round_duration_seconds", Help: "How long the sweeper's rounds took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}),
	}
	r.MustRegister(m.found, m.healed, m.failed, m.round)
	// They are there before the first one, so that a rate sees it.
	for _, why := range []string{foundOverdue, foundOutdated} {
		m.found.WithLabelValues(why)
	}
	for _, how := range []string{healedReleased, healedSold, healedExtended, healedCorrected} {
		m.healed.WithLabelValues(how)
	}
	for _, why := range []string{failedNoAnswer, failedAnswer, failedParked, failedError} {
		m.failed.WithLabelValues(why)
	}
	return m
}

func (m *SweepMetrics) countFound(why string, n int) {
	if m != nil {
		m.found.WithLabelValues(why).Add(float64(n))
	}
}

func (m *SweepMetrics) countHealed(how string, n int) {
	if m != nil {
		m.healed.WithLabelValues(how).Add(float64(n))
	}
}

func (m *SweepMetrics) countFailed(why string) {
	if m != nil {
		m.failed.WithLabelValues(why).Inc()
	}
}

func (m *SweepMetrics) observe(took time.Duration) {
	if m != nil {
		m.round.Observe(took.Seconds())
	}
}
