package mq

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"orderflow/internal/mq/remoting"
)

// filterCheck is the body of RequestCheckClientConfig.
type filterCheck struct {
	ClientID     string                `json:"clientId"` // for the broker's log
	Group        string                `json:"group"`    // likewise
	Subscription remoting.Subscription `json:"subscriptionData"`
}

// checkFilter asks all brokers of the topic whether they filter by SQL and can
// parse the subscription's expression. The library does not ask: what a broker
// refuses would look like a topic without messages.
func (a *Admin) checkFilter(ctx context.Context, s Subscription) error {
	masters, _, err := a.routeMasters(ctx, s.Topic)
	if err != nil {
		return fmt.Errorf("filter of consumer group %q: %w", s.Group, err)
	}
	body, err := json.Marshal(filterCheck{
		ClientID: "check@" + s.Group, Group: s.Group,
		Subscription: remoting.Subscription{
			Topic: s.Topic, Expression: s.Filter, ExpressionType: remoting.ExpressionSQL, Version: time.Now().UnixMilli(),
		},
	})
	if err != nil {
		return fmt.Errorf("filter of consumer group %q: %w", s.Group, err)
	}
	for _, b := range masters {
		_, err := a.send(ctx, b.addr, remoting.NewRequest(remoting.RequestCheckClientConfig, nil, body))
		switch {
		case remoting.ResponseCode(err) == remoting.ResponseSubscriptionInvalid:
			return fmt.Errorf("%w filter %q of consumer group %q: %w", errInvalid, s.Filter, s.Group, err)
		case err != nil:
			return fmt.Errorf("filter of consumer group %q on broker %s: %w", s.Group, b.name, err)
		}
	}
	return nil
}
