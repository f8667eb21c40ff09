package devbroker

import (
	"strings"

	"orderflow/internal/mq/remoting"
)

// Bounds of what a name server keeps for its clients.
const (
	maxValues      = 10_000
	maxValueLength = 16 << 10 // of namespace, key and value together
)

// valueKey names a value that the name server keeps.
type valueKey struct{ namespace, key string }

// PutKVConfig (100) keeps a value for clients, by namespace and key.
//
// Asked by: mqadmin updateTopic -o true and updateKvConfig, from the name server.
// Fields:   namespace, key, value; without a value there is none afterwards.
// Answers:  0; 1 namespace or key missing, or too much.
// Differs:  the values stay as long as the process, also over a Restart, but not in the data folder. An
//
//	order of queues that is kept this way does not appear in routes, as by default with the real one.
func (b *Broker) putKV(r *request) (*response, error) {
	key, value := valueKey{r.text("namespace"), r.text("key")}, r.optional("value")
	if err := r.err(); err != nil {
		return nil, err
	}
	if value == "" {
		delete(b.values, key)
		return &response{}, nil
	}
	_, there := b.values[key]
	if length := len(key.namespace) + len(key.key) + len(value); length > maxValueLength || !there && len(b.values) >= maxValues {
		return nil, refuse(remoting.ResponseSystemError, "a value of %d bytes beside %d others; %d and %d are kept",
			length, len(b.values), maxValueLength, maxValues)
	}
	// The fields share the memory of their whole header.
	key = valueKey{strings.Clone(key.namespace), strings.Clone(key.key)}
	b.values[key] = strings.Clone(value)
	return &response{}, nil
}
