package devbroker

import (
	"maps"
	"slices"
)

// GetSystemTopicListFromBroker (305) lists the topics that the broker keeps for itself.
//
// Asked by: the Java admin client.
// Answers:  0 with remoting.TopicList.
// Differs:  fewer of them: there are no operation, trace, reply and other topics that are not served.
func (b *Broker) brokerSystemTopics(*request) (*response, error) {
	names := slices.Collect(maps.Keys(b.topics))
	return jsonResponse(topicList(slices.DeleteFunc(names, func(name string) bool { return !isSystemTopic(name) })))
}
