package devbroker

import (
	"strings"

	"orderflow/internal/mq/remoting"
)

// DeleteTopicInBroker (215) deletes a topic, its messages, and the offsets that groups have in it.
//
// Asked by: mqadmin deleteTopic and deleteSubGroup; our Admin.
// Fields:   topic.
// Answers:  0, also if there is no such topic; 29 no name, or one of the broker's own topics.
// Differs:  the name server forgets it at once, without 216. Pulls that are held are answered at once.
func (b *Broker) deleteTopic(r *request) (*response, error) {
	name := r.optional("topic")
	switch {
	case strings.TrimSpace(name) == "":
		return nil, refuse(remoting.ResponseInvalidParameter, "The specified topic is blank.")
	case isSystemTopic(name):
		return nil, refuse(remoting.ResponseInvalidParameter, "The topic[%s] is conflict with system topic.", name)
	}
	t := b.topics[name]
	if t == nil {
		return &response{}, nil
	}
	b.record(changeNoTopic, []byte(name))
	b.removeTopic(name)
	b.releaseTopic(t)
	return &response{}, nil
}
