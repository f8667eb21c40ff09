package devbroker

// GetTopicsByCluster (224) lists the names of a cluster's topics.
//
// Asked by: mqadmin topicList -c, from the name server.
// Fields:   cluster.
// Answers:  0 with remoting.TopicList, which is empty for a cluster that there is not.
func (b *Broker) topicsOfCluster(r *request) (*response, error) {
	cluster := r.text("cluster")
	if err := r.err(); err != nil {
		return nil, err
	}
	if cluster != clusterName {
		return jsonResponse(topicList(nil))
	}
	return b.allTopics(r)
}
