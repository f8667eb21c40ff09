package devbroker

import (
	"encoding/json"
	"maps"
	"slices"

	"orderflow/internal/mq/remoting"
)

// GetConsumerListByGroup (38) lists the client ids of a consumer group.
//
// Asked by: consumers each time they share the queues.
// Fields:   consumerGroup.
// Answers:  0 with remoting.ConsumerList; 1 if the group has no members.
func (b *Broker) consumerList(r *request) (*response, error) {
	name := r.text("consumerGroup")
	if err := r.err(); err != nil {
		return nil, err
	}
	g := b.groups[name]
	if g == nil || len(g.members) == 0 {
		return nil, refuse(remoting.ResponseSystemError, "no consumer for this group, %s", name)
	}
	return jsonResponse(remoting.ConsumerList{ClientIDs: slices.Sorted(maps.Keys(g.members))})
}

// jsonResponse answers with a body of JSON.
func jsonResponse(body any) (*response, error) {
	text, err := json.Marshal(body)
	return &response{body: text}, err
}
