package mqtest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// view reads a message by the id that the broker has given it.
func (s *scene) view(id string) remoting.StoredMessage {
	s.Helper()
	_, offset, err := remoting.ParseOffsetMessageID(id)
	if err != nil {
		s.Fatal(err)
	}
	answer := s.succeed("view", s.line().call(remoting.RequestViewMessage, ext("offset", offset), nil))
	all := s.messages(answer.Body)
	if len(all) != 1 {
		s.Fatalf("message %s is %d messages", id, len(all))
	}
	return all[0]
}

// delayed sends messages with delays to a topic each, and compares when and how
// they are delivered.
type delayed struct {
	name       string
	properties map[string]string
	delay      time.Duration
	want       map[string]string // properties on delivery; "" for none
}

func (s *scene) delays(all []delayed) {
	s.Helper()
	topics, sent := make([]string, len(all)), make([]span, len(all))
	for i := range all {
		topics[i] = s.topic(2)
	}
	for i, d := range all {
		properties := map[string]string{"UNIQ_KEY": "U" + topics[i], "KEYS": "k", "TAGS": "t", "own": "1"}
		for name, value := range d.properties {
			properties[name] = value
		}
		sent[i] = s.during(func() {
			s.succeed(d.name, s.line().post(letter{topic: topics[i], queue: 1, body: d.name, properties: properties}))
		})
	}
	for i, d := range all {
		got := s.wait(topics[i], 1, 1)
		equal(s, d.name+": deliveries", len(got), 1)
		s.onTime(d.name, got[0], sent[i], d.delay)
		equal(s, d.name+": body", string(got[0].Body), d.name)
		equal(s, d.name+": topic", got[0].Topic, topics[i])
		equal(s, d.name+": attempts", got[0].Attempts, 0)
		properties := remoting.ParseProperties(got[0].Properties)
		want := map[string]string{"UNIQ_KEY": "U" + topics[i], "KEYS": "k", "TAGS": "t", "own": "1"}
		if d.delay > 0 { // where it was meant for remains written on it
			want["REAL_TOPIC"], want["REAL_QID"] = topics[i], "1"
		}
		for name, value := range d.want {
			want[name] = value
		}
		for name, value := range want {
			equal(s, d.name+": "+name, properties[name], value)
		}
	}
}

// A delivered message keeps its level. One below 1 is no delay.
func delayLevels(s *scene) {
	var all []delayed
	table, err := remoting.ParseDelayLevels(s.config["messageDelayLevel"])
	if err != nil {
		s.Fatal(err)
	}
	for _, level := range []int{1, 3, 6, 16, -1, 0} {
		d := delayed{name: fmt.Sprint("level ", level), properties: map[string]string{"DELAY": strconv.Itoa(level)}}
		d.want = d.properties
		if level > 0 {
			d.delay = table[level-1]
		}
		all = append(all, d)
	}
	s.delays(all)
}

// Until then the message lies in a topic of the broker's own, in a queue per
// level. A level above the table's end is the last one. It is delivered when the
// time has passed since it was stored there.
func delayStored(s *scene) {
	topic := s.topic(2)
	table, err := remoting.ParseDelayLevels(s.config["messageDelayLevel"])
	if err != nil {
		s.Fatal(err)
	}
	soon := remoting.StoredMessage{}
	for level, want := range map[int]int{5: 5, 99: len(table)} {
		answer := s.succeed("send", s.line().post(letter{topic: topic, queue: 1, body: "x", properties: map[string]string{
			"DELAY": strconv.Itoa(level), "own": "1",
		}}))
		r := s.receipt(answer)
		equal(s, "queue of the answer", r.queue, 1)
		m := s.view(r.id)
		equal(s, "topic", m.Topic, "SCHEDULE_TOPIC_XXXX")
		equal(s, "queue", m.QueueID, want-1)
		equal(s, "offset", m.QueueOffset, r.offset)
		properties := remoting.ParseProperties(m.Properties)
		for name, value := range map[string]string{
			"DELAY": strconv.Itoa(want), "REAL_TOPIC": topic, "REAL_QID": "1", "own": "1",
		} {
			equal(s, name, properties[name], value)
		}
		if level == 5 {
			soon = m
		}
	}
	s.onTime("the message", s.wait(topic, 1, 1)[0], storing(soon), table[5-1])
	s.refuse("a level that is no number", s.line().post(letter{topic: topic, body: "x", properties: map[string]string{"DELAY": "x"}}), remoting.ResponseSystemError)
}

