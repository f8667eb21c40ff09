package remoting

import (
	"maps"
	"slices"
)

// ConsumerStatus says where clients of a group are in the queues of a topic.
type ConsumerStatus struct {
	// Queues is the answer of one client to RequestConsumerStatus.
	Queues OffsetTable[int64] `json:"messageQueueTable"`
	// Clients is the answer to RequestInvokeConsumerStatus, by client id.
	Clients map[string]OffsetTable[int64] `json:"consumerTable"`
}

// Encode makes a body that Java clients read.
func (s ConsumerStatus) Encode() []byte {
	dst := s.Queues.append([]byte(`{"messageQueueTable":`))
	dst = append(dst, `,"consumerTable":{`...)
	for i, id := range slices.Sorted(maps.Keys(s.Clients)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSON(dst, id), ':')
		dst = s.Clients[id].append(dst)
	}
	return append(dst, "}}"...)
}
