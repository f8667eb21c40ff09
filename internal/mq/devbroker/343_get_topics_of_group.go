package devbroker

// QueryTopicsByConsumer (343) lists the topics in which a consumer group has offsets.
//
// Asked by: the Java admin client.
// Fields:   group.
// Answers:  0 with remoting.TopicList.
func (b *Broker) topicsOfGroup(r *request) (*response, error) {
	name := r.text("group")
	if err := r.err(); err != nil {
		return nil, err
	}
	list := topicList(b.groups[name].topicsWithOffsets())
	list.BrokerAddr = b.addr.String()
	return jsonResponse(list)
}
