package mqtest

import (
	"net/netip"
	"slices"
	"strings"

	"orderflow/internal/mq/remoting"
)

// batch makes the body of a batch.
func (s *scene) batch(entries ...remoting.BatchEntry) []byte {
	s.Helper()
	var body []byte
	for _, e := range entries {
		var err error
		if body, err = remoting.AppendBatchEntry(body, e); err != nil {
			s.Fatal(err)
		}
	}
	return body
}

func entry(body string, properties map[string]string) remoting.BatchEntry {
	return remoting.BatchEntry{Body: []byte(body), Properties: remoting.EncodeProperties(properties)}
}

// postBatch sends a batch and returns the broker's answer.
func (s *scene) postBatch(m letter, body []byte) remoting.Command {
	s.Helper()
	f := m.short()
	f["m"] = "true"
	return s.line().call(remoting.RequestSendBatch, f, body)
}

// The messages of a batch follow each other in one queue, each with its own
// properties; the answer names them all.
func batchFrame(s *scene) {
	topic := s.topic(2)
	s.sendAll(topic, 1, "first")
	answer := s.succeed("batch", s.postBatch(letter{topic: topic, queue: 1}, s.batch(
		entry("a", map[string]string{"UNIQ_KEY": "A", "KEYS": "ka", "TAGS": "t"}),
		entry("b", nil),
		entry("c", map[string]string{"UNIQ_KEY": "C", "own": "1"}),
	)))
	r := s.receipt(answer)
	equal(s, "queue", r.queue, 1)
	equal(s, "offset of the first", r.offset, 1)
	all := s.wait(topic, 1, 4)[1:]
	if got := bodies(all); !slices.Equal(got, []string{"a", "b", "c"}) {
		s.Fatalf("the queue has %q", got)
	}
	var ids []string
	for i, m := range all {
		equal(s, "queue offset", m.QueueOffset, int64(i+1))
		equal(s, "stored at", m.StoredAt, all[0].StoredAt)
		ids = append(ids, remoting.OffsetMessageID(netip.MustParseAddrPort(s.broker), m.PhysicalOffset))
	}
	equal(s, "message ids", r.id, strings.Join(ids, ","))
	equal(s, "unique key", property(all[0], "UNIQ_KEY"), "A")
	equal(s, "keys", property(all[0], "KEYS"), "ka")
	equal(s, "tag", property(all[0], "TAGS"), "t")
	equal(s, "own property", property(all[2], "own"), "1")
	equal(s, "property of another", property(all[1], "own"), "")
	equal(s, "region", property(all[1], "MSG_REGION"), "DefaultRegion")
}

// A level on a message of a batch is kept and does not delay it.
func batchIgnoresDelay(s *scene) {
	topic := s.topic(1)
	s.succeed("batch", s.postBatch(letter{topic: topic}, s.batch(
		entry("a", map[string]string{"DELAY": "5"}), entry("b", nil),
	)))
	all := s.wait(topic, 0, 2)
	if got := bodies(all); !slices.Equal(got, []string{"a", "b"}) {
		s.Errorf("the queue has %q", got)
	}
	equal(s, "level", property(all[0], "DELAY"), "5")
}

// A level for the whole batch is refused.
func batchDelayed(s *scene) {
	topic := s.topic(1)
	refused := s.postBatch(letter{topic: topic, properties: map[string]string{"DELAY": "5"}}, s.batch(entry("c", nil)))
	s.refuse("a delayed batch", refused, remoting.ResponseMessageIllegal)
}

// All or nothing: of a batch with something wrong nothing is stored.
func batchRefused(s *scene) {
	topic := s.topic(1)
	good := s.batch(entry("a", nil))
	big := entry(strings.Repeat("x", 3<<20), nil)
	for what, refused := range map[string]remoting.Command{
		"torn":      s.postBatch(letter{topic: topic}, append(slices.Clone(good), good[:20]...)),
		"junk":      s.postBatch(letter{topic: topic}, []byte("junk")),
		"empty":     s.postBatch(letter{topic: topic}, nil),
		"too large": s.postBatch(letter{topic: topic}, s.batch(entry("a", nil), big, big)),
	} {
		s.refuse(what, refused, remoting.ResponseSystemError)
	}
	group := s.group()
	toRetry := s.postBatch(letter{topic: "%RETRY%" + group}, good)
	s.refuse("to a retry topic", toRetry, remoting.ResponseMessageIllegal)
	s.refuse("unknown topic", s.postBatch(letter{topic: s.fresh("unknown")}, good), remoting.ResponseTopicNotExist)
	s.refuse("unknown queue", s.postBatch(letter{topic: topic, queue: 7}, good), remoting.ResponseInvalidParameter)
	s.sendAll(topic, 0, "after")
	if got := bodies(s.queue(topic, 0)); !slices.Equal(got, []string{"after"}) {
		s.Errorf("%d messages are stored", len(got))
	}
}
