package devbroker

import "orderflow/internal/mq/remoting"

// GetKVListByNamespace (219) gives all values that PutKVConfig has kept in a namespace.
//
// Asked by: mqadmin, from the name server.
// Fields:   namespace.
// Answers:  0 with remoting.Table; 22 if there are none.
// Differs:  a namespace whose last value was deleted is not known any more.
func (b *Broker) kvList(r *request) (*response, error) {
	namespace := r.text("namespace")
	if err := r.err(); err != nil {
		return nil, err
	}
	table := remoting.Table{Values: map[string]string{}}
	for key, value := range b.values {
		if key.namespace == namespace {
			table.Values[key.key] = value
		}
	}
	if len(table.Values) == 0 {
		return nil, refuse(remoting.ResponseQueryNotFound, "No config item, Namespace: %s", namespace)
	}
	return jsonResponse(table)
}
