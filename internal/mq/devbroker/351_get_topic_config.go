package devbroker

import "orderflow/internal/mq/remoting"

// GetTopicConfig (351) gives the settings of a topic.
//
// Asked by: the Java admin client; our Admin.
// Fields:   topic; lo, which is about static topics, may lack.
// Answers:  0 with remoting.TopicConfig; 17 no such topic.
func (b *Broker) topicConfig(r *request) (*response, error) {
	name := r.text("topic")
	if err := r.err(); err != nil {
		return nil, err
	}
	t := b.topics[name]
	if t == nil {
		return nil, refuse(remoting.ResponseTopicNotExist, "No topic in this broker. topic: %s", name)
	}
	return jsonResponse(t.config)
}
