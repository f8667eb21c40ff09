package mqtest

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/remoting"
)

// usable fails the case if the connection does not work any more.
func (l *line) usable(what string) {
	l.s.Helper()
	answer := l.call(remoting.RequestGetMaxOffset, ext("topic", "unknown", "queueId", 0), nil)
	if answer.Code != remoting.ResponseSuccess {
		l.s.Errorf("%s: the next request is answered with code %d: %s", what, answer.Code, answer.Remark)
	}
}

func hostileUnknownCode(s *scene) {
	for _, code := range []int{0, 9999, 30000} {
		s.refuse("broker", s.line().call(code, nil, nil), remoting.ResponseNotSupported)
		s.refuse("name server", s.names().call(code, nil, nil), remoting.ResponseNotSupported)
	}
	s.line().usable("unknown code")
}

// Requests without the fields that they need, or with others in their place.
func hostileFields(s *scene) {
	for _, code := range []int{
		remoting.RequestSendMessage, remoting.RequestPullMessage, remoting.RequestQueryConsumerOffset,
		remoting.RequestUpdateTopic, remoting.RequestSearchOffset, remoting.RequestGetMaxOffset,
		remoting.RequestViewMessage, remoting.RequestSendBack, remoting.RequestEndTransaction,
		remoting.RequestConsumerList, remoting.RequestSendMessageV2, remoting.RequestSendBatch,
	} {
		s.refuse("no fields", s.line().call(code, nil, []byte("x")), remoting.ResponseSystemError)
	}
	topic := s.topic(1)
	for _, queue := range []string{"x", "", "1.5", "99999999999999999999"} {
		answer := s.line().call(remoting.RequestGetMaxOffset, ext("topic", topic, "queueId", queue), nil)
		s.refuse("queue "+queue, answer, remoting.ResponseSystemError)
		f := letter{topic: topic}.short()
		f["e"] = queue
		s.refuse("send to queue "+queue, s.line().call(remoting.RequestSendMessageV2, f, []byte("x")), remoting.ResponseSystemError)
	}
	equal(s, "messages", s.offset(remoting.RequestGetMaxOffset, topic, 0), 0)
	// Fields that nobody knows are no reason to refuse.
	f := letter{topic: topic}.short()
	f["whatever"] = strings.Repeat("x", 10_000)
	s.succeed("unknown field", s.line().call(remoting.RequestSendMessageV2, f, []byte("x")))
	s.line().usable("bad fields")
}

func hostileBodies(s *scene) {
	for _, code := range []int{
		remoting.RequestHeartbeat, remoting.RequestLockQueues, remoting.RequestUnlockQueues, remoting.RequestUpdateGroup,
	} {
		for _, body := range []string{"", "junk", `{"clientID`, `[1,2`, "\x00\xff"} {
			s.refuse("body "+body, s.line().call(code, nil, []byte(body)), remoting.ResponseSystemError)
		}
	}
	s.line().usable("bad bodies")
}

// An answer that nobody has asked for is none of the broker's business.
func hostileStrayAnswer(s *scene) {
	l := s.dial(s.broker)
	stray := remoting.NewRequest(remoting.RequestHeartbeat, nil, []byte("junk"))
	stray.Flag, stray.Opaque = remoting.FlagResponse, 77
	l.write(stray)
	l.usable("a stray answer")
}

// What is no frame harms its own connection only. The real broker closes it if
// the header is junk; after a wrong length it reads and waits.
func hostileFrames(s *scene) {
	frame := func(length int32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(length)), rest...)
	}
	other := s.dial(s.broker)
	for what, data := range map[string][]byte{
		"a huge length":          frame(1<<30, 1, 2, 3),
		"a negative length":      frame(-5, 1, 2, 3),
		"half a frame":           frame(1000, 1, 2, 3),
		"a header of other JSON": frame(6, 0, 0, 0, 2, '1', '2'),
		"a header beyond":        frame(8, 0, 0, 0, 99, 'j', 'u', 'n', 'k'),
	} {
		l := s.dial(s.broker)
		if _, err := l.nc.Write(data); err != nil {
			s.Fatal(err)
		}
		other.usable(what)
		l.close()
		other.usable(what)
	}
	junk := s.dial(s.broker)
	if _, err := junk.nc.Write(frame(8, 0, 0, 0, 4, 'j', 'u', 'n', 'k')); err != nil {
		s.Fatal(err)
	}
	junk.ended("a header that is junk", 10*time.Second)
	other.usable("a header that is junk")
}

// binaryFrame makes a frame whose header is in RocketMQ's own form.
func binaryFrame(cmd remoting.Command) []byte {
	be := binary.BigEndian
	var fields []byte
	for name, value := range cmd.Ext {
		fields = append(be.AppendUint16(fields, uint16(len(name))), name...)
		fields = append(be.AppendUint32(fields, uint32(len(value))), value...)
	}
	header := be.AppendUint16(nil, uint16(cmd.Code))
	header = append(header, byte(cmd.Language))
	header = be.AppendUint16(header, uint16(cmd.Version))
	header = be.AppendUint32(header, uint32(cmd.Opaque))
	header = be.AppendUint32(header, uint32(cmd.Flag))
	header = append(be.AppendUint32(header, uint32(len(cmd.Remark))), cmd.Remark...)
	header = append(be.AppendUint32(header, uint32(len(fields))), fields...)
	frame := be.AppendUint32(nil, uint32(4+len(header)+len(cmd.Body)))
	frame = be.AppendUint32(frame, 1<<24|uint32(len(header)))
	return append(append(frame, header...), cmd.Body...)
}

// Clients may write headers in RocketMQ's own form (rocketmq.serialize.type).
func headerBinary(s *scene) {
	topic := s.topic(2)
	l := s.dial(s.broker)
	call := func(code int, f fields, body string) remoting.Command {
		answer := make(chan remoting.Command, 1)
		cmd := remoting.NewRequest(code, f, []byte(body))
		l.mu.Lock()
		l.opaque++
		cmd.Opaque = l.opaque
		l.pending[cmd.Opaque] = answer
		l.mu.Unlock()
		if key := s.Credentials; key != (mq.Credentials{}) {
			remoting.Sign(&cmd, key.AccessKey, key.SecretKey)
		}
		if _, err := l.nc.Write(binaryFrame(cmd)); err != nil {
			s.Fatal(err)
		}
		return l.await("an answer to a binary header", answer)
	}
	sent := s.receipt(s.succeed("send", call(remoting.RequestSendMessageV2, letter{topic: topic, queue: 1}.short(), "käse")))
	equal(s, "queue", sent.queue, 1)
	if got := bodies(s.wait(topic, 1, 1)); !slices.Equal(got, []string{"käse"}) {
		s.Errorf("the queue has %q", got)
	}
	c := s.caught(call(remoting.RequestPullMessage, pull{topic: topic, queue: 1}.fields(s), ""))
	s.wants("pull", c, remoting.ResponseSuccess, 1, 0, 1, "käse")
	s.refuse("unknown code", call(9999, nil, ""), remoting.ResponseNotSupported)
}
