package mqtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// client is what the wrapper's producers and consumers are made of.
func (s *scene) client() mq.Client {
	return mq.Client{
		NameServers: []string{s.NameServer}, Service: "mqtest", Logger: slog.New(slog.DiscardHandler), Credentials: s.Credentials,
	}
}

// service is a producer or consumer of the wrapper.
type service interface {
	Start(context.Context) error
	Stop(context.Context) error
}

// start starts a producer or consumer and stops it with the case.
func start[S service](s *scene, what S) S {
	s.Helper()
	if err := what.Start(s.ctx); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		ctx, cancel := s.cleaningUp()
		defer cancel()
		if err := what.Stop(ctx); err != nil {
			s.Errorf("stop: %v", err)
		}
	})
	return what
}

func (s *scene) producer(topics ...string) *mq.Producer {
	s.Helper()
	s.needsStockClient()
	return start(s, mq.NewProducer(s.client(), s.fresh("producers"), topics...))
}

// needsStockClient skips the case where the stock client cannot connect.
func (s *scene) needsStockClient() {
	s.Helper()
	if s.TLS != nil {
		s.Skip("the stock client has no TLS")
	}
}

// Everything that a sender gives arrives, and the broker adds when and where.
func sendSync(s *scene) {
	topic := s.topic(1)
	p := s.producer(topic)
	before := time.Now()
	m := message.Message{
		Topic: topic, Tag: "created", Keys: []string{"k1", "k2"}, Body: []byte("käse"),
		Properties: map[string]string{"own": "wért", "traceparent": "00-1"},
	}
	if err := p.Send(s.ctx, m); err != nil {
		s.Fatal(err)
	}
	got := s.wait(topic, 0, 1)[0]
	equal(s, "topic", got.Topic, topic)
	equal(s, "body", string(got.Body), "käse")
	equal(s, "attempts", got.Attempts, 0)
	equal(s, "flags", got.SysFlag, 0)
	equal(s, "prepared offset", got.PreparedOffset, 0)
	equal(s, "store host", got.StoreHost.String(), s.broker)
	if !got.BornHost.Addr().IsLoopback() || got.BornHost.Port() == 0 {
		s.Errorf("born host %v, want the sender's address", got.BornHost)
	}
	properties := remoting.ParseProperties(got.Properties)
	for name, want := range map[string]string{
		"TAGS": "created", "KEYS": "k1 k2", "own": "wért", "traceparent": "00-1",
		"MSG_REGION": "DefaultRegion", "TRACE_ON": "true", "CLUSTER": s.config["brokerClusterName"],
	} {
		equal(s, name, properties[name], want)
	}
	if len(properties["UNIQ_KEY"]) != 32 {
		s.Errorf("unique key %q, want 32 digits", properties["UNIQ_KEY"])
	}
	const skew = 5 * time.Second
	for what, at := range map[string]int64{"born": got.BornAt, "stored": got.StoredAt} {
		if at < before.UnixMilli() || at > time.Now().Add(skew).UnixMilli() {
			s.Errorf("%s at %v, sent at %v", what, time.UnixMilli(at), before)
		}
	}
}

// A plain send names each field in full (10) or by a letter (310); the answers
// are alike.
func sendAnswers(s *scene) {
	topic := s.topic(2)
	m := letter{topic: topic, queue: 1, body: "x", flag: 7, properties: map[string]string{"UNIQ_KEY": "U1"}}
	for i, answer := range []remoting.Command{
		s.line().call(remoting.RequestSendMessage, m.long(), []byte(m.body)),
		s.line().post(m),
	} {
		s.succeed("send", answer)
		r := s.receipt(answer)
		equal(s, "queue", r.queue, 1)
		equal(s, "offset", r.offset, int64(i))
		equal(s, "transaction id", answer.Ext["transactionId"], "U1")
		equal(s, "region", answer.Ext["MSG_REGION"], "DefaultRegion")
		equal(s, "trace", answer.Ext["TRACE_ON"], "true")
		got := s.wait(topic, 1, i+1)[i]
		equal(s, "message id", r.id, remoting.OffsetMessageID(netip.MustParseAddrPort(s.broker), got.PhysicalOffset))
		equal(s, "queue offset", got.QueueOffset, int64(i))
		equal(s, "queue", got.QueueID, 1)
		equal(s, "flag", got.Flag, 7)
		equal(s, "unique key", property(got, "UNIQ_KEY"), "U1")
	}
}

// A message without a unique key gets one from the broker.
func sendUniqueKey(s *scene) {
	topic := s.topic(1)
	answer := s.succeed("send", s.line().post(letter{topic: topic, body: "x"}))
	got := s.wait(topic, 0, 1)[0]
	if key := property(got, "UNIQ_KEY"); len(key) < 32 || key != answer.Ext["transactionId"] {
		s.Errorf("unique key %q, transaction id %q", key, answer.Ext["transactionId"])
	}
}

