package parking

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// maxCounted bounds how many rows are counted: what is more shows as that many.
const maxCounted = 10_000

// Metrics say what is parked at the moment; what was ever parked is counted by those
// of package mq.
type Metrics struct {
	store  *Store
	open   *prometheus.GaugeVec
	oldest prometheus.Gauge
}

// NewMetrics registers the metrics with r. Poll brings them up to date.
func NewMetrics(r prometheus.Registerer, store *Store) *Metrics {
	m := &Metrics{
		store: store,
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parked_messages",
			Help: fmt.Sprintf("Events that are parked and wait for a person, by group and reason; of the %d oldest.", maxCounted),
		}, []string{"group", "reason"}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parked_oldest_age_seconds", Help: "How long the oldest of the parked events has been parked; 0: there is none.",
		}),
	}
	r.MustRegister(m.open, m.oldest)
	return m
}

// Poll asks the database. It costs one statement on the index of first_at.
func (m *Metrics) Poll(ctx context.Context) error {
	var rows []struct {
		Consumer, Reason string
		N, Oldest        int64
	}
	err := m.store.db.With(ctx).Raw("SELECT consumer, reason, COUNT(*) AS n, MIN(first_at) AS oldest FROM"+
		" (SELECT consumer, reason, first_at FROM parked_messages ORDER BY first_at, id LIMIT ?) AS oldest_rows"+
		" GROUP BY consumer, reason", maxCounted).Scan(&rows).Error
	if err != nil {
		return fmt.Errorf("count parked messages: %w", err)
	}
	m.open.Reset()
	age := 0.0
	for _, r := range rows {
		m.open.WithLabelValues(r.Consumer, r.Reason).Set(float64(r.N))
		age = max(age, m.store.clock.Now().Sub(timeOf(r.Oldest)).Seconds())
	}
	m.oldest.Set(age)
	return nil
}
