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
	return jsonResponse(topicList(slices.Collect(maps.Keys(b.topics))))
}

// topicList is a list of names in their order.
func topicList(names []string) remoting.TopicList {
	list := remoting.TopicList{Topics: append([]string{}, names...)} // none is [], not null
	slices.Sort(list.Topics)
	return list
}
