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

	redelivered *prometheus.CounterVec
	askedAfter  *prometheus.HistogramVec
	lag         *prometheus.GaugeVec
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
		redelivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mq_redeliveries_total", Help: "Deliveries of messages that had been delivered to the group before.",
		}, []string{"group", "topic"}),
		askedAfter: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mq_check_back_age_seconds", Help: "Age of half messages when the broker asked what became of them, by the producer's clock.",
			Buckets: []float64{1, 2.5, 6, 15, 30, 60, 120, 300, 600, 1800, 3600, 6 * 3600, 24 * 3600},
		}, []string{"group"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mq_consumer_lag_messages",
			Help: "Messages of the topic that the group has not acknowledged; topics %RETRY%… hold its redeliveries. Absent: the broker was not to be asked.",
		}, []string{"group", "topic"}),
	}
	r.MustRegister(m.sent, m.half, m.checkBacks, m.handled, m.duration, m.parked, m.dropped, m.conflicts,
		m.redelivered, m.askedAfter, m.lag)
	return m
}

// expectHalves makes what a transaction producer counts, so that it is there before the
// first one, and a rate sees it.
func (m *Metrics) expectHalves(group string, topics []string) {
	if m == nil {
		return
	}
	states := []message.TransactionState{message.StateCommit, message.StateRollback, message.StateUnknown}
	for _, state := range states {
		m.checkBacks.WithLabelValues(group, state.String())
		for _, topic := range topics {
			m.half.WithLabelValues(topic, state.String())
		}
	}
	for _, topic := range topics {
		m.half.WithLabelValues(topic, notSent)
	}
	m.askedAfter.WithLabelValues(group)
}

// expectSends does that for a producer.
func (m *Metrics) expectSends(topics []string) {
	if m == nil {
		return
	}
	for _, topic := range topics {
		m.sent.WithLabelValues(topic, sentOK)
		m.sent.WithLabelValues(topic, sentError)
	}
}

// expectDeliveries does that for a consumer.
func (m *Metrics) expectDeliveries(s Subscription) {
	if m == nil {
		return
	}
	for _, result := range []string{handledOK, handledRetry, handledPermanent} {
		m.handled.WithLabelValues(s.Group, s.Topic, result)
	}
	m.duration.WithLabelValues(s.Group, s.Topic)
	m.redelivered.WithLabelValues(s.Group, s.Topic)
	m.conflicts.WithLabelValues(s.Group, s.Topic)
	switch {
	case s.Parker == nil:
	case s.Broadcast != "":
		m.ExpectParked(s.Group, ReasonGaveUp)
	default:
		m.ExpectParked(s.Group, ReasonCannotSendBack)
	}
}

// ExpectParked makes the counter of what is parked for the reasons.
func (m *Metrics) ExpectParked(group string, reasons ...string) {
	if m == nil {
		return
	}
	for _, reason := range reasons {
		m.parked.WithLabelValues(group, reason)
	}
}

// The labels of outcomes.
const (
	sentOK    = "ok"
	sentError = "error"
	notSent   = "not_sent"

	handledOK        = "ok"
	handledRetry     = "retry"
	handledPermanent = "permanent"
)

// countSent counts n messages that were sent together.
func (m *Metrics) countSent(topic string, n int, err error) {
	if m == nil {
		return
	}
	outcome := sentOK
	if err != nil {
		outcome = sentError
	}
	m.sent.WithLabelValues(topic, outcome).Add(float64(n))
}

func (m *Metrics) countHalf(topic, outcome string) {
	if m != nil {
		m.half.WithLabelValues(topic, outcome).Inc()
	}
}

// countCheckBack counts a check-back about a half message of that age.
func (m *Metrics) countCheckBack(group string, answer message.TransactionState, age time.Duration) {
	if m != nil {
		m.checkBacks.WithLabelValues(group, answer.String()).Inc()
		m.askedAfter.WithLabelValues(group).Observe(max(0, age.Seconds()))
	}
}

func (m *Metrics) countHandled(group, topic, result string, took time.Duration, attempt int) {
	if m == nil {
		return
	}
	m.handled.WithLabelValues(group, topic, result).Inc()
	m.duration.WithLabelValues(group, topic).Observe(took.Seconds())
	if attempt > 1 {
		m.redelivered.WithLabelValues(group, topic).Inc()
	}
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
