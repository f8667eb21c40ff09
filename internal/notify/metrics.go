package notify

import (
	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/event"
)

// Outcomes of an event, as the metric names them.
const (
	outcomeSent    = "sent"
	outcomeAgain   = "sent_before" // absorbed: a redelivery, or an event that was sent again
	outcomeHeld    = "held"        // another instance sends it
	outcomeFailed  = "failed"      // it comes again
	outcomeRefused = "refused"     // it is parked
)

// Metrics counts what becomes of events. A nil *Metrics counts nothing.
type Metrics struct{ events *prometheus.CounterVec }

// NewMetrics registers the metrics with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{events: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "notify_events_total", Help: "Events by what became of their notification (sent, sent_before, held, failed, refused).",
	}, []string{"tag", "outcome"})}
	r.MustRegister(m.events)
	for _, tag := range []event.Tag{event.TagCreated, event.TagPaid, event.TagClosed} {
		for _, outcome := range []string{outcomeSent, outcomeAgain, outcomeHeld, outcomeFailed, outcomeRefused} {
			m.events.WithLabelValues(string(tag), outcome) // there before the first one, so that a rate sees it
		}
	}
	return m
}

func (m *Metrics) count(tag, outcome string) {
	if m != nil {
		m.events.WithLabelValues(tag, outcome).Inc()
	}
}
