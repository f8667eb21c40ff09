package remoting

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a broker of RocketMQ 5.3.3 and the stock clients wrote.
const (
	javaTopicStats = `{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"order-events"}:` +
		`{"lastUpdateTimestamp":1795248606313,"maxOffset":14,"minOffset":0},` +
		`{"brokerName":"broker-a","queueId":2,"topic":"order-events"}:` +
		`{"lastUpdateTimestamp":1795248606174,"maxOffset":13,"minOffset":1}},"topicPutTps":0.5}`
	javaConsumeStats = `{"consumeTps":0.0,"offsetTable":{{"brokerName":"broker-a","queueId":3,"topic":"%RETRY%g"}:` +
		`{"brokerOffset":11,"consumerOffset":9,"lastTimestamp":1795248606187,"pullOffset":10}}}`
	goHeartbeat = `{"clientID":"10.0.0.1@p","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[{"groupName":"c",` +
		`"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET",` +
		`"subscriptionDataSet":[{"classFilterMode":false,"topic":"order-events","subString":"a || b","tagsSet":["a","b"],` +
		`"codeSet":["97","98"],"subVersion":1700000000123,"expressionType":"TAG"}],"unitMode":false}]}`
	javaHeartbeat = `{"clientID":"10.0.0.1@p","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET",` +
		`"consumeType":"CONSUME_ACTIVELY","groupName":"c","messageModel":"BROADCASTING","subscriptionDataSet":[` +
		`{"classFilterMode":false,"codeSet":[-97],"expressionType":"SQL92","subString":"a > 5","subVersion":1,"tagsSet":[],"topic":"t"}],` +
		`"unitMode":true}],"heartbeatFingerprint":-12,"producerDataSet":[],"withoutSub":true}`
)

func decode[T any](t *testing.T, body string) (value T) {
	t.Helper()
	if err := DecodeBody([]byte(body), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestTopicStats(t *testing.T) {
	want := TopicStats{Rate: 0.5, Queues: OffsetTable[TopicOffsets]{
		{Topic: "order-events", Broker: "broker-a", ID: 0}: {Max: 14, LastTime: 1795248606313},
		{Topic: "order-events", Broker: "broker-a", ID: 2}: {Max: 13, Min: 1, LastTime: 1795248606174},
	}}
	if diff := cmp.Diff(want, decode[TopicStats](t, javaTopicStats)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	const encoded = `{"topicPutTps":0.5,"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"order-events"}:` +
		`{"minOffset":0,"maxOffset":14,"lastUpdateTimestamp":1795248606313},` +
		`{"brokerName":"broker-a","queueId":2,"topic":"order-events"}:` +
		`{"minOffset":1,"maxOffset":13,"lastUpdateTimestamp":1795248606174}}}`
	if got := string(want.Encode()); got != encoded {
		t.Errorf("got  %s\nwant %s", got, encoded)
	}
}

func TestConsumeStats(t *testing.T) {
	want := ConsumeStats{Queues: OffsetTable[ConsumeOffsets]{
		{Topic: "%RETRY%g", Broker: "broker-a", ID: 3}: {Broker: 11, Consumer: 9, Pull: 10, LastTime: 1795248606187},
	}}
	got := decode[ConsumeStats](t, javaConsumeStats)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(got, decode[ConsumeStats](t, string(got.Encode()))); diff != "" {
		t.Errorf("encoded: -want +got:\n%s", diff)
	}
	if got, want := string(ConsumeStats{Rate: math.NaN()}.Encode()), `{"consumeTps":null,"offsetTable":{}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestResetOffsets(t *testing.T) {
	want := ResetOffsets{Queues: OffsetTable[int64]{
		{Topic: "t", Broker: `b"{0:`, ID: 0}: 7, {Topic: "t", Broker: "b", ID: 1}: -1,
	}}
	const encoded = `{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"t"}:-1,{"brokerName":"b\"{0:","queueId":0,"topic":"t"}:7}}`
	if got := string(want.Encode()); got != encoded {
		t.Errorf("got  %s\nwant %s", got, encoded)
	}
	if diff := cmp.Diff(want, decode[ResetOffsets](t, encoded)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestHeartbeat(t *testing.T) {
	subscription := Subscription{
		Topic: "order-events", Expression: "a || b", Tags: []string{"a", "b"}, TagHashes: TagHashes{97, 98},
		Version: 1700000000123, ExpressionType: ExpressionTag,
	}
	want := Heartbeat{
		ClientID: "10.0.0.1@p", Producers: []ProducerGroup{{Name: "p"}},
		Consumers: []ConsumerGroup{{
			Name: "c", ConsumeType: ConsumePassively, MessageModel: ModelClustering, ConsumeFrom: ConsumeFromFirst,
			Subscriptions: []Subscription{subscription},
		}},
	}
	if diff := cmp.Diff(want, decode[Heartbeat](t, goHeartbeat)); diff != "" {
		t.Errorf("Go: -want +got:\n%s", diff)
	}
	subscription = Subscription{
		Topic: "t", Expression: "a > 5", Tags: []string{}, TagHashes: TagHashes{-97}, Version: 1, ExpressionType: ExpressionSQL,
	}
	want = Heartbeat{
		ClientID: "10.0.0.1@p", Producers: []ProducerGroup{}, Fingerprint: -12, WithoutSubscriptions: true,
		Consumers: []ConsumerGroup{{
			Name: "c", ConsumeType: ConsumeActively, MessageModel: ModelBroadcasting, ConsumeFrom: ConsumeFromLast,
			Subscriptions: []Subscription{subscription}, UnitMode: true,
		}},
	}
	if diff := cmp.Diff(want, decode[Heartbeat](t, javaHeartbeat)); diff != "" {
		t.Errorf("Java: -want +got:\n%s", diff)
	}
}

func TestConsumerConnections(t *testing.T) {
	encoded, err := json.Marshal(ConsumerConnections{
		Connections: Connections{Set: []Connection{{ClientID: "c", Addr: "h:1", Language: "GO", Version: 317}}},
		ConsumeType: ConsumePassively, MessageModel: ModelClustering, ConsumeFrom: ConsumeFromLast,
		Subscriptions: map[string]Subscription{"t": {Topic: "t", Expression: "*"}},
	})
	// Java takes "null" for a set that is not there, and falls over it.
	const want = `{"connectionSet":[{"clientId":"c","clientAddr":"h:1","language":"GO","version":317}],"subscriptionTable":{"t":` +
		`{"classFilterMode":false,"topic":"t","subString":"*","subVersion":0,"expressionType":""}},"consumeType":"CONSUME_PASSIVELY",` +
		`"messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET"}`
	if err != nil || string(encoded) != want {
		t.Errorf("got  %s\nwant %s, %v", encoded, want, err)
	}
}

func TestDecodeObjectKeys(t *testing.T) {
	type table = map[string]map[string]int
	for body, want := range map[string]table{
		`{"t":{{"a":{"b":[1,"}"]}}:1 , {}:2}}`: {"t": {`{"a":{"b":[1,"}"]}}`: 1, `{}`: 2}},
		`{"t":{{{1:2}:3}:4}}`:                  {"t": {`{{1:2}:3}`: 4}},
		`{ "t" : { 1:2 } , "u":{"{":3}}`:       {"t": {"1": 2}, "u": {"{": 3}},
	} {
		if diff := cmp.Diff(want, decode[table](t, body)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", body, diff)
		}
	}
	// Commas of arrays come before values.
	if got := decode[[]map[string]int](t, `[{"a":1},{2:3},{}]`); len(got) != 3 || got[1]["2"] != 3 {
		t.Errorf("%v", got)
	}
	deep := strings.Repeat("{", 1<<20) // must not be searched for its end again and again
	for _, bad := range []string{`{{}}`, `{{}`, `{{"a}:1}`, `{1}`, `{{}:}`, `{"t":{"a":1,{}}}`, `}{{}:1}`, deep, deep + strings.Repeat("}", 1<<20)} {
		var into any
		if err := DecodeBody([]byte(bad), &into); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20q: err = %v, want ErrMalformed", bad, err)
		}
	}
	var stats TopicStats
	for _, bad := range []string{`{"offsetTable":{"a":{}}}`, `{"offsetTable":{1:{}}}`, `{"offsetTable":{{"queueId":"x"}:{}}}`, `{"offsetTable":[]}`} {
		if err := DecodeBody([]byte(bad), &stats); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: err = %v, want ErrMalformed", bad, err)
		}
	}
	var heartbeat Heartbeat
	const bad = `{"consumerDataSet":[{"subscriptionDataSet":[{"codeSet":["x"]}]}]}`
	if err := DecodeBody([]byte(bad), &heartbeat); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "codeSet") {
		t.Errorf("err = %v, want ErrMalformed and the field", err)
	}
}

