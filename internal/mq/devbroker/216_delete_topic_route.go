package devbroker

// DeleteTopicInNamesrv (216) makes the name server forget a topic.
//
// Asked by: mqadmin deleteTopic and deleteSubGroup, beside 215; our Admin.
// Fields:   topic; clusterName may lack.
// Answers:  0.
// Differs:  nothing happens: the topic is known as long as the broker has it. The real broker would
//
//	tell the name server of it again within half a minute.
func (b *Broker) deleteTopicRoute(r *request) (*response, error) {
	r.text("topic")
	if err := r.err(); err != nil {
		return nil, err
	}
	return &response{}, nil
}