// Of two the one that is due first comes first; with the same level the one that
// was sent first.
func delayOrder(s *scene) {
	topic := s.topic(1)
	for _, m := range []struct{ body, level string }{{"third", "16"}, {"first", "1"}, {"second", "1"}} {
		s.succeed("send", s.line().post(letter{topic: topic, body: m.body, properties: map[string]string{"DELAY": m.level}}))
	}
	if got := bodies(s.wait(topic, 0, 3)); !slices.Equal(got, []string{"first", "second", "third"}) {
		s.Errorf("they come as %q", got)
	}
}

func delayProducer(s *scene) {
	topic := s.typedTopic("DELAY", 1)
	p := s.producer(topic)
	box := s.consumer(topic, mq.Subscription{})
	m := message.Message{Topic: topic, Tag: "t", Keys: []string{"k"}, Body: []byte("x"), Properties: map[string]string{"own": "1"}}
	var unsupported *message.UnsupportedDelayError
	if _, err := p.SendDelayed(s.ctx, m, 1234*time.Millisecond); !errors.As(err, &unsupported) {
		s.Errorf("a delay that the broker does not have: %v", err)
	}
	sent := s.during(func() {
		if _, err := p.SendDelayed(s.ctx, m, 3*time.Second); err != nil {
			s.Fatal(err)
		}
	})
	got := box.wait(1)[0]
	s.onTime("the message", s.queue(topic, 0)[0], sent, 3*time.Second)
	if got.Tag != "t" || !slices.Equal(got.Keys, m.Keys) || string(got.Body) != "x" || len(got.Properties) != 1 || got.Properties["own"] != "1" {
		s.Errorf("it arrives as %+v", got)
	}
}

// Times to the millisecond are cut to the second, and that second must be over:
// never early, up to a second late.
func timerKinds(s *scene) {
	at := time.Now().Add(2500 * time.Millisecond)
	past := time.Now().Add(-time.Hour)
	s.delays([]delayed{
		{"after seconds", map[string]string{"TIMER_DELAY_SEC": "2"}, 2 * time.Second, map[string]string{"TIMER_DELAY_SEC": "2"}},
		{"after milliseconds", map[string]string{"TIMER_DELAY_MS": "1300"}, 1300 * time.Millisecond, map[string]string{"TIMER_DELAY_MS": "1300"}},
		{"in the past", map[string]string{"TIMER_DELIVER_MS": millis(past)}, 0, map[string]string{
			"TIMER_DELIVER_MS": millis(past), "REAL_TOPIC": "", "TIMER_OUT_MS": "",
		}},
		{"after no time", map[string]string{"TIMER_DELAY_SEC": "0"}, 0, map[string]string{"REAL_TOPIC": ""}},
		{"after less than none", map[string]string{"TIMER_DELAY_MS": "-5"}, 0, map[string]string{"REAL_TOPIC": ""}},
		{"level and timer", map[string]string{"DELAY": "1", "TIMER_DELAY_SEC": "60"}, time.Second, map[string]string{
			"DELAY": "1", "TIMER_DELAY_SEC": "",
		}},
		{"seconds and time", map[string]string{"TIMER_DELAY_SEC": "2", "TIMER_DELIVER_MS": millis(at.Add(time.Minute))}, 2 * time.Second, nil},
		{"milliseconds and time", map[string]string{"TIMER_DELAY_MS": "2000", "TIMER_DELIVER_MS": millis(at.Add(time.Minute))}, 2 * time.Second, nil},
		{"seconds and milliseconds", map[string]string{"TIMER_DELAY_SEC": "2", "TIMER_DELAY_MS": "60000"}, 2 * time.Second, nil},
	})
}

