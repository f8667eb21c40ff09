package inventory

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what happens to reservations. A nil *Metrics counts nothing.
type Metrics struct {
	moved         *prometheus.CounterVec
	absorbed      *prometheus.CounterVec
	tombstones    prometheus.Counter
	tombstoneHits prometheus.Counter
	timerLag      prometheus.Histogram
}

// NewMetrics registers the metrics with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		moved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inventory_transitions_total",
			Help: "Reservations that came into a status by this process (RESERVED, REJECTED, RELEASED, SOLD); one whose COMMIT failed is left out.",
		}, []string{"to"}),
		absorbed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inventory_duplicates_absorbed_total",
			Help: "Events that found their work done and changed nothing, by what they say of the order (created, closed, paid).",
		}, []string{"event"}),
		tombstones: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "inventory_tombstones_total", Help: "Orders that were closed before they were reserved.",
		}),
		tombstoneHits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "inventory_tombstone_hits_total", Help: "Events created that came after their order was closed, and took no stock.",
		}),
		timerLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "inventory_timer_lag_seconds", Help: "From the due time of a payment timer until it was handled, by order.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600},
		}),
	}
	r.MustRegister(m.moved, m.absorbed, m.tombstones, m.tombstoneHits, m.timerLag)
	// They are there before the first one, so that a rate sees it.
	for _, status := range []Status{StatusReserved, StatusRejected, StatusReleased, StatusSold} {
		m.moved.WithLabelValues(status.String())
	}
	for _, what := range []trigger{orderCreated, orderClosed, orderPaid} {
		m.absorbed.WithLabelValues(what.String())
	}
	return m
}

// countTransition counts what an incident has made of a reservation, or found. after is
// nil if there was nothing to do.
func (m *Metrics) countTransition(in incident, before Reservation, after *Reservation) {
	if m == nil || after == nil {
		return
	}
	if after.Version != before.Version {
		m.moved.WithLabelValues(after.Status.String()).Inc()
		if before.Status == statusNone && after.Status == StatusReleased {
			m.tombstones.Inc()
		}
		return
	}
	m.absorbed.WithLabelValues(in.what.String()).Inc()
	if in.what == orderCreated && after.isTombstone() {
		m.tombstoneHits.Inc()
	}
}

// isTombstone tells whether the order was closed before it was reserved: what was given
// back has been held in a version before.
func (r Reservation) isTombstone() bool { return r.Status == StatusReleased && r.Version == 1 }

// observeTimer notes how late a timer of some orders was handled.
func (m *Metrics) observeTimer(orders int, late time.Duration) {
	if m == nil {
		return
	}
	for range orders {
		m.timerLag.Observe(max(0, late.Seconds()))
	}
}
