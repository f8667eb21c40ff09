package devbroker

import "orderflow/internal/mq/remoting"

// GetAllTopicConfig (21) gives the settings of all topics, the broker's own among them.
//
// Asked by: mqadmin, for the topics that are not the broker's.
// Answers:  0 with {"topicConfigTable": remoting.TopicConfig by name}.
// Differs:  no dataVersion and nothing about static topics.
func (b *Broker) allTopicConfigs(*request) (*response, error) {
	configs := make(map[string]remoting.TopicConfig, len(b.topics))
	for name, t := range b.topics {
		configs[name] = t.config
	}
	return jsonResponse(struct {
		Configs map[string]remoting.TopicConfig `json:"topicConfigTable"`
	}{configs})
}
