package devbroker

// LitePullMessage (361) is PullMessage of a consumer that pulls by itself.
//
// Asked by: the Java client's DefaultLitePullConsumer.
// Fields:   those of PullMessage; the filter comes with the pull.
// Answers:  as PullMessage.
func (b *Broker) litePullMessage(r *request) (*response, error) { return b.pullMessage(r) }
