package devbroker

import "orderflow/internal/mq/remoting"

// GetProducerConnectionList (204) lists the clients of a producer group.
//
// Asked by: mqadmin producerConnection; our Admin.
// Fields:   producerGroup; topic, which is not used, may lack.
// Answers:  0 with remoting.Connections; 1 "… not exist" if there are none.
func (b *Broker) producerConnections(r *request) (*response, error) {
	name := r.text("producerGroup")
	if err := r.err(); err != nil {
		return nil, err
	}
	if len(b.producers[name]) == 0 {
		return nil, refuse(remoting.ResponseSystemError, "the producer group[%s] not exist", name)
	}
	return jsonResponse(connections(b.producers[name]))
}
