package devbroker

import "orderflow/internal/mq/remoting"

// GetSubscriptionGroupConfig (352) gives the settings of a consumer group. One that does not exist is
// created, unless that is off.
//
// Asked by: the Java admin client.
// Fields:   group.
// Answers:  0 with remoting.GroupConfig; 26 no such group.
func (b *Broker) groupConfig(r *request) (*response, error) {
	name := r.text("group")
	if err := r.err(); err != nil {
		return nil, err
	}
	g := b.groupFor(name)
	if g == nil {
		return nil, refuse(remoting.ResponseGroupNotExist, "No group in this broker")
	}
	return &response{body: g.raw}, nil
}
