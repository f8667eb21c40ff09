package devbroker_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// found are the bodies of the messages in an answer.
func found(t *testing.T, answer remoting.Command) []string {
	t.Helper()
	texts := []string{}
	for _, m := range messages(t, answer) {
		texts = append(texts, string(m.Body))
	}
	return texts
}

func TestMessagesAreFoundByTheirKeys(t *testing.T) {
	t.Parallel()
	b, manual := startManual(t)
	p := dial(t, b)
	send := func(topic, body, keys, unique, queue string) remoting.Command {
		fields := but(sending(topic, "KEYS", keys, "UNIQ_KEY", unique), "queueId", queue)
		answer := p.call(remoting.RequestSendMessage, fields, []byte(body))
		manual.Advance(time.Second)
		return answer
	}
	send("orders", "a", "k1 common", "U1", "0")
	send("orders", "b", "k2  common", "U2", "1")
	send("orders", "c", "k3 common ", "U3", "0")
	send("orders", "k1", "kk1 k11", "U4", "0") // has the text, but not as a key
	send("other", "d", "common k1", "U1", "0")
	at := func(second int) int64 { return start().Add(time.Duration(second) * time.Second).UnixMilli() }
	for _, c := range []struct {
		what  string
		pairs []any
		want  []string
	}{
		{"a key", []any{"key", "k2"}, []string{"b"}},
		{"a key of all", []any{"key", "common"}, []string{"a", "b", "c"}},
		{"the newest", []any{"key", "common", "maxNum", 2}, []string{"b", "c"}},
		{"none wanted", []any{"key", "common", "maxNum", 0}, nil},
		{"more than there are", []any{"key", "common", "maxNum", 1 << 30}, []string{"a", "b", "c"}},
		{"only as a key", []any{"key", "k1"}, []string{"a"}},
		{"part of a key", []any{"key", "k"}, nil},
		{"two keys", []any{"key", "k1 common"}, nil},
		{"unique key", []any{"key", "U1"}, []string{"a"}},
		{"unique key asked for as such", []any{"key", "U1", "_UNIQUE_KEY_QUERY", "true", "maxNum", 0}, []string{"a"}},
		{"from its time on", []any{"key", "common", "beginTimestamp", at(1)}, []string{"b", "c"}},
		{"from later on", []any{"key", "common", "beginTimestamp", at(1) + 1}, []string{"c"}},
		{"until its time", []any{"key", "common", "endTimestamp", at(1)}, []string{"a", "b"}},
		{"until before", []any{"key", "common", "endTimestamp", at(1) - 1}, []string{"a"}},
		{"at no time", []any{"key", "common", "beginTimestamp", at(2), "endTimestamp", at(1)}, nil},
		{"another topic", []any{"key", "k1", "topic", "other"}, []string{"d"}},
		{"no topic", []any{"key", "k1", "topic", "nothing"}, nil},
		{"no such key", []any{"key", "nothing"}, nil},
	} {
		fields := but(ext("topic", "orders", "maxNum", 10, "beginTimestamp", 0, "endTimestamp", "9223372036854775807"), c.pairs...)
		answer := p.try(remoting.RequestQueryMessage, fields, nil)
		code, updated := remoting.ResponseSuccess, at(4)
		if c.want == nil {
			code, updated = remoting.ResponseQueryNotFound, 0
		}
		got := found(t, answer)
		if answer.Code != code || !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
			t.Errorf("%s: code %d with %q, want %d with %q", c.what, answer.Code, got, code, c.want)
		}
		if answer.Ext["indexLastUpdateTimestamp"] != ext("", updated)[""] || answer.Ext["indexLastUpdatePhyoffset"] == "" {
			t.Errorf("%s: %v", c.what, answer.Ext)
		}
	}
}

func TestAQueryHasBounds(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	query := func(key string, most int, pairs ...any) []string {
		fields := but(ext("topic", "orders", "key", key, "maxNum", most, "beginTimestamp", 0, "endTimestamp", 1<<62), pairs...)
		return found(t, p.call(remoting.RequestQueryMessage, fields, nil))
	}
	for range 70 {
		p.store("orders", "x", "KEYS", "many")
	}
	if got := len(query("many", 100)); got != 64 {
		t.Errorf("%d messages, want 64", got)
	}
	if got := len(query("many", 100, "_UNIQUE_KEY_QUERY", "true")); got != 32 {
		t.Errorf("%d messages by a unique key, want 32", got)
	}
	large := strings.Repeat("x", 1_500_000)
	for _, name := range []string{"1", "2", "3"} {
		p.store("orders", name+large, "KEYS", "large")
	}
	if got := query("large", 10); len(got) != 2 || got[0][0] != '2' || got[1][0] != '3' {
		t.Errorf("%d large messages", len(got))
	}
	b.Wipe()
	p.store("other", "x") // so that there is a log
	p.refused(remoting.ResponseQueryNotFound, remoting.RequestQueryMessage,
		ext("topic", "orders", "key", "many", "maxNum", 1, "beginTimestamp", 0, "endTimestamp", 1<<62), nil)
}

