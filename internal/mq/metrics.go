package mq

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/mq/message"
)

// Metrics counts what producers and consumers do. A nil *Metrics counts nothing.
type Metrics struct {
	sent       *prometheus.CounterVec
	half       *prometheus.CounterVec
	checkBacks *prometheus.CounterVec
	handled    *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	parked     *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	conflicts  *prometheus.GaugeVec
}

// NewMetrics registers the metrics with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mq_messages_sent_total", Help: "Messages by outcome (ok, error), half messages left out.",
		}, []string{"topic", "outcome"}),
		half: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mq_half_messages_total",
			Help: "Half messages by what became of them (commit, rollback, unknown, not_sent).",
		}, []string{"topic", "outcome"}),
		checkBacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mq_check_backs_total", Help: "Check-backs by answer (commit, rollback, unknown).",
		}, []string{"group", "answer"}),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mq_messages_handled_total", Help: "Deliveries by result (ok, retry, permanent).",
		}, []string{"group", "topic", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mq_handle_duration_seconds", Help: "How long handlers took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, []string{"group", "topic"}),
		parked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mq_messages_parked_total", Help: "Messages and single events that were parked, by reason.",
		}, []string{"group", "reason"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mq_messages_dropped_total",
			Help: "Broadcast messages that a member could not handle and had nowhere to park.",
		}, []string{"group", "topic"}),
		conflicts: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mq_subscription_conflict",
			Help: "1 if members of the consumer group consume something else than this one.",
		}, []string{"group", "topic"}),
	}
	r.MustRegister(m.sent, m.half, m.checkBacks, m.handled, m.duration, m.parked, m.dropped, m.conflicts)
	return m
}

// countSent counts n messages that were sent together.
func (m *Metrics) countSent(topic string, n int, err error) {
	if m == nil {
		return
	}
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	m.sent.WithLabelValues(topic, outcome).Add(float64(n))
}

func (m *Metrics) countHalf(topic, outcome string) {
	if m != nil {
		m.half.WithLabelValues(topic, outcome).Inc()
	}
}

func (m *Metrics) countCheckBack(group string, answer message.TransactionState) {
	if m != nil {
		m.checkBacks.WithLabelValues(group, answer.String()).Inc()
	}
}

func (m *Metrics) countHandled(group, topic, result string, took time.Duration) {
	if m == nil {
		return
	}
	m.handled.WithLabelValues(group, topic, result).Inc()
	m.duration.WithLabelValues(group, topic).Observe(took.Seconds())
}

func (m *Metrics) countDropped(group, topic string) {
	if m != nil {
		m.dropped.WithLabelValues(group, topic).Inc()
	}
}

func (m *Metrics) setConflict(s Subscription, conflict bool) {
	if m == nil {
		return
	}
	value := 0.0
	if conflict {
		value = 1
	}
	m.conflicts.WithLabelValues(s.Group, s.Topic).Set(value)
}

// CountParked returns a Parker that stores with p and counts what p has stored,
// whole messages and single events alike.
func (m *Metrics) CountParked(p message.Parker) message.Parker { return countingParker{p, m} }

type countingParker struct {
	message.Parker
	metrics *Metrics
}

// Park stores and counts.
func (c countingParker) Park(ctx context.Context, p message.Parked) error {
	err := c.Parker.Park(ctx, p)
	if err == nil && c.metrics != nil {
		c.metrics.parked.WithLabelValues(p.Group, p.Reason).Inc()
	}
	return err
}
