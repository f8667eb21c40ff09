package devbroker

import (
	"slices"

	"orderflow/internal/mq/remoting"
)

// QueryTopicConsumeByWho (300) lists the consumer groups that have subscribed to a topic or have offsets
// in it.
//
// Asked by: mqadmin topicList -c, and after a query for a message, to tell who has consumed it.
// Fields:   topic.
// Answers:  0 with remoting.GroupList.
func (b *Broker) groupsOfTopic(r *request) (*response, error) {
	topic := r.text("topic")
	if err := r.err(); err != nil {
		return nil, err
	}
	list := remoting.GroupList{Groups: []string{}}
	for name, g := range b.groups {
		if g.subscriptions[topic] != nil || slices.Contains(g.topicsWithOffsets(), topic) {
			list.Groups = append(list.Groups, name)
		}
	}
	slices.Sort(list.Groups)
	return jsonResponse(list)
}
