package devbroker

// GetConsumerRunningInfo (307) asks a consumer for its state, and answers with what the client says.
//
// Asked by: mqadmin consumerStatus, consumerProgress -s and others.
// Fields:   consumerGroup, clientId; jstackEnable may lack.
// Answers:  what the client answers; 1 the client is not a member, or has gone; 207 it has not answered
//
//	within 10 seconds.
func (b *Broker) consumerRunningInfo(r *request) (*response, error) {
	name, clientID := r.text("consumerGroup"), r.text("clientId")
	if err := r.err(); err != nil {
		return nil, err
	}
	return b.relay(r, name, clientID, r.ext, r.cmd.Body)
}