// Without a queue the broker chooses one.
func sendAnyQueue(s *scene) {
	topic := s.topic(3)
	seen := map[int]bool{}
	for range 40 { // all in one queue: 3 to the power of -39
		r := s.receipt(s.succeed("send", s.line().post(letter{topic: topic, queue: -1, body: "x"})))
		if r.queue < 0 || r.queue > 2 {
			s.Fatalf("queue %d of a topic with 3", r.queue)
		}
		seen[r.queue] = true
	}
	if len(seen) < 2 {
		s.Errorf("all are in one queue: %v", seen)
	}
}

func sendQueueOutOfRange(s *scene) {
	topic := s.topic(2)
	for _, queue := range []int{2, 99} {
		s.refuse("send", s.line().post(letter{topic: topic, queue: queue, body: "x"}), remoting.ResponseInvalidParameter)
	}
	equal(s, "stored", s.offset(remoting.RequestGetMaxOffset, topic, 2), 0)
}

func sendBinary(s *scene) {
	topic := s.topic(1)
	body := make([]byte, 256)
	for i := range body {
		body[i] = byte(i)
	}
	if err := s.producer(topic).Send(s.ctx, message.Message{Topic: topic, Body: body}); err != nil {
		s.Fatal(err)
	}
	if got := s.wait(topic, 0, 1)[0].Body; !bytes.Equal(got, body) {
		s.Errorf("the body arrives as %x", got)
	}
}

// A message without a body is not thought of: the answer is a null pointer.
func sendNoBody(s *scene) {
	topic := s.topic(1)
	s.refuse("no body", s.line().post(letter{topic: topic}), remoting.ResponseSystemError)
	equal(s, "messages", s.offset(remoting.RequestGetMaxOffset, topic, 0), 0)
}

// random makes bytes that cannot be compressed.
func random(size int) []byte {
	data := make([]byte, size)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(data) // it never fails
	return data
}

func sendLarge(s *scene) {
	topic := s.topic(1)
	body := random(39 << 20 / 10)
	p := s.producer(topic)
	if err := p.Send(s.ctx, message.Message{Topic: topic, Body: body}); err != nil {
		s.Fatal(err)
	}
	s.until("the message", func() bool { return s.offset(remoting.RequestGetMaxOffset, topic, 0) == 1 })
	box := s.consumer(topic, mq.Subscription{})
	got := box.wait(1)[0]
	if !bytes.Equal(got.Body, body) {
		s.Errorf("%d bytes arrive as %d others", len(body), len(got.Body))
	}
}

// The limit is that of the body, 4 MiB; a message of just that size is taken.
func sendTooLarge(s *scene) {
	topic := s.topic(1)
	s.succeed("4 MiB", s.line().post(letter{topic: topic, body: strings.Repeat("x", 4<<20)}))
	s.refuse("4 MiB and a byte", s.line().post(letter{topic: topic, body: strings.Repeat("x", 4<<20+1)}), remoting.ResponseMessageIllegal)
	s.refuse("long properties", s.line().post(letter{
		topic: topic, body: "x", properties: map[string]string{"p": strings.Repeat("x", 33000)},
	}), remoting.ResponseMessageIllegal)
	s.sendAll(topic, 0, "after")
	equal(s, "messages", s.offset(remoting.RequestGetMaxOffset, topic, 0), 2)
}

// What a producer compresses the broker stores as it is, with its flag.
func sendCompressed(s *scene) {
	topic := s.topic(1)
	text := strings.Repeat("orderflow ", 2000)
	if err := s.producer(topic).Send(s.ctx, message.Message{Topic: topic, Body: []byte(text)}); err != nil {
		s.Fatal(err)
	}
	got := s.wait(topic, 0, 1)[0]
	if got.SysFlag&remoting.SysCompressed == 0 || len(got.Body) > len(text)/2 {
		s.Errorf("%d bytes are stored as %d with flags %b", len(text), len(got.Body), got.SysFlag)
	}
	if m := s.consumer(topic, mq.Subscription{}).wait(1)[0]; string(m.Body) != text {
		s.Errorf("the consumer gets %d bytes, want %d", len(m.Body), len(text))
	}
}

