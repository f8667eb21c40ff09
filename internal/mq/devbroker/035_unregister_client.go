package devbroker

// UnregisterClient (35) takes a client out of a producer group, a consumer group, or both.
//
// Asked by: the Java client when it stops. The Go client just closes its connection, which does the same.
// Fields:   clientID; producerGroup, consumerGroup may lack.
// Answers:  0. The other members of the consumer group are told (40).
func (b *Broker) unregisterClient(r *request) (*response, error) {
	id := r.text("clientID")
	if err := r.err(); err != nil {
		return nil, err
	}
	for _, client := range []clientKey{
		{r.optional("producerGroup"), id, true}, {r.optional("consumerGroup"), id, false},
	} {
		if client.group != "" {
			b.unregister(client, nil)
			delete(r.conn.clients, client)
		}
	}
	return &response{}, nil
}
