package devbroker

import "orderflow/internal/mq/remoting"

// GetKVConfig (101) gives a value that PutKVConfig has kept.
//
// Asked by: mqadmin updateTopic -o true, from the name server.
// Fields:   namespace, key.
// Answers:  0 with the field value; 22 if there is none.
func (b *Broker) getKV(r *request) (*response, error) {
	key := valueKey{r.text("namespace"), r.text("key")}
	if err := r.err(); err != nil {
		return nil, err
	}
	value, there := b.values[key]
	if !there {
		return nil, refuse(remoting.ResponseQueryNotFound, "No config item, Namespace: %s Key: %s", key.namespace, key.key)
	}
	return &response{ext: answerFields("value", value)}, nil
}
