package mqtest

import (
	"fmt"
	"strconv"
	"time"

	"orderflow/internal/mq/remoting"
)

// letter is a message as a producer puts it on the wire.
type letter struct {
	group      string // "mqtest" if empty
	topic      string
	queue      int // -1 leaves the choice to the broker
	body       string
	properties map[string]string
	flag       int // the producer's own
	sysFlag    int
	bornAt     int64 // ms since 1970; now if 0
}

// short are the fields of a send with one-letter names (310 and 320).
func (m letter) short() fields {
	group, born := m.group, m.bornAt
	if group == "" {
		group = "mqtest"
	}
	if born == 0 {
		born = time.Now().UnixMilli()
	}
	return ext("a", group, "b", m.topic, "c", "TBW102", "d", 4, "e", m.queue, "f", m.sysFlag, "g", born,
		"h", m.flag, "i", remoting.EncodeProperties(m.properties), "j", 0, "k", false, "m", false)
}

// long are the fields of a send with spelt-out names (10).
func (m letter) long() fields {
	names := map[string]string{
		"a": "producerGroup", "b": "topic", "c": "defaultTopic", "d": "defaultTopicQueueNums", "e": "queueId",
		"f": "sysFlag", "g": "bornTimestamp", "h": "flag", "i": "properties", "j": "reconsumeTimes", "k": "unitMode",
		"m": "batch",
	}
	f := fields{}
	for short, value := range m.short() {
		f[names[short]] = value
	}
	return f
}

// receipt is the answer to a send.
type receipt struct {
	id     string // the broker's own message id
	queue  int
	offset int64 // in the queue
}

// post sends a message and returns the broker's answer.
func (l *line) post(m letter) remoting.Command {
	l.s.Helper()
	return l.call(remoting.RequestSendMessageV2, m.short(), []byte(m.body))
}

// send sends a message that the broker must take, and waits until it can be read:
// the real broker answers before it is in its queue.
func (s *scene) send(m letter) receipt {
	s.Helper()
	r := s.receipt(s.succeed("send", s.line().post(m)))
	s.until("the message in its queue", func() bool {
		return s.offset(remoting.RequestGetMaxOffset, m.topic, r.queue) > r.offset
	})
	return r
}

// sendAll sends a text per body to a queue.
func (s *scene) sendAll(topic string, queue int, bodies ...string) {
	s.Helper()
	for _, body := range bodies {
		s.send(letter{topic: topic, queue: queue, body: body})
	}
}

func (s *scene) receipt(answer remoting.Command) receipt {
	s.Helper()
	return receipt{
		id: answer.Ext["msgId"], queue: int(s.number(answer, "queueId")), offset: s.number(answer, "queueOffset"),
	}
}

// pull is a request for messages.
type pull struct {
	group      string // the scene's reader if empty
	topic      string
	queue      int
	offset     int64
	most       int           // 32 if 0
	wait       time.Duration // how long the broker may hold the request; not at all if 0
	commit     bool          // with the offset below
	committed  int64
	filter     string // "*" if empty
	filterType string // TAG if empty
	// subscribed means that the broker takes the filter from the group's heartbeat.
	subscribed bool
	version    int64 // of the subscription
}

// Bits of a pull's sysFlag.
const (
	pullCommits   = 1 << 0
	pullWaits     = 1 << 1
	pullSubscribe = 1 << 2
)

func (p pull) fields(s *scene) fields {
	s.Helper()
	if p.group == "" {
		p.group = s.reader()
	}
	if p.most == 0 {
		p.most = 32
	}
	if p.filter == "" {
		p.filter = "*"
	}
	if p.filterType == "" {
		p.filterType = "TAG"
	}
	flag := 0
	if p.commit {
		flag |= pullCommits
	}
	if p.wait > 0 {
		flag |= pullWaits
	}
	if !p.subscribed {
		flag |= pullSubscribe
	}
	return ext("consumerGroup", p.group, "topic", p.topic, "queueId", p.queue, "queueOffset", p.offset,
		"maxMsgNums", p.most, "sysFlag", flag, "commitOffset", p.committed,
		"suspendTimeoutMillis", p.wait.Milliseconds(), "subscription", p.filter, "subVersion", p.version,
		"expressionType", p.filterType)
}

// catch is the answer to a pull.
type catch struct {
	code            int
	remark          string
	next, min, max  int64
	messages        []remoting.StoredMessage
	suggestedBroker string
}

// pull asks for messages and waits for the answer.
func (s *scene) pull(p pull) catch {
	s.Helper()
	return s.caught(s.line().call(remoting.RequestPullMessage, p.fields(s), nil))
}

// caught reads the answer to a pull.
func (s *scene) caught(answer remoting.Command) catch {
	s.Helper()
	c := catch{code: answer.Code, remark: answer.Remark, suggestedBroker: answer.Ext["suggestWhichBrokerId"]}
	if answer.Ext["nextBeginOffset"] != "" {
		c.next, c.min, c.max = s.number(answer, "nextBeginOffset"), s.number(answer, "minOffset"), s.number(answer, "maxOffset")
	}
	c.messages = s.messages(answer.Body)
	return c
}

// messages reads stored messages that follow each other.
func (s *scene) messages(body []byte) (all []remoting.StoredMessage) {
	s.Helper()
	for len(body) > 0 {
		m, rest, err := remoting.ReadMessage(body)
		if err != nil {
			s.Fatal(err)
		}
		all, body = append(all, m), rest
	}
	return all
}

// queue reads everything in a queue.
func (s *scene) queue(topic string, queue int) (all []remoting.StoredMessage) {
	s.Helper()
	offset := int64(0)
	for {
		c := s.pull(pull{topic: topic, queue: queue, offset: offset})
		switch c.code {
		case remoting.ResponseSuccess:
			all = append(all, c.messages...)
		case remoting.ResponsePullNotFound:
			return all
		case remoting.ResponsePullOffsetMoved:
			if c.next <= offset {
				return all
			}
		default:
			s.Fatalf("pull of %s/%d at %d: code %d: %s", topic, queue, offset, c.code, c.remark)
		}
		offset = c.next
	}
}

// wait waits until a queue holds so many messages and returns all it holds.
func (s *scene) wait(topic string, queue, count int) (all []remoting.StoredMessage) {
	s.Helper()
	s.until(fmt.Sprintf("%d messages in %s/%d", count, topic, queue), func() bool {
		return s.offset(remoting.RequestGetMaxOffset, topic, queue) >= int64(count)
	})
	return s.queue(topic, queue)
}

// offset asks for the first offset of a queue, or for the one behind its last.
func (s *scene) offset(code int, topic string, queue int) int64 {
	s.Helper()
	return s.number(s.succeed("offset", s.line().call(code, ext("topic", topic, "queueId", queue), nil)), "offset")
}

// bodies are the messages' bodies.
func bodies(all []remoting.StoredMessage) []string {
	texts := make([]string, len(all))
	for i, m := range all {
		texts[i] = string(m.Body)
	}
	return texts
}

// property is a property of a stored message.
func property(m remoting.StoredMessage, name string) string {
	return remoting.Property(m.Properties, name)
}

// millis is a time as brokers write it.
func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
