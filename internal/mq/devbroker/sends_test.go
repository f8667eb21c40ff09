package devbroker_test

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// batch encodes messages with the properties.
func batch(t testing.TB, properties string, bodies ...string) []byte {
	t.Helper()
	var data []byte
	for _, body := range bodies {
		var err error
		if data, err = remoting.AppendBatchEntry(data, remoting.BatchEntry{Body: []byte(body), Properties: properties}); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// letters are the fields of a batch for queue 0.
func letters(topic string) map[string]string {
	return map[string]string{"a": "producers", "b": topic, "c": "TBW102", "d": "4", "e": "0", "f": "0", "g": "1", "h": "0", "m": "true"}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "before")
	ext := p.call(remoting.RequestSendBatch, letters("orders"), batch(t, "TAGS\x01t\x02", "one", "two", "three")).Ext
	got := b.Messages("orders", 0)[1:]
	ids := strings.Split(ext["msgId"], ",")
	if len(got) != 3 || len(ids) != 3 || ext["queueOffset"] != "1" {
		t.Fatalf("%d messages, answer %v", len(got), ext)
	}
	for i, m := range got {
		if _, physical, err := remoting.ParseOffsetMessageID(ids[i]); err != nil || physical != m.PhysicalOffset || m.Tag != "t" || m.UniqueKey == "" {
			t.Errorf("message %d: %+v with id %s, %v", i, m, ids[i], err)
		}
	}
}

// hastyClock is another millisecond at each look.
type hastyClock struct {
	*clock.Manual
	looks atomic.Int64
}

func (c *hastyClock) Now() time.Time {
	return c.Manual.Now().Add(time.Duration(c.looks.Add(1)) * time.Millisecond)
}

// However long it takes, a batch is stored at one moment.
func TestABatchIsStoredAtOnce(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithClock(&hastyClock{Manual: clock.NewManual(start())}))
	p := dial(t, b)
	p.store("orders", "before")
	p.call(remoting.RequestSendBatch, letters("orders"), batch(t, "", "one", "two", "three"))
	got := b.Messages("orders", 0)
	if len(got) != 4 || got[1].StoredAt != got[2].StoredAt || got[1].StoredAt != got[3].StoredAt {
		t.Errorf("stored at different moments: %+v", got[1:])
	}
	if !got[0].StoredAt.Before(got[1].StoredAt) {
		t.Error("the clock stands still: this test shows nothing")
	}
}

// A batch is stored as a whole or not at all.
func TestBatchesThatAreRefused(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "creates the topic")
	whole := batch(t, "", "one", "two")
	for name, tt := range map[string]struct {
		code int
		body []byte
	}{
		"nothing":       {remoting.ResponseSystemError, nil},
		"cut":           {remoting.ResponseSystemError, whole[:len(whole)-1]},
		"more":          {remoting.ResponseSystemError, append(slices.Clone(whole), 0)},
		"not one":       {remoting.ResponseSystemError, []byte("hello, this is no batch at all")},
		"negative":      {remoting.ResponseSystemError, append(bytes.Repeat([]byte{0xFF}, 4), whole[4:]...)},
		"zero length":   {remoting.ResponseSystemError, append(make([]byte, 4), whole[4:]...)},
		"bomb":          {remoting.ResponseMessageIllegal, bytes.Repeat(batch(t, "", ""), 190_000)}, // 50 times as large when they are stored
		"too much":      {remoting.ResponseSystemError, batch(t, "", strings.Repeat("x", 4<<20))},
		"long property": {remoting.ResponseMessageIllegal, append(slices.Clone(whole), batch(t, "x\x01"+strings.Repeat("y", 32_700), "three")...)},
	} {
		p.refused(tt.code, remoting.RequestSendBatch, letters("orders"), tt.body)
		if got := bodies(b, "orders"); len(got) != 1 {
			t.Fatalf("%s: %d messages are stored", name, len(got))
		}
	}
	// At the limit, whatever the broker adds, a batch is not half done.
	stored := 0
	for length := 32_600; length < 32_768; length++ {
		long, err := remoting.AppendBatchEntry(slices.Clone(whole), remoting.BatchEntry{Body: []byte("three"), Properties: "x\x01" + strings.Repeat("y", length-2)})
		if err != nil {
			t.Fatal(err)
		}
		switch answer := p.try(remoting.RequestSendBatch, letters("orders"), long); answer.Code {
		case remoting.ResponseSuccess:
			stored++
		case remoting.ResponseMessageIllegal:
		default:
			t.Fatalf("code %d, %s", answer.Code, answer.Remark)
		}
	}
	if got := len(bodies(b, "orders")); got != 1+3*stored || stored == 0 || stored == 168 {
		t.Errorf("%d messages of %d batches are stored", got, stored)
	}
}

