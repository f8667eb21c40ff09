package mq

import (
	"context"
	"fmt"
)

// Lag returns how many messages of the topic the group has not acknowledged, by
// what the brokers know: members tell them every 5 seconds, and when they stop.
// Those that wait for their redelivery are acknowledged, for they are in another
// topic, see RetryTopic. A broadcast has no lag at the brokers, because its members
// keep their offsets to themselves; asking is an error.
func (c *Consumer) Lag(ctx context.Context) (int64, error) {
	if c.sub.Broadcast != "" {
		return 0, fmt.Errorf("lag of consumer group %q: the brokers do not know how far members of a broadcast are", c.sub.Group)
	}
	return c.admin.Lag(ctx, c.sub.Group, c.sub.Topic)
}
