package order

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/event"
)

// What the sweeper finds.
const (
	foundOverdue = "overdue" // past the payment window and the grace
	foundSettled = "settled" // nothing is to be done; a program without a sweeper has written the row
)

// foundUnconfirmed names an order whose stock is not confirmed, by the event that
// inventory seems to lack.
func foundUnconfirmed(o Order) string { return unconfirmed(o.Status.tag()) }

func unconfirmed(lacking event.Tag) string { return string(lacking) + "_unconfirmed" }

// What has absorbed a repetition.
const (
	absorbedCreate = "create"      // the idempotency key of an order
	absorbedPay    = "pay"         // the id of a payment
	absorbedExtend = "extend"      // the request id of an extension
	absorbedStock  = "stock_event" // the version of a reservation
)

// Metrics counts what happens to orders, and what the sweeper does. A nil *Metrics
// counts nothing.
type Metrics struct {
	moved    *prometheus.CounterVec
	reserved prometheus.Histogram
	absorbed *prometheus.CounterVec

	found  *prometheus.CounterVec
	healed *prometheus.CounterVec
	failed *prometheus.CounterVec
	rounds prometheus.Histogram
}

// NewMetrics registers the metrics with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		moved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_transitions_total",
			Help: "Orders that came into a status by this process, by status and reason of a close; one whose COMMIT failed is left out.",
		}, []string{"to", "reason"}),
		reserved: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "order_created_to_reserved_seconds", Help: "From the placing of an order to the confirmation of its stock.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 14),
		}),
		absorbed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_duplicates_absorbed_total",
			Help: "Repetitions that changed nothing, by what was repeated (create, pay, extend, stock_event).",
		}, []string{"what"}),
		found: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_sweeper_found_total",
			Help: "Orders that the sweeper found stuck (overdue, created_unconfirmed, paid_unconfirmed, closed_unconfirmed), or not (settled).",
		}, []string{"what"}),
		healed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_sweeper_healed_total", Help: "Orders that went on after the sweeper had done something about them, by what it had found.",
		}, []string{"what"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_sweeper_failed_total",
			Help: "Orders about which the sweeper could do nothing at the moment, by what it had found; it looks again.",
		}, []string{"what"}),
		rounds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "order_sweeper_round_duration_seconds", Help: "How long the sweeper's rounds took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}),
	}
	r.MustRegister(m.moved, m.reserved, m.absorbed, m.found, m.healed, m.failed, m.rounds)
	m.moved.WithLabelValues(Placed.String(), "")
	for _, t := range Transitions() {
		m.moved.WithLabelValues(t.To.String(), t.Reason.String())
	}
	for _, what := range []string{absorbedCreate, absorbedPay, absorbedExtend, absorbedStock} {
		m.absorbed.WithLabelValues(what)
	}
	for _, what := range []string{foundOverdue, unconfirmed(event.TagCreated), unconfirmed(event.TagPaid), unconfirmed(event.TagClosed)} {
		m.found.WithLabelValues(what) // there before the first one, so that a rate sees it
		m.healed.WithLabelValues(what)
		m.failed.WithLabelValues(what)
	}
	m.found.WithLabelValues(foundSettled)
	return m
}

// countMoves counts orders that have come into the status that they are in.
func (m *Metrics) countMoves(orders []Order, now int64) {
	if m == nil {
		return
	}
	for _, o := range orders {
		m.moved.WithLabelValues(o.Status.String(), o.CloseReason.String()).Inc()
		if o.Status == Reserved {
			m.reserved.Observe(float64(max(0, now-o.CreatedAt)) / 1000)
		}
	}
}

func (m *Metrics) countAbsorbed(what string) {
	if m != nil {
		m.absorbed.WithLabelValues(what).Inc()
	}
}

func (m *Metrics) countFound(what string) {
	if m != nil {
		m.found.WithLabelValues(what).Inc()
	}
}

func (m *Metrics) countFailed(what string) {
	if m != nil {
		m.failed.WithLabelValues(what).Inc()
	}
}

// countHealed counts an order that was confirmed, if the sweeper had sent its event
// again before.
func (m *Metrics) countHealed(before Order) {
	if m != nil && before.SweepCount > 0 {
		m.healed.WithLabelValues(foundUnconfirmed(before)).Inc()
	}
}

// countClosed counts an overdue order that the sweeper has closed.
func (m *Metrics) countClosed() {
	if m != nil {
		m.healed.WithLabelValues(foundOverdue).Inc()
	}
}

func (m *Metrics) observeRound(took time.Duration) {
	if m != nil {
		m.rounds.Observe(took.Seconds())
	}
}
