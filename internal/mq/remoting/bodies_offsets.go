package remoting

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// MessageQueue names a queue.
type MessageQueue struct {
	Broker string `json:"brokerName"`
	ID     int    `json:"queueId"`
	Topic  string `json:"topic"`
}

// compare orders queues by topic, broker and number.
func (q MessageQueue) compare(other MessageQueue) int {
	return cmp.Or(cmp.Compare(q.Topic, other.Topic), cmp.Compare(q.Broker, other.Broker), cmp.Compare(q.ID, other.ID))
}

// OffsetTable says something about each queue. The Java peers write it as an
// object whose keys are objects, {{"queueId":0}:{"maxOffset":7}}, which is not
// JSON: DecodeBody understands it, and types with such a table have a method to
// encode it.
type OffsetTable[V any] map[MessageQueue]V

// UnmarshalJSON parses what DecodeBody makes of the table: keys are strings with
// JSON in them.
func (t *OffsetTable[V]) UnmarshalJSON(data []byte) error {
	var values map[string]V
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	*t = make(OffsetTable[V], len(values))
	for key, value := range values {
		var queue MessageQueue
		if err := json.Unmarshal([]byte(key), &queue); err != nil {
			return fmt.Errorf("queue %.100q: %w", key, err)
		}
		(*t)[queue] = value
	}
	return nil
}

// append appends the table as Java peers write it, in the order of the queues.
func (t OffsetTable[V]) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, queue := range slices.SortedFunc(maps.Keys(t), MessageQueue.compare) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, queue)
		dst = append(dst, ':')
		dst = appendJSON(dst, t[queue])
	}
	return append(dst, '}')
}

// appendJSON appends a value. A number that has no JSON form is null, as the Java
// peers write it.
func appendJSON(dst []byte, value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		return append(dst, "null"...)
	}
	return append(dst, encoded...)
}

// ConsumeStats is the answer to RequestGetConsumeStats: how far a group is.
type ConsumeStats struct {
	Rate   float64                     `json:"consumeTps"` // messages per second
	Queues OffsetTable[ConsumeOffsets] `json:"offsetTable"`
}

// ConsumeOffsets is how far a group is in a queue.
type ConsumeOffsets struct {
	Broker   int64 `json:"brokerOffset"`   // what the next message will get
	Consumer int64 `json:"consumerOffset"` // the first one not acknowledged
	Pull     int64 `json:"pullOffset"`     // the first one not yet fetched
	LastTime int64 `json:"lastTimestamp"`  // when the last acknowledged one was stored, ms since 1970
}

// Encode makes a body that Java clients read.
func (s ConsumeStats) Encode() []byte {
	dst := appendJSON([]byte(`{"consumeTps":`), s.Rate)
	return append(s.Queues.append(append(dst, `,"offsetTable":`...)), '}')
}

// TopicStats is the answer to RequestGetTopicStats.
type TopicStats struct {
	Rate   float64                   `json:"topicPutTps"` // messages per second
	Queues OffsetTable[TopicOffsets] `json:"offsetTable"`
}

// TopicOffsets are the ends of a queue.
type TopicOffsets struct {
	Min      int64 `json:"minOffset"`           // the first message's
	Max      int64 `json:"maxOffset"`           // what the next message will get
	LastTime int64 `json:"lastUpdateTimestamp"` // when the last one was stored, ms since 1970
}

// Encode makes a body that Java clients read.
func (s TopicStats) Encode() []byte {
	dst := appendJSON([]byte(`{"topicPutTps":`), s.Rate)
	return append(s.Queues.append(append(dst, `,"offsetTable":`...)), '}')
}

// ResetOffsets is the body of RequestResetOffset and the answer to
// RequestInvokeResetOffset: where a group starts in each queue.
type ResetOffsets struct {
	Queues OffsetTable[int64] `json:"offsetTable"`
}

// Encode makes a body that Java clients and the stock Go client read. The latter
// cannot read an empty table.
func (r ResetOffsets) Encode() []byte {
	return append(r.Queues.append([]byte(`{"offsetTable":`)), '}')
}
