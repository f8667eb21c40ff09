package mq

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/google/go-cmp/cmp"

	"orderflow/internal/mq/message"
)

func TestMessageThereAndBack(t *testing.T) {
	want := message.Message{
		Topic: "topic", Tag: "created", Keys: []string{"a", "b"}, Body: []byte("body"),
		Properties: map[string]string{"traceparent": "00-1", "barrier": "x y=z"},
		ID:         "id", Attempt: 3, BornAt: time.UnixMilli(1000), StoredAt: time.UnixMilli(2000),
	}
	out, err := outgoing(want)
	if err != nil {
		t.Fatal(err)
	}
	back := &primitive.MessageExt{ReconsumeTimes: 2, BornTimestamp: 1000, StoreTimestamp: 2000, MsgId: "other"}
	back.Topic, back.Body = out.Topic, out.Body
	back.WithProperties(out.GetProperties())
	back.WithProperty(primitive.PropertyUniqueClientMessageIdKeyIndex, "id")
	for _, key := range []string{"TRAN_MSG", "PGROUP", "DELAY", "CONSUME_START_TIME", "__transactionId__"} {
		back.WithProperty(key, "1") // what broker and library add
	}
	if diff := cmp.Diff(want, incoming(back)); diff != "" {
		t.Error(diff)
	}
	if _, err := outgoing(incoming(back)); err != nil {
		t.Errorf("a received message cannot be sent on: %v", err)
	}
	back.RemoveProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)
	if got := incoming(back); got.ID != "other" {
		t.Errorf("id %q", got.ID)
	}
}

func TestWhereTheBrokerHasAMessageFrom(t *testing.T) {
	for name, test := range map[string]struct {
		properties map[string]string
		want       message.Origin
	}{
		"sent":                   {nil, message.Origin{}},
		"committed":              {map[string]string{"PGROUP": "p", "TRAN_MSG": "true"}, message.Origin{}},
		"redelivered":            {map[string]string{"RETRY_TOPIC": "t"}, message.Origin{Topic: "t"}},
		"dead, of a transaction": {map[string]string{"RETRY_TOPIC": "t", "PGROUP": "p"}, message.Origin{Topic: "t"}},
		"half":                   {map[string]string{"REAL_TOPIC": "t", "REAL_QID": "1", "PGROUP": "p"}, message.Origin{Topic: "t", ProducerGroup: "p"}},
		"half, sent back":        {map[string]string{"RETRY_TOPIC": "aside", "REAL_TOPIC": "t", "PGROUP": "p"}, message.Origin{Topic: "t", ProducerGroup: "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			msg := &primitive.MessageExt{}
			msg.Topic = "x"
			msg.WithProperties(test.properties)
			if got := incoming(msg); got.Origin != test.want || len(got.Properties) != 0 {
				t.Errorf("got %+v with %v, want %+v", got.Origin, got.Properties, test.want)
			}
		})
	}
}

func TestMessageIsMadeAnewForEverySend(t *testing.T) {
	m := message.Message{Topic: "topic", Body: []byte("b"), Properties: map[string]string{"a": "1"}}
	first, err := outgoing(m)
	if err != nil {
		t.Fatal(err)
	}
	first.WithProperty(primitive.PropertyUniqueClientMessageIdKeyIndex, "id")
	second, err := outgoing(m)
	if err != nil || second == first || second.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex) != "" {
		t.Errorf("the second send has the id of the first; %v", err)
	}
	if !maps.Equal(m.Properties, map[string]string{"a": "1"}) {
		t.Errorf("the caller's map has changed: %v", m.Properties)
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	good := message.Message{Topic: "topic", Tag: "t", Keys: []string{"k"}, Body: []byte("b")}
	with := func(change func(*message.Message)) message.Message { m := good; change(&m); return m }
	property := func(key, value string) message.Message {
		return with(func(m *message.Message) { m.Properties = map[string]string{key: value} })
	}
	for name, m := range map[string]message.Message{
		"no topic":            with(func(m *message.Message) { m.Topic = "" }),
		"no body":             with(func(m *message.Message) { m.Body = nil }),
		"empty value":         property("a", ""),
		"empty name":          property("", "a"),
		"value with \\x01":    property("a", "b\x01c"),
		"value with \\x02":    property("a", "b\x02c"),
		"name with \\x01":     property("a\x01", "b"),
		"tag with \\x02":      with(func(m *message.Message) { m.Tag = "t\x02DELAY\x013" }),
		"key with \\x02":      with(func(m *message.Message) { m.Keys = []string{"k\x02DELAY\x013"} }),
		"key that is two":     with(func(m *message.Message) { m.Keys = []string{"k l"} }),
		"empty key":           with(func(m *message.Message) { m.Keys = []string{"k", ""} }),
		"the warm-up's mark":  property(propertyWarmUp, "true"),
		"no wait for storing": property("WAIT", "false"),
		"used up checks":      property("TRANSACTION_CHECK_TIMES", "15"),
		"library's property":  property("__transactionId__", "1"),
	} {
		if _, err := outgoing(m); !errors.Is(err, message.ErrNotSent) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
	if _, err := outgoing(good); err != nil {
		t.Errorf("a good message: %v", err)
	}
}

// T27: whatever a caller puts into a message, nothing that delays it gets on a
// half message.
func TestT27NoDelayOnAHalfMessage(t *testing.T) {
	for _, key := range []string{
		"DELAY", "TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_DELAY_SEC", "TIMER_DELAY_LEVEL",
		"TIMER_OUT_MS", "__STARTDELIVERTIME", "TRAN_MSG", "PGROUP", "CHECK_IMMUNITY_TIME_IN_SECONDS",
		"UNIQ_KEY", "KEYS", "TAGS", "REAL_TOPIC", "REAL_QID", "RETRY_TOPIC",
	} {
		m := half()
		m.Properties = map[string]string{key: "3"}
		c, _ := quiet()
		p := transactionsOf(c, forbidden(t), &fakeTransactions{}) // a send would be a nil call
		state, err := p.SendInTransaction(t.Context(), m, nil)
		if state != message.StateRollback || !errors.Is(err, message.ErrNotSent) || !strings.Contains(err.Error(), "belongs to the broker") {
			t.Errorf("%s: %v, %v", key, state, err)
		}
	}
	out, err := outgoing(half())
	if err != nil {
		t.Fatal(err)
	}
	for key := range out.GetProperties() {
		if strings.Contains(key, "DELAY") || strings.Contains(key, "TIMER") {
			t.Errorf("a half message has the property %s", key)
		}
	}
}

func TestCheckOfSends(t *testing.T) {
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		result *primitive.SendResult
		err    error
		ok     bool
	}{
		"ok":        {&primitive.SendResult{Status: primitive.SendOK}, nil, true},
		"flush":     {&primitive.SendResult{Status: primitive.SendFlushDiskTimeout}, nil, false},
		"slave":     {&primitive.SendResult{Status: primitive.SendSlaveNotAvailable}, nil, false},
		"error":     {nil, failed, false},
		"no result": {nil, nil, false},
	} {
		err := check(test.result, test.err)
		if (err == nil) != test.ok || err != nil && (!errors.Is(err, message.ErrUnavailable) || errors.Is(err, message.ErrNotSent)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
