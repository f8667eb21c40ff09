package devbroker_test

import (
	"maps"
	"testing"
	"time"

	"orderflow/internal/mq/remoting"
)

// resetting are the fields of a reset of all queues.
func resetting(group, topic string, at int64) map[string]string {
	return ext("group", group, "topic", topic, "timestamp", at, "isForce", "true")
}

// offsetsOf takes the answer to a reset apart: offsets by queue.
func offsetsOf(t *testing.T, answer remoting.Command) map[int]int64 {
	t.Helper()
	var body remoting.ResetOffsets
	if err := remoting.DecodeBody(answer.Body, &body); err != nil {
		t.Fatal(err)
	}
	offsets := map[int]int64{}
	for queue, offset := range body.Queues {
		offsets[queue.ID] = offset
	}
	return offsets
}

func TestOffsetsAreReset(t *testing.T) {
	t.Parallel()
	b, manual := startManual(t)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, topicFields("orders", 2), nil)
	p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"readers"}`))
	for range 3 {
		p.store("orders", "x")
		manual.Advance(time.Second)
	}
	at := start().Add(time.Second).UnixMilli()
	for _, c := range []struct {
		what  string
		pairs []any
		want  map[int]int64
	}{
		{"a time", nil, map[int]int64{0: 1, 1: 0}},
		{"between", []any{"timestamp", at + 1}, map[int]int64{0: 2, 1: 0}},
		{"the beginning", []any{"timestamp", 0}, map[int]int64{0: 0, 1: 0}},
		{"the end", []any{"timestamp", -1}, map[int]int64{0: 3, 1: 0}},
		{"the future", []any{"timestamp", at * 2}, map[int]int64{0: 3, 1: 0}},
		{"a queue by time", []any{"queueId", 0}, map[int]int64{0: 1}},
		{"a queue by time, explicitly", []any{"queueId", 0, "offset", -1}, map[int]int64{0: 1}},
		{"a queue by offset", []any{"queueId", 0, "offset", 2}, map[int]int64{0: 2}},
		{"one behind the end", []any{"queueId", 0, "offset", 4}, map[int]int64{0: 4}},
		{"an offset of all queues", []any{"offset", 2}, map[int]int64{0: 1, 1: 0}}, // goes by the time
		{"without force", []any{"isForce", "false"}, map[int]int64{0: 1, 1: 0}},
	} {
		answer := p.call(remoting.RequestInvokeResetOffset, but(resetting("readers", "orders", at), c.pairs...), nil)
		if got := offsetsOf(t, answer); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	for _, c := range []struct {
		pairs  []any
		code   int
		remark string
	}{
		{[]any{"topic", "nothing"}, remoting.ResponseTopicNotExist, "nothing"},
		{[]any{"group", "nobody"}, remoting.ResponseGroupNotExist, "nobody"},
		{[]any{"queueId", 2}, remoting.ResponseInvalidParameter, "queueId"},
		{[]any{"queueId", 0, "offset", 5}, remoting.ResponseSystemError, "Target offset 5 not in consume queue range [0-3]"},
		{[]any{"queueId", 0, "offset", -2}, remoting.ResponseSystemError, "Target offset -2"},
	} {
		answer := p.try(remoting.RequestInvokeResetOffset, but(resetting("readers", "orders", at), c.pairs...), nil)
		answersWith(t, "reset", answer, c.code, c.remark)
	}
	p.call(remoting.RequestUpdateTopic, topicFields("empty", 0), nil)
	answersWith(t, "no queues", p.try(remoting.RequestInvokeResetOffset, resetting("readers", "empty", 0), nil),
		remoting.ResponseSystemError, "No queues")
}

func TestAGroupLearnsOfAResetByItsNextPull(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p, admin := dial(t, b), dial(t, b)
	p.call(remoting.RequestUpdateTopic, topicFields("orders", 1), nil)
	for range 3 {
		p.store("orders", "x")
	}
	p.commits("readers", "orders", 0, 3)
	p.joins("c", "readers", "orders")
	p.next(remoting.RequestNotifyConsumers)
	consumed := ext("consumerGroup", "readers", "topic", "orders", "queueId", 0)
	held := p.ask(remoting.RequestPullMessage, waiting(pulling("readers", "orders", 0, 3), time.Hour), nil)
	others := dial(t, b)
	othersHeld := others.ask(remoting.RequestPullMessage, waiting(pulling("others", "orders", 0, 3), time.Hour), nil)
	eventually(t, "the pulls to be held", func() bool { return heldPulls(b.Inspect(), "orders") == 2 })

	admin.call(remoting.RequestInvokeResetOffset, resetting("readers", "orders", 0), nil)
	for _, answer := range []remoting.Command{p.await(held), others.await(othersHeld)} {
		if answer.Code != remoting.ResponsePullNotFound {
			t.Errorf("a pull that was held: code %d (%s)", answer.Code, answer.Remark)
		}
	}
	// What the consumer has under way cannot undo the reset.
	p.commits("readers", "orders", 0, 3)
	if got := p.field("offset", remoting.RequestQueryConsumerOffset, consumed); got != "0" {
		t.Errorf("the group's offset is %s", got)
	}
	moved := p.try(remoting.RequestPullMessage, pulling("readers", "orders", 0, 3), nil)
	if moved.Code != remoting.ResponsePullOffsetMoved || moved.Ext["nextBeginOffset"] != "0" {
		t.Errorf("the next pull: code %d, %v", moved.Code, moved.Ext)
	}
	p.call(remoting.RequestPullMessage, pulling("readers", "orders", 0, 0), nil)
	p.commits("readers", "orders", 0, 2)
	if got := p.field("offset", remoting.RequestQueryConsumerOffset, consumed); got != "2" {
		t.Errorf("after the next pull the group's offset is %s", got)
	}
	if answer := others.try(remoting.RequestPullMessage, pulling("others", "orders", 0, 3), nil); answer.Code != remoting.ResponsePullNotFound {
		t.Errorf("another group: code %d", answer.Code)
	}
	p.quiet() // no client is told
}
