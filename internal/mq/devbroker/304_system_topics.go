package devbroker

// GetSystemTopicListFromNs (304) lists the topics that a name server makes of the names of clusters and
// brokers, and the address of a broker to ask for the rest (305).
//
// Asked by: the Java admin client, from the name server.
// Answers:  0 with remoting.TopicList.
// Differs:  there are no topics of those names; nothing needs them.
func (b *Broker) systemTopics(*request) (*response, error) {
	list := topicList([]string{brokerName, clusterName})
	list.BrokerAddr = b.addr.String()
	return jsonResponse(list)
}