// At a time: what is delivered says when that was to be, and when it was.
func timerDeliverAt(s *scene) {
	topic := s.topic(2)
	at := time.Now().Add(2 * time.Second)
	r := s.receipt(s.succeed("send", s.line().post(letter{topic: topic, queue: 1, body: "x", properties: map[string]string{
		"TIMER_DELIVER_MS": millis(at), "own": "1",
	}})))
	waiting := s.view(r.id)
	out := strconv.FormatInt((at.UnixMilli()-1)/1000*1000, 10) // a whole second is cut, too
	equal(s, "topic while it waits", waiting.Topic, "rmq_sys_wheel_timer")
	equal(s, "where it is meant for", property(waiting, "REAL_TOPIC"), topic)
	equal(s, "which queue", property(waiting, "REAL_QID"), "1")
	equal(s, "due time", property(waiting, "TIMER_OUT_MS"), out)
	got := s.wait(topic, 1, 1)[0]
	s.onTime("the message", got, storing(waiting).notBefore(at), 0)
	equal(s, "due time on delivery", property(got, "TIMER_OUT_MS"), out)
	equal(s, "asked time on delivery", property(got, "TIMER_DELIVER_MS"), millis(at))
	equal(s, "own property", property(got, "own"), "1")
	for _, name := range []string{"TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS"} {
		if n, err := strconv.ParseInt(property(got, name), 10, 64); err != nil || n < at.UnixMilli()-10_000 || n > got.StoredAt {
			s.Errorf("%s is %q", name, property(got, name))
		}
	}
}

func timerRefused(s *scene) {
	topic := s.topic(1)
	longest, err := strconv.ParseInt(s.config["timerMaxDelaySec"], 10, 64)
	if err != nil {
		s.Fatal(err)
	}
	for name, value := range map[string]string{
		"TIMER_DELAY_SEC": strconv.FormatInt(longest+60, 10), "TIMER_DELAY_MS": strconv.FormatInt(longest*1000+60_000, 10),
		"TIMER_DELIVER_MS": millis(time.Now().Add(time.Duration(longest+60) * time.Second)),
	} {
		for _, v := range []string{value, "x"} {
			refused := s.line().post(letter{topic: topic, body: "x", properties: map[string]string{name: v}})
			s.refuse(name+"="+v, refused, remoting.ResponseMessageIllegal)
		}
	}
	near := s.line().post(letter{topic: topic, body: "x", properties: map[string]string{"TIMER_DELAY_SEC": strconv.FormatInt(longest-60, 10)}})
	s.succeed("just not too far", near)
}

// The ids of the messages that wait are ids like others.
func queriesByOffsetID(s *scene) {
	topic := s.topic(1)
	r := s.send(letter{topic: topic, body: "x", properties: map[string]string{"own": "1"}})
	host, offset, err := remoting.ParseOffsetMessageID(r.id)
	if err != nil {
		s.Fatal(err)
	}
	equal(s, "host", host, netip.MustParseAddrPort(s.broker))
	m := s.view(r.id)
	if m.Topic != topic || string(m.Body) != "x" || property(m, "own") != "1" || m.PhysicalOffset != offset || m.QueueOffset != r.offset {
		s.Errorf("the id leads to %+v", m)
	}
	for _, wrong := range []int64{-1, offset + 1<<40} {
		s.refuse("wrong offset", s.line().call(remoting.RequestViewMessage, ext("offset", wrong), nil), remoting.ResponseSystemError)
	}
}