func TestAMessageIsFoundByItsPlace(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "a")
	id := p.store("orders", "b", "TAGS", "t")["msgId"]
	host, physical, err := remoting.ParseOffsetMessageID(id)
	if err != nil || host.String() != b.Addr() {
		t.Fatalf("%s: %v, %v", id, host, err)
	}
	got := messages(t, p.call(remoting.RequestViewMessage, ext("offset", physical), nil))
	if len(got) != 1 || string(got[0].Body) != "b" || got[0].QueueOffset != 1 || got[0].PhysicalOffset != physical {
		t.Errorf("%+v", got)
	}
	for _, offset := range []int64{physical + 1, physical - 1, -1} {
		answersWith(t, "nothing there", p.try(remoting.RequestViewMessage, ext("offset", offset), nil),
			remoting.ResponseSystemError, "can not find message by the offset")
	}
}

func TestFilterExpressionsAreChecked(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for _, c := range []struct {
		body string
		code int
	}{
		{"", remoting.ResponseSuccess},
		{"{}", remoting.ResponseSuccess},
		{"{", remoting.ResponseSystemError},
		{`{"subscriptionData":7}`, remoting.ResponseSystemError},
		{`{"subscriptionData":{"subString":"a >"}}`, remoting.ResponseSuccess}, // tags
		{`{"subscriptionData":{"expressionType":"TAG","subString":"a >"}}`, remoting.ResponseSuccess},
		{`{"subscriptionData":{"expressionType":"SQL92","subString":"a > 5 AND TAGS IS NOT NULL"}}`, remoting.ResponseSuccess},
		{`{"subscriptionData":{"expressionType":"SQL92","subString":"a >"}}`, remoting.ResponseSubscriptionInvalid},
		{`{"subscriptionData":{"expressionType":"SQL92"}}`, remoting.ResponseSubscriptionInvalid},
		{`{"subscriptionData":{"expressionType":"X","subString":"a"}}`, remoting.ResponseSubscriptionInvalid},
	} {
		if answer := p.try(remoting.RequestCheckClientConfig, nil, []byte(c.body)); answer.Code != c.code {
			t.Errorf("%s: code %d (%s), want %d", c.body, answer.Code, answer.Remark, c.code)
		}
	}
}

func TestTheEndsOfAQueue(t *testing.T) {
	t.Parallel()
	b, manual := startManual(t)
	p := dial(t, b)
	for range 3 {
		p.store("orders", "x")
		manual.Advance(time.Second)
	}
	at := func(second int) int64 { return start().Add(time.Duration(second) * time.Second).UnixMilli() }
	for _, c := range []struct {
		code  int
		pairs []any
		want  int64
	}{
		{remoting.RequestGetMinOffset, nil, 0},
		{remoting.RequestGetMaxOffset, nil, 3},
		{remoting.RequestGetMaxOffset, []any{"queueId", 1}, 0},
		{remoting.RequestGetMaxOffset, []any{"queueId", 99}, 0},
		{remoting.RequestGetMaxOffset, []any{"queueId", -1}, 0},
		{remoting.RequestGetMinOffset, []any{"topic", "nothing"}, 0},
		{remoting.RequestGetEarliestStoreTime, nil, at(0)},
		{remoting.RequestGetEarliestStoreTime, []any{"queueId", 1}, -1},
		{remoting.RequestGetEarliestStoreTime, []any{"topic", "nothing"}, -1},
		{remoting.RequestSearchOffset, []any{"timestamp", at(1)}, 1},
		{remoting.RequestSearchOffset, []any{"timestamp", at(1), "boundaryType", "UPPER"}, 1},
		{remoting.RequestSearchOffset, []any{"timestamp", at(1) + 1}, 2},
		{remoting.RequestSearchOffset, []any{"timestamp", at(1) + 1, "boundaryType", "upper"}, 1},
		{remoting.RequestSearchOffset, []any{"timestamp", at(9)}, 3},
		{remoting.RequestSearchOffset, []any{"timestamp", at(9), "boundaryType", "upper"}, 2},
		{remoting.RequestSearchOffset, []any{"timestamp", -1}, 0},
		{remoting.RequestSearchOffset, []any{"timestamp", -1, "boundaryType", "upper"}, 0},
		{remoting.RequestSearchOffset, []any{"timestamp", 0, "queueId", 1}, 0},
		{remoting.RequestSearchOffset, []any{"timestamp", 0, "topic", "nothing"}, 0},
	} {
		name := "offset"
		if c.code == remoting.RequestGetEarliestStoreTime {
			name = "timestamp"
		}
		fields := but(ext("topic", "orders", "queueId", 0), c.pairs...)
		if got := p.field(name, c.code, fields); got != ext("", c.want)[""] {
			t.Errorf("%d %v: %s, want %d", c.code, c.pairs, got, c.want)
		}
	}
}

func TestAQueueForgetsItsHead(t *testing.T) {
	t.Parallel()
	b, manual := startManual(t, devbroker.WithRetention(time.Hour))
	p := dial(t, b)
	p.store("orders", "old")
	manual.Advance(50 * time.Minute)
	at := manual.Now().UnixMilli()
	p.store("orders", "new")
	b.Advance(20 * time.Minute)
	queue := ext("topic", "orders", "queueId", 0, "timestamp", 0)
	for code, want := range map[int]string{
		remoting.RequestGetMinOffset: "1", remoting.RequestGetMaxOffset: "2", remoting.RequestSearchOffset: "1",
	} {
		if got := p.field("offset", code, queue); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
	if got := p.field("timestamp", remoting.RequestGetEarliestStoreTime, queue); got != strconv.FormatInt(at, 10) {
		t.Errorf("the first message is of %s, want %d", got, at)
	}
	answersWith(t, "what is gone", p.try(remoting.RequestViewMessage, ext("offset", 0), nil), remoting.ResponseSystemError, "can not find")
}