// reencode checks that what is read of a body is the same after it was written
// and read again.
func reencode[T any](t *testing.T, body []byte, encode func(T) ([]byte, error)) {
	t.Helper()
	var first, second T
	if err := DecodeBody(body, &first); err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("error without a type: %v", err)
		}
		return
	}
	encoded, err := encode(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := DecodeBody(encoded, &second); err != nil {
		t.Fatalf("%v: %s", err, encoded)
	}
	// Empty and missing are the same to everybody.
	again, err := encode(second)
	if err != nil || string(again) != string(encoded) {
		t.Errorf("%s became %s, %v", encoded, again, err)
	}
}

func marshal[T any](value T) ([]byte, error) { return json.Marshal(value) }

func FuzzDecodeHeartbeat(f *testing.F) {
	f.Add([]byte(goHeartbeat))
	f.Add([]byte(javaHeartbeat))
	f.Fuzz(func(t *testing.T, data []byte) { reencode(t, data, marshal[Heartbeat]) })
}

func FuzzDecodeOffsets(f *testing.F) {
	f.Add([]byte(javaConsumeStats))
	f.Add([]byte(javaTopicStats))
	f.Add([]byte(`{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"t"}:-1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reencode(t, data, func(s ConsumeStats) ([]byte, error) { return s.Encode(), nil })
		reencode(t, data, func(s TopicStats) ([]byte, error) { return s.Encode(), nil })
		reencode(t, data, func(r ResetOffsets) ([]byte, error) { return r.Encode(), nil })
	})
}

func FuzzDecodeLocks(f *testing.F) {
	f.Add([]byte(`{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"t","brokerName":"b","queueId":0}]}`))
	f.Add([]byte(`{"lockOKMQSet":[{"brokerName":"b","queueId":0,"topic":"t"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reencode(t, data, marshal[LockRequest])
		reencode(t, data, marshal[LockResult])
	})
}
