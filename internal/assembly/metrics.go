package assembly

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/mq"
	"orderflow/internal/parking"
	"orderflow/internal/telemetry"
)

// NewRegistry makes the registry of a service, with what every process tells of itself.
func NewRegistry(host Host) *prometheus.Registry { return telemetry.NewRegistry(host.Sink) }

// Polls are the metrics of a service that have to be asked for.
type Polls []telemetry.Poll

// NewPoller makes the task that asks.
func NewPoller(registry prometheus.Registerer, host Host, polls Polls) *telemetry.Poller {
	return telemetry.NewPoller(registry, host.Clock, host.Log, polls...)
}

// PollLag asks the broker how far the groups of a service are. The drains of dead
// letters are among them; their topics may never come to be.
func PollLag(admin *mq.Admin, metrics *mq.Metrics, backlogs ...mq.Backlog) telemetry.Poll {
	return telemetry.Poll{Name: "lag", Ask: func(ctx context.Context) error {
		return metrics.MeasureLag(ctx, admin, backlogs)
	}}
}

// DrainOf is what a drain has to read: the dead letters of a group.
func DrainOf(drain, group string) mq.Backlog {
	return mq.Backlog{Group: drain, Topic: mq.DeadLetterTopic(group), LateTopic: true}
}

// DrainOfHalfMessages is what the drain of half messages has to read.
func DrainOfHalfMessages(drain string) mq.Backlog {
	return mq.Backlog{Group: drain, Topic: mq.DiscardedTopic, LateTopic: true}
}

// PollParked asks the database what is parked.
func PollParked(metrics *parking.Metrics) telemetry.Poll {
	return telemetry.Poll{Name: "parked", Ask: metrics.Poll}
}