// A one-way request is done and not answered.
func sendOneWayFrame(s *scene) {
	topic := s.topic(1)
	l := s.dial(s.broker)
	cmd := remoting.NewRequest(remoting.RequestSendMessageV2, letter{topic: topic}.short(), []byte("x"))
	cmd.Flag, cmd.Opaque = remoting.FlagOneWay, 1
	answer := make(chan remoting.Command, 1)
	l.mu.Lock()
	l.pending[1], l.opaque = answer, 1
	l.mu.Unlock()
	l.write(cmd)
	s.wait(topic, 0, 1)
	// The answer to a later request comes behind one that should not be there.
	s.succeed("offset", l.call(remoting.RequestGetMaxOffset, ext("topic", topic, "queueId", 0), nil))
	select {
	case cmd := <-answer:
		s.Errorf("a one-way request was answered: %+v", cmd)
	default:
	}
}

// Two sends with one unique key are two messages: nothing is deduplicated.
func sendTwice(s *scene) {
	topic := s.topic(1)
	for range 2 {
		s.send(letter{topic: topic, body: "x", properties: map[string]string{"UNIQ_KEY": "same"}})
	}
	equal(s, "messages", len(s.queue(topic, 0)), 2)
}

// Many senders at once: each queue's offsets are 0, 1, 2 and so on.
func sendConcurrently(s *scene) {
	const senders, each = 6, 40
	topic := s.topic(2)
	lines := make([]*line, senders)
	for i := range lines {
		lines[i] = s.dial(s.broker)
	}
	var mu sync.Mutex
	offsets := map[int][]int64{}
	var wg sync.WaitGroup
	for i, l := range lines {
		wg.Go(func() {
			for n := range each {
				answer := l.post(letter{topic: topic, queue: n % 2, body: fmt.Sprint(i, "/", n)})
				mu.Lock()
				if answer.Code == remoting.ResponseSuccess {
					r := s.receipt(answer)
					offsets[r.queue] = append(offsets[r.queue], r.offset)
				} else {
					s.Errorf("send: code %d: %s", answer.Code, answer.Remark)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for queue := range 2 {
		got := offsets[queue]
		slices.Sort(got)
		if len(got) != senders*each/2 || got[0] != 0 || got[len(got)-1] != int64(len(got)-1) || len(slices.Compact(got)) != len(got) {
			s.Errorf("queue %d has the offsets %v", queue, got)
		}
		all := s.wait(topic, queue, senders*each/2)
		last := map[string]int{}
		for _, m := range all { // each sender's in its order
			var sender string
			var n int
			if _, err := fmt.Sscanf(strings.ReplaceAll(string(m.Body), "/", " "), "%s %d", &sender, &n); err != nil {
				s.Fatal(err)
			}
			if before, seen := last[sender]; seen && before >= n {
				s.Errorf("sender %s: %d is behind %d", sender, n, before)
			}
			last[sender] = n
		}
	}
}

// Fields that a send can do without, and those that it cannot.
func sendFields(s *scene) {
	topic := s.topic(1)
	post := func(change func(fields)) remoting.Command {
		f := letter{topic: topic}.short()
		change(f)
		return s.line().call(remoting.RequestSendMessageV2, f, []byte("x"))
	}
	s.succeed("empty producer group", post(func(f fields) { f["a"] = "" }))
	for _, name := range []string{"a", "c", "d", "i", "j", "k", "m"} {
		s.succeed("without "+name, post(func(f fields) { delete(f, name) }))
	}
	s.wait(topic, 0, 8)
	for _, name := range []string{"e", "f", "g", "h"} { // queue, flags, time, flag
		s.refuse("without "+name, post(func(f fields) { delete(f, name) }), remoting.ResponseSystemError)
	}
	s.succeed("redelivered by the sender", post(func(f fields) { f["j"] = "2" }))
	equal(s, "attempts", s.wait(topic, 0, 9)[8].Attempts, 2)
}

// Properties that are not well-formed are stored as far as they are.
func sendOddProperties(s *scene) {
	topic := s.topic(1)
	for i, c := range []struct {
		sent string
		want map[string]string
	}{
		{"junk", nil},
		{"a\x01\x02b\x011\x02", map[string]string{"a": "", "b": "1"}},
		{"a\x011\x02a\x012\x02", map[string]string{"a": "2"}},
		{"b\x012\x02a\x011", map[string]string{"a": "1", "b": "2"}},
		{"a\x011\x012\x02", map[string]string{"a": "1\x012"}},
		{"\x011\x02b\x012\x02", map[string]string{"": "", "b": "2"}},
	} {
		f := letter{topic: topic}.short()
		f["i"] = c.sent
		s.succeed("send", s.line().call(remoting.RequestSendMessageV2, f, []byte("x")))
		properties := remoting.ParseProperties(s.wait(topic, 0, i+1)[i].Properties)
		for name, want := range c.want {
			equal(s, fmt.Sprintf("%q of %q", name, c.sent), properties[name], want)
		}
		equal(s, "region", properties["MSG_REGION"], "DefaultRegion")
	}
}