func TestSendsThatAreRefused(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "creates the topic")
	for _, tt := range []struct {
		field, value string
		body         string
		code         int
	}{
		{"topic", "", "m", remoting.ResponseInvalidParameter},
		{"topic", " ", "m", remoting.ResponseInvalidParameter},
		{"topic", "a/b", "m", remoting.ResponseInvalidParameter},
		{"topic", "\x00", "m", remoting.ResponseInvalidParameter},
		{"topic", strings.Repeat("t", 128), "m", remoting.ResponseInvalidParameter},
		{"topic", "SCHEDULE_TOPIC_XXXX", "m", remoting.ResponseNoPermission},
		{"topic", "RMQ_SYS_TRANS_HALF_TOPIC", "m", remoting.ResponseNoPermission},
		{"topic", "rmq_sys_wheel_timer", "m", remoting.ResponseNoPermission},
		{"queueId", "4", "m", remoting.ResponseInvalidParameter},
		{"queueId", "2147483647", "m", remoting.ResponseInvalidParameter},
		{"queueId", "2147483648", "m", remoting.ResponseSystemError},
		{"queueId", "x", "m", remoting.ResponseSystemError},
		{"queueId", "", "m", remoting.ResponseSystemError},
		{"sysFlag", "9223372036854775808", "m", remoting.ResponseSystemError},
		{"topic", "orders", "", remoting.ResponseMessageIllegal},
		{"topic", "orders", strings.Repeat("x", 4<<20+1), remoting.ResponseMessageIllegal},
		{"properties", "x\x01" + strings.Repeat("y", 32_766), "m", remoting.ResponseMessageIllegal},
	} {
		ext := sending("orders")
		ext[tt.field] = tt.value
		p.refused(tt.code, remoting.RequestSendMessage, ext, []byte(tt.body))
	}
	if got := bodies(b, "orders"); len(got) != 1 {
		t.Errorf("stored %q", got)
	}
	strict := devbroker.RunT(t)
	dial(t, strict).refused(remoting.ResponseTopicNotExist, remoting.RequestSendMessage, sending("orders"), []byte("m"))
}

// How many queues a topic gets by its use is not the client's to decide.
func TestTopicsByTheirUse(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for _, tt := range []struct {
		asked string
		want  int
	}{
		{"0", 1}, {"-2147483648", 1}, {"1", 1}, {"8", 8}, {"9", 8}, {"9223372036854775807", 8},
	} {
		ext := sending("t" + strings.ReplaceAll(tt.asked, "-", "m"))
		ext["defaultTopicQueueNums"], ext["queueId"] = tt.asked, "-1"
		queue, err := strconv.Atoi(p.call(remoting.RequestSendMessage, ext, []byte("m")).Ext["queueId"])
		if err != nil || queue < 0 || queue >= tt.want {
			t.Errorf("asked for %s queues: stored in %d, %v", tt.asked, queue, err)
		}
		for _, topic := range b.Inspect().Topics {
			if topic.Name == ext["topic"] && len(topic.Queues) != tt.want {
				t.Errorf("asked for %s queues: got %d, want %d", tt.asked, len(topic.Queues), tt.want)
			}
		}
	}
}

// Any queue means each of them in turn.
func TestAnyQueue(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	ext := sending("orders")
	ext["queueId"] = "-1"
	got := map[string]int{}
	for range 40 {
		got[p.call(remoting.RequestSendMessage, ext, []byte("m")).Ext["queueId"]]++
	}
	if want := map[string]int{"0": 10, "1": 10, "2": 10, "3": 10}; !maps.Equal(got, want) {
		t.Errorf("queues %v", got)
	}
}
