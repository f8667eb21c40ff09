package devbroker

import (
	"orderflow/internal/mq/devbroker/filter"
	"orderflow/internal/mq/remoting"
)

// CheckClientConfig (46) tells whether the filter expression of a subscription can be parsed.
//
// Asked by: the Java client when a consumer with SQL92 starts, which fails if the answer is not 0.
// Body:     {"clientId", "group", "subscriptionData": remoting.Subscription}; none is fine.
// Answers:  0; 1 if the body cannot be parsed; 23 what is wrong with the expression.
func (b *Broker) checkClientConfig(r *request) (*response, error) {
	if len(r.cmd.Body) == 0 {
		return &response{}, nil
	}
	var wanted struct {
		Subscription *remoting.Subscription `json:"subscriptionData"`
	}
	if err := remoting.DecodeBody(r.cmd.Body, &wanted); err != nil {
		return nil, err
	}
	s := wanted.Subscription
	if s == nil || s.ExpressionType == "" || s.ExpressionType == filter.KindTag {
		return &response{}, nil
	}
	if _, err := filter.Parse(s.ExpressionType, s.Expression); err != nil {
		return nil, refuse(remoting.ResponseSubscriptionInvalid, "%v", err)
	}
	return &response{}, nil
}
