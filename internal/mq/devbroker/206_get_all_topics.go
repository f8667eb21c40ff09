package devbroker

import (
	"maps"
	"slices"

	"orderflow/internal/mq/remoting"
)

// GetAllTopicListFromNameserver (206) lists the names of all topics, the broker's own among them.
//
// Asked by: mqadmin topicList, and consumerProgress, which finds the groups by their %RETRY% topics.
// Answers:  0 with remoting.TopicList.
func (b *Broker) allTopics(*request) (*response, error) {
	return jsonResponse(remoting.TopicList{Topics: slices.Sorted(maps.Keys(b.topics))})
}
