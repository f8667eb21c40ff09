package devbroker

// SendBatchMessage (320) stores several messages in one queue, all or none.
//
// Asked by: the Go and the Java client.
// Fields:   those of SendMessageV2.
// Body:     the messages one behind the other, see remoting.ReadBatch.
// Answers:  as SendMessage; msgId has the ids of all, separated by commas; queueOffset is the first
//
//	one's. 1 if the body is not a batch, empty or too large; 13 if the batch asks for a delay.
func (b *Broker) sendBatchMessage(r *request) (*response, error) {
	s, err := r.parseSend(true)
	if err != nil {
		return nil, err
	}
	return b.sendBatch(r, s)
}
