package mq

import (
	"context"
	"errors"
)

// Backlog names what a consumer group has to read of a topic.
type Backlog struct {
	Group, Topic string

	// LateTopic says that the broker makes the topic when it first needs it: until
	// then there is nothing to read.
	LateTopic bool
}

// BacklogsOf are those of a group that consumes a topic: the topic's own, and that of
// the messages that wait for their redelivery.
func BacklogsOf(group, topic string) []Backlog {
	return []Backlog{{Group: group, Topic: topic}, {Group: group, Topic: RetryTopic(group)}}
}

// lagReader is asked for a lag; *Admin is one.
type lagReader interface {
	Lag(ctx context.Context, group, topic string) (int64, error)
}

// MeasureLag asks for the lag of each backlog and sets its gauge. One that could not be
// asked has no gauge then: an old number would look as if nothing came in.
func (m *Metrics) MeasureLag(ctx context.Context, brokers lagReader, backlogs []Backlog) error {
	var failed []error
	for _, b := range backlogs {
		lag, err := brokers.Lag(ctx, b.Group, b.Topic)
		var missing *NotFoundError
		if b.LateTopic && errors.As(err, &missing) && missing.Kind == KindTopic {
			lag, err = 0, nil
		}
		if err != nil {
			m.lag.DeleteLabelValues(b.Group, b.Topic)
			failed = append(failed, err)
			continue
		}
		m.lag.WithLabelValues(b.Group, b.Topic).Set(float64(lag))
	}
	return errors.Join(failed...)
}
