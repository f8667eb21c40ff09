package devbroker

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/remoting"
)

// The floor of a timer that fires is the append of the same message, without the
// network: make bench has both with it.

const timers = 1_000_000

func benchMessage(n int) remoting.StoredMessage {
	return remoting.StoredMessage{
		Topic: "bench", QueueID: n % 8, BornAt: 1, Body: make([]byte, 200),
		Properties: "UNIQ_KEY\x010123456789ABCDEF" + strconv.Itoa(n) + "\x02KEYS\x01order-" + strconv.Itoa(n) + "\x02TAGS\x01created\x02",
	}
}

func newBench(b *testing.B) (*Broker, *clock.Manual) {
	b.Helper()
	manual := clock.NewManual(time.UnixMilli(1_800_000_000_000))
	broker := RunT(b, WithClock(manual))
	broker.mu.Lock()
	defer broker.mu.Unlock()
	broker.putTopic(newTopicConfig("bench", 8))
	return broker, manual
}

func (b *Broker) mustStore(m remoting.StoredMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.store(m); err != nil {
		panic(err)
	}
}

func BenchmarkAppend(b *testing.B) {
	broker, _ := newBench(b)
	for n := 0; b.Loop(); n++ {
		broker.mustStore(benchMessage(n))
	}
}

// BenchmarkFireOfAMillionTimers fires one timer after the other while a million of
// them wait: each one that has fired is replaced by one at the end.
func BenchmarkFireOfAMillionTimers(b *testing.B) {
	broker, _ := newBench(b)
	begin := broker.now()
	delayed := func(n int) {
		m := benchMessage(n)
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyTimerDeliverMillis, strconv.FormatInt(begin+int64(n)+1, 10))
		broker.mustStore(m)
	}
	others := len(broker.schedule.heap)
	for n := range timers {
		delayed(n)
	}
	runtime.GC()
	const atOnce = 1000
	var took time.Duration
	rounds := 0
	for b.Loop() {
		start := time.Now()
		broker.Advance(atOnce * time.Millisecond)
		took += time.Since(start)
		for n := range atOnce {
			delayed(timers + rounds*atOnce + n)
		}
		rounds++
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(rounds*atOnce), "ns/timer")
	if waiting := len(broker.schedule.heap) - others; waiting != timers {
		b.Fatalf("%d timers wait, want %d", waiting, timers)
	}
}

// BenchmarkStoredMessage reports how much memory a message takes beyond its body
// and properties.
func BenchmarkStoredMessage(b *testing.B) {
	broker, _ := newBench(b)
	const messages = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	payload := 0
	for n := range messages {
		m := benchMessage(n)
		payload += len(m.Body) + len(m.Properties)
		broker.mustStore(m)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() { // the measure is the memory
	}
	b.ReportMetric((float64(after.HeapAlloc-before.HeapAlloc)-float64(payload))/messages, "overhead-B/message")
	runtime.KeepAlive(broker)
}
