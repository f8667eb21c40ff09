package devbroker_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// sendBack are the fields with which a group sends a message back.
func sendBack(group string, m devbroker.Message, level, most int) map[string]string {
	return map[string]string{
		"group": group, "offset": strconv.FormatInt(m.PhysicalOffset, 10), "delayLevel": strconv.Itoa(level),
		"maxReconsumeTimes": strconv.Itoa(most), "originMsgId": "", "originTopic": m.Topic,
	}
}

// newest is the last message of a topic.
func newest(t testing.TB, b *devbroker.Broker, topic string) devbroker.Message {
	t.Helper()
	all := b.Messages(topic, 0)
	if len(all) == 0 {
		t.Fatalf("%s is empty", topic)
	}
	return all[len(all)-1]
}

// A message that a group cannot handle comes again by the table of levels, from
// the third one on, and goes to the dead letters in the end.
func TestRedeliveries(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.join("c1", "g", "orders")
	p.store("orders", "poison", "KEYS", "k", "UNIQ_KEY", "u")
	origin := newest(t, b, "orders")
	m := origin
	for n, delay := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute} {
		p.call(remoting.RequestSendBack, sendBack("g", m, 0, 3), nil)
		timers := b.Inspect().Timers
		want := devbroker.TimerState{UniqueKey: "u", Keys: "k", Topic: "%RETRY%g", Kind: "retry", Due: b.Clock().Now().Add(delay)}
		if len(timers) != 1 || timers[0] != want {
			t.Fatalf("timers %+v, want %+v", timers, want)
		}
		b.Advance(delay - time.Millisecond)
		if got := len(bodies(b, "%RETRY%g")); got != n {
			t.Errorf("redelivery %d came early", n+1)
		}
		b.Advance(time.Millisecond)
		m = newest(t, b, "%RETRY%g")
		if m.Attempts != n+1 || m.Properties["RETRY_TOPIC"] != "orders" || string(m.Body) != "poison" || m.Keys != "k" || m.UniqueKey != "u" {
			t.Errorf("redelivery %d: %+v", n+1, m)
		}
		if _, physical, err := remoting.ParseOffsetMessageID(m.Properties["ORIGIN_MESSAGE_ID"]); err != nil || physical != origin.PhysicalOffset {
			t.Errorf("redelivery %d is of %v, %v", n+1, physical, err)
		}
	}
	p.call(remoting.RequestSendBack, sendBack("g", m, 0, 3), nil)
	s := b.Inspect()
	if len(s.Timers) != 0 || s.DeadLetters["g"] != 1 {
		t.Fatalf("timers %+v, dead letters %v", s.Timers, s.DeadLetters)
	}
	if dead := newest(t, b, "%DLQ%g"); string(dead.Body) != "poison" || dead.Attempts != 4 || dead.Properties["RETRY_TOPIC"] != "orders" {
		t.Errorf("dead letter %+v", dead)
	}
}

// The dead letter of a message that was a timer is no timer again.
func TestDeadLetterOfATimer(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.join("c1", "g", "orders")
	p.store("orders", "late", "TIMER_DELAY_SEC", "60")
	b.Advance(time.Minute)
	p.call(remoting.RequestSendBack, sendBack("g", newest(t, b, "orders"), -1, 16), nil)
	if got := bodies(b, "%DLQ%g"); !slices.Equal(got, []string{"late"}) || len(b.Inspect().Timers) != 0 {
		t.Errorf("dead letters %q, timers %+v", got, b.Inspect().Timers)
	}
}

func TestSendBacksThatAreOdd(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.join("c1", "g", "orders")
	p.store("orders", "m")
	m := newest(t, b, "orders")
	missing := m
	missing.PhysicalOffset++
	p.refused(remoting.ResponseSystemError, remoting.RequestSendBack, sendBack("g", missing, 0, 16), nil)
	p.refused(remoting.ResponseGroupNotExist, remoting.RequestSendBack, sendBack("g*", m, 0, 16), nil)
	p.refused(remoting.ResponseSystemError, remoting.RequestSendBack, map[string]string{"group": "g"}, nil)
	for level, due := range map[int]time.Duration{1: time.Second, 18: 2 * time.Hour, 1 << 30: 2 * time.Hour} {
		p.call(remoting.RequestSendBack, sendBack("g", m, level, 16), nil)
		timers := b.Inspect().Timers
		if len(timers) != 1 || !timers[0].Due.Equal(b.Clock().Now().Add(due)) {
			t.Errorf("level %d: timers %+v", level, timers)
		}
		b.Advance(due)
	}
	p.call(remoting.RequestUpdateTopic, settingTopic("%RETRY%odd", 0), nil) // a topic without a queue
	p.call(remoting.RequestSendBack, sendBack("odd", m, 0, 16), nil)
	b.RefuseWrites(true)
	p.refused(remoting.ResponseSystemError, remoting.RequestSendBack, sendBack("g", m, 0, 16), nil)
	b.RefuseWrites(false)
	readOnly := settingTopic("%RETRY%g", 1)
	readOnly["perm"] = "4"
	p.call(remoting.RequestUpdateTopic, readOnly, nil)
	p.refused(remoting.ResponseNoPermission, remoting.RequestSendBack, sendBack("g", m, 0, 16), nil)
}

// Clients that consume in order redeliver by themselves, and so do those whose
// request to send back has failed.
func TestSendsToTheRetryTopic(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.refused(remoting.ResponseGroupNotExist, remoting.RequestSendMessage, sending("%RETRY%nobody"), []byte("m"))
	if topics := b.Inspect().Topics; slices.ContainsFunc(topics, func(t devbroker.TopicState) bool { return t.Name == "%RETRY%nobody" }) {
		t.Error("a retry topic without a group has been created")
	}
	p.join("c1", "g", "orders")
	ext := sending("%RETRY%g", "DELAY", "3")
	ext["reconsumeTimes"], ext["maxReconsumeTimes"] = "3", "3"
	p.call(remoting.RequestSendMessage, ext, []byte("again"))
	ext["reconsumeTimes"] = "4"
	p.call(remoting.RequestSendMessage, ext, []byte("dead"))
	b.Advance(10 * time.Second)
	if again, dead := bodies(b, "%RETRY%g"), bodies(b, "%DLQ%g"); !slices.Equal(again, []string{"again"}) || !slices.Equal(dead, []string{"dead"}) {
		t.Errorf("again %q, dead %q", again, dead)
	}
}
