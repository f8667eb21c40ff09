package devbroker_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"orderflow/internal/mq/remoting"
)

// fieldCase is a request that succeeds, and what its fields may be.
type fieldCase struct {
	code     int
	fields   map[string]string
	body     string
	required []string          // without it the request is refused
	numbers  map[string][2]int // the code when it is the least and the most of 64 bits
}

// Shorthands for the columns of the table.
const (
	fine  = remoting.ResponseSuccess
	wrong = remoting.ResponseSystemError
	bad   = remoting.ResponseInvalidParameter
	none  = remoting.ResponseQueryNotFound
)

func fieldCases() []fieldCase {
	queue := ext("topic", "orders", "queueId", 0)
	query := ext("topic", "orders", "key", "k", "maxNum", 5, "beginTimestamp", 0, "endTimestamp", math.MaxInt64)
	reset := but(resetting("readers", "orders", 0), "queueId", 0, "offset", 0)
	topic, group, both := ext("topic", "orders"), ext("consumerGroup", "readers"), ext("group", "readers", "topic", "orders")
	value := ext("namespace", "n", "key", "k")
	return []fieldCase{
		{remoting.RequestQueryMessage, query, "", []string{"topic", "key"}, map[string][2]int{
			"maxNum": {wrong, wrong}, "beginTimestamp": {fine, none}, "endTimestamp": {none, fine}}},
		{remoting.RequestUpdateTopic, topicFields("orders", 4), "", []string{"topicFilterType", "perm"}, map[string][2]int{
			"readQueueNums": {wrong, wrong}, "writeQueueNums": {wrong, wrong}, "perm": {wrong, wrong}}},
		{remoting.RequestGetMaxOffset, queue, "", []string{"topic"}, map[string][2]int{"queueId": {wrong, wrong}}},
		{remoting.RequestGetMinOffset, queue, "", []string{"topic"}, map[string][2]int{"queueId": {wrong, wrong}}},
		{remoting.RequestGetEarliestStoreTime, queue, "", []string{"topic"}, map[string][2]int{"queueId": {wrong, wrong}}},
		{remoting.RequestSearchOffset, but(queue, "timestamp", 0), "", []string{"topic"}, map[string][2]int{
			"queueId": {wrong, wrong}, "timestamp": {fine, fine}}},
		{remoting.RequestViewMessage, ext("offset", 0), "", nil, map[string][2]int{"offset": {wrong, wrong}}},
		{remoting.RequestPutKV, but(value, "value", "v"), "", []string{"namespace", "key"}, nil},
		{remoting.RequestGetKV, value, "", []string{"namespace", "key"}, nil},
		{remoting.RequestGetKVList, ext("namespace", "n"), "", []string{"namespace"}, nil},
		{remoting.RequestDeleteKV, value, "", []string{"namespace", "key"}, nil},
		{remoting.RequestGetRoute, topic, "", []string{"topic"}, nil},
		{remoting.RequestUpdateGroup, nil, `{"groupName":"readers"}`, nil, nil},
		{remoting.RequestGetTopicStats, topic, "", []string{"topic"}, nil},
		{remoting.RequestConsumerConnections, group, "", []string{"consumerGroup"}, nil},
		{remoting.RequestProducerConnections, ext("producerGroup", "writers"), "", []string{"producerGroup"}, nil},
		{remoting.RequestGetConsumeStats, group, "", []string{"consumerGroup"}, nil},
		{remoting.RequestDeleteTopicRoute, topic, "", []string{"topic"}, nil},
		{remoting.RequestInvokeResetOffset, reset, "", []string{"group", "topic"}, map[string][2]int{
			"timestamp": {fine, fine}, "queueId": {fine, bad}, "offset": {wrong, wrong}}},
		{remoting.RequestGetTopicsOfCluster, ext("cluster", "c"), "", []string{"cluster"}, nil},
		{remoting.RequestGetGroupsOfTopic, topic, "", []string{"topic"}, nil},
		{remoting.RequestGetConsumeTimeSpan, both, "", []string{"group", "topic"}, nil},
		{remoting.RequestCloneOffsets, ext("srcGroup", "readers", "destGroup", "other"), "", []string{"srcGroup", "destGroup"}, nil},
		{remoting.RequestGetTopicsOfGroup, ext("group", "readers"), "", []string{"group"}, nil},
		{remoting.RequestGetSubscription, both, "", []string{"group", "topic"}, nil},
		{remoting.RequestGetTopicConfig, topic, "", []string{"topic"}, nil},
		{remoting.RequestGetGroupConfig, ext("group", "readers"), "", []string{"group"}, nil},
		{remoting.RequestDeleteGroup, ext("groupName", "nobody"), "", []string{"groupName"}, nil},
	}
}

func TestFieldsThatAreMissingOrNoNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range fieldCases() {
		t.Run(fmt.Sprint(c.code), func(t *testing.T) {
			t.Parallel()
			b, _ := startManual(t)
			p := dial(t, b)
			p.call(remoting.RequestUpdateTopic, topicFields("orders", 1), nil)
			p.store("orders", "x", "KEYS", "k")
			p.joins("c", "readers", "orders")
			p.call(remoting.RequestPutKV, ext("namespace", "n", "key", "k", "value", "v"), nil)
			p.call(remoting.RequestHeartbeat, nil, []byte(`{"clientID":"w","producerDataSet":[{"groupName":"writers"}]}`))
			p.call(c.code, c.fields, []byte(c.body))

			for _, name := range slices.Concat(c.required, slices.Collect(maps.Keys(c.numbers))) {
				if c.code == remoting.RequestInvokeResetOffset && (name == "queueId" || name == "offset") {
					continue // may be missing
				}
				p.refused(wrong, c.code, but(c.fields, name, ""), []byte(c.body))
			}
			for name, codes := range c.numbers {
				for _, text := range []string{"x", "1.5", "1e3", "0x1", " 1", "9223372036854775808", "-9223372036854775809"} {
					p.refused(wrong, c.code, but(c.fields, name, text), []byte(c.body))
				}
				p.refused(codes[0], c.code, but(c.fields, name, math.MinInt64), []byte(c.body))
				p.refused(codes[1], c.code, but(c.fields, name, math.MaxInt64), []byte(c.body))
			}
		})
	}
}

// Every code that is served answers a request that says nothing.
func TestRequestsThatSayNothing(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for code := range 1000 {
		for _, body := range []string{"", "null", "{}", "[]", "7", `"x"`, "{", "\x00\xff"} {
			if code == remoting.RequestEndTransaction {
				continue // "not known" is not answered
			}
			answer := p.try(code, nil, []byte(body))
			if answer.Code == remoting.ResponseSystemError && answer.Remark == "" {
				t.Errorf("%d with %q is refused without a reason", code, body)
			}
		}
	}
	p.quiet()
}
