package remoting

import (
	"reflect"
	"testing"
)

func TestConsumerStatus(t *testing.T) {
	t.Parallel()
	queue := func(id int) MessageQueue { return MessageQueue{Topic: "t", Broker: "b", ID: id} }
	for _, want := range []ConsumerStatus{
		{Queues: OffsetTable[int64]{}, Clients: map[string]OffsetTable[int64]{}},
		{Queues: OffsetTable[int64]{queue(0): 7}, Clients: map[string]OffsetTable[int64]{}},
		{
			Queues:  OffsetTable[int64]{},
			Clients: map[string]OffsetTable[int64]{"a@\"1": {queue(0): 7, queue(1): -1}, "b": {}, "c": {queue(0): 1 << 40}},
		},
	} {
		var got ConsumerStatus
		if err := DecodeBody(want.Encode(), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", want.Encode(), got, err, want)
		}
	}
	const text = `{"messageQueueTable":{},"consumerTable":{"c":{{"brokerName":"b","queueId":0,"topic":"t"}:7}}}`
	status := ConsumerStatus{Clients: map[string]OffsetTable[int64]{"c": {queue(0): 7}}}
	if got := string(status.Encode()); got != text {
		t.Errorf("%s, want %s", got, text)
	}
}
