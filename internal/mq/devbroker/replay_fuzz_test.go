package devbroker

import (
	"math"
	"reflect"
	"strconv"
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/remoting"
)

// newReplayed is a broker that only its journal reaches.
func newReplayed(t testing.TB) *Broker {
	t.Helper()
	s, err := newSettings([]Option{WithClock(clock.NewManual(time.UnixMilli(1_800_000_000_000))), WithMaxChecks(3)})
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{settings: s, services: services(), patience: usualPatience()}
	b.checks.init(&b.mu)
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	return b
}

// journalSeeds are records as they are written, and some that never are.
func journalSeeds(t testing.TB) [][]byte {
	t.Helper()
	physical := int64(0)
	message := func(topic string, queue int, offset int64, properties ...string) []byte {
		encoded := ""
		for i := 0; i+1 < len(properties); i += 2 {
			encoded = remoting.WithProperty(encoded, properties[i], properties[i+1])
		}
		frame, err := remoting.AppendMessage(nil, remoting.StoredMessage{
			Topic: topic, QueueID: queue, QueueOffset: offset, PhysicalOffset: physical, BornAt: 1, StoredAt: 1_800_000_000_000,
			Body: []byte("body"), Properties: encoded,
		})
		if err != nil {
			t.Fatal(err)
		}
		physical += int64(len(frame))
		return appendChange(nil, changeMessage, frame)
	}
	join := func(changes ...[]byte) (record []byte) {
		for _, change := range changes {
			record = append(record, change...)
		}
		physical = 0
		return record
	}
	text := func(kind byte, content string) []byte { return appendChange(nil, kind, []byte(content)) }
	numbers := func(kind byte, ns ...int64) []byte { return appendChange(nil, kind, appendNumbers(nil, ns...)) }
	orders := text(changeTopic, `{"topicName":"orders","readQueueNums":2,"writeQueueNums":2,"perm":6}`)
	half := []string{"UNIQ_KEY", "u", "TRAN_MSG", "true", "PGROUP", "p", "REAL_TOPIC", "orders", "REAL_QID", "1"}
	again := append(half, "TRANSACTION_CHECK_TIMES", "1", "TRAN_PREPARED_QUEUE_OFFSET", "0")
	return [][]byte{
		join(orders, message("orders", 0, 0, "TAGS", "t"), message("orders", 1, 5)),
		join(orders, message(topicSchedule, 2, 0, "REAL_TOPIC", "orders", "REAL_QID", "0", "DELAY", "3"), numbers(changeEnded, 0)),
		join(orders, message(topicTimer, 0, 7, "REAL_TOPIC", "orders", "REAL_QID", "0", "TIMER_OUT_MS", "1800000000001")),
		join(orders, message(topicHalf, 0, 0, half...), numbers(changeChecked, 0, 1, 1_800_000_000_000)),
		join(orders, message(topicHalf, 0, 0, half...), message(topicHalf, 0, 1, again...), message(topicHalf, 0, 2, again...)),
		join(message(topicHalf, 0, 0, half...), text(changeNoTopic, topicHalf)),
		join(message(topicSchedule, 0, 0, "REAL_TOPIC", topicSchedule, "REAL_QID", "0"), message(topicSchedule, -1, 0), message("gone", 0, 0)),
		join(text(changeGroup, `{"groupName":"g","retryQueueNums":1}`), text(changeOffset, `{"g":"g","t":"orders","q":0,"o":9}`), text(changeNoGroup, "g")),
		join(orders, message("orders", 0, 0), text(changeNoTopic, "orders"), orders, message("orders", 0, 0), text(changeWipe, "")),
		join(orders, text(changeNextQueue, `{"t":"orders","q":1,"o":100}`), numbers(changeNextByte, 1<<40), message("orders", 0, math.MaxInt64)),
		join(numbers(changeNextByte, math.MaxInt64), text(changeNextQueue, `{"t":"orders","q":1,"o":9223372036854775807}`)),
		text(changeTopic, `{"topicName":"large","readQueueNums":`+strconv.Itoa(math.MaxInt32)+`}`),
		text('?', "unknown"), {changeMessage, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01}, {},
	}
}

// FuzzReplay reads any record: it is an error or a state, and that state can be
// worked with, written anew and read again.
func FuzzReplay(f *testing.F) {
	for _, seed := range journalSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		b := newReplayed(t)
		if err := b.replay(record); err != nil {
			return
		}
		again := newReplayed(t)
		if err := b.snapshot(again.replay); err != nil {
			t.Fatalf("cannot read what was written anew: %v", err)
		}
		if before, after := b.Inspect(), again.Inspect(); !reflect.DeepEqual(before, after) {
			t.Fatalf("written anew: %+v\nbefore: %+v", after, before)
		}
		b.mu.Lock()
		for range 10 { // what has come from a queue of the schedule may go there again
			b.fire(b.now() + 59*time.Minute.Milliseconds()) // old messages are looked for each hour
		}
		b.mu.Unlock()
		b.Inspect()
		b.Messages("orders", 10)
	})
}
