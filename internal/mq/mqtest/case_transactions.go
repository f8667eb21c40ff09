package mqtest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"orderflow/internal/mq/remoting"
)

// What becomes of a half message, as END_TRANSACTION writes it.
const (
	decideLater = 0
	commitIt    = remoting.SysCommit
	rollItBack  = remoting.SysRollback
)

// half is a half message, or the newest copy of one.
type half struct {
	group string
	table int64 // offset in the queue of half messages
	log   int64 // offset in the broker's log
	check bool  // known by a check-back
}

// prepare sends a half message.
func (s *scene) prepare(l *line, m letter) half {
	s.Helper()
	properties := map[string]string{"TRAN_MSG": "true", "PGROUP": m.group}
	for name, value := range m.properties {
		properties[name] = value
	}
	m.properties, m.sysFlag = properties, remoting.SysPrepared
	r := s.receipt(s.succeed("half message", l.post(m)))
	_, log, err := remoting.ParseOffsetMessageID(r.id)
	if err != nil {
		s.Fatal(err)
	}
	return half{group: m.group, table: r.offset, log: log}
}

func (h half) fields(decision int) fields {
	return ext("producerGroup", h.group, "tranStateTableOffset", h.table, "commitLogOffset", h.log,
		"commitOrRollback", decision, "fromTransactionCheck", h.check, "msgId", "mqtest", "transactionId", "mqtest")
}

// end decides about a half message and waits for the answer, which the clients do
// not.
func (s *scene) end(h half, decision int) remoting.Command {
	s.Helper()
	return s.line().call(remoting.RequestEndTransaction, h.fields(decision), nil)
}

// checked waits for a check-back and returns the copy that it is about.
func (m *member) checked(group string) (half, remoting.StoredMessage, remoting.Command) {
	m.s.Helper()
	cmd := m.asked(remoting.RequestCheckTransaction)
	all := m.s.messages(cmd.Body)
	if len(all) != 1 {
		m.s.Fatalf("a check-back with %d messages", len(all))
	}
	return half{
		group: group, table: m.s.number(cmd, "tranStateTableOffset"), log: m.s.number(cmd, "commitLogOffset"), check: true,
	}, all[0], cmd
}

// checkedFor waits for a check-back about the message with the body. Others are
// rolled back: the real broker also asks about a half message that has ended, as
// long as that is not in its books, which it writes every three seconds
// (transactionOpBatchInterval).
func (m *member) checkedFor(group, body string) half {
	m.s.Helper()
	for {
		h, asked, _ := m.checked(group)
		if string(asked.Body) == body {
			return h
		}
		m.s.succeed("roll back", m.s.end(h, rollItBack))
	}
}

// A half message is nowhere to be seen; committed it is a message like others,
// with its history written on it.
func txCommit(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 2), s.fresh("producers")
	h := s.prepare(s.line(), letter{group: group, topic: topic, queue: 1, body: "x", flag: 5, properties: map[string]string{
		"UNIQ_KEY": "U" + topic, "TAGS": "t", "KEYS": "k", "own": "1",
	}})
	s.sendAll(topic, 1, "plain") // behind the half message, if that were visible
	if got := bodies(s.queue(topic, 1)); !slices.Equal(got, []string{"plain"}) {
		s.Errorf("before the commit the queue has %q", got)
	}
	s.succeed("commit", s.end(h, commitIt))
	s.wait(topic, 1, 2)
	s.sendAll(topic, 1, "behind")
	all := s.queue(topic, 1)
	if got := bodies(all); !slices.Equal(got, []string{"plain", "x", "behind"}) {
		s.Fatalf("after the commit the queue has %q", got)
	}
	got := all[1]
	equal(s, "flags", got.SysFlag, remoting.SysCommit)
	equal(s, "flag", got.Flag, 5)
	equal(s, "prepared offset", got.PreparedOffset, h.log)
	equal(s, "queue offset", got.QueueOffset, 1)
	properties := remoting.ParseProperties(got.Properties)
	for name, want := range map[string]string{
		"UNIQ_KEY": "U" + topic, "TAGS": "t", "KEYS": "k", "own": "1", "__transactionId__": "U" + topic, "PGROUP": group,
	} {
		equal(s, name, properties[name], want)
	}
}

// What made it a half message remains written on a committed one, contrary to the
// broker's intention: it is removed from a map whose encoded form is made before
// (EndTransactionProcessor.endMessageTransaction).
func txHistory(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 2), s.fresh("producers")
	h := s.prepare(s.line(), letter{group: group, topic: topic, queue: 1, body: "x"})
	s.succeed("commit", s.end(h, commitIt))
	got := s.wait(topic, 1, 1)[0]
	for name, want := range map[string]string{"TRAN_MSG": "true", "REAL_TOPIC": topic, "REAL_QID": "1"} {
		equal(s, name, property(got, name), want)
	}
}

// Where a half message lies meanwhile.
func txStored(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 2), s.fresh("producers")
	h := s.prepare(s.line(), letter{group: group, topic: topic, queue: 1, body: "x"})
	m := s.view(remoting.OffsetMessageID(netip.MustParseAddrPort(s.broker), h.log))
	equal(s, "topic", m.Topic, "RMQ_SYS_TRANS_HALF_TOPIC")
	equal(s, "queue", m.QueueID, 0)
	equal(s, "offset", m.QueueOffset, h.table)
	equal(s, "flags", m.SysFlag, 0)
	equal(s, "real topic", property(m, "REAL_TOPIC"), topic)
	equal(s, "real queue", property(m, "REAL_QID"), "1")
	equal(s, "group", property(m, "PGROUP"), group)
	s.succeed("roll back", s.end(h, rollItBack))
}

func txRollback(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	h := s.prepare(s.line(), letter{group: group, topic: topic, body: "no"})
	s.succeed("roll back", s.end(h, rollItBack))
	yes := s.prepare(s.line(), letter{group: group, topic: topic, body: "yes"})
	s.succeed("commit", s.end(yes, commitIt))
	if got := bodies(s.wait(topic, 0, 1)); !slices.Equal(got, []string{"yes"}) {
		s.Errorf("the queue has %q", got)
	}
}

// The end of a half message must name it right: group and both offsets.
func txEndRefused(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	h := s.prepare(s.line(), letter{group: group, topic: topic, body: "x"})
	wrong := map[string]half{
		"group":        {group: group + "x", table: h.table, log: h.log},
		"table offset": {group: group, table: h.table + 1, log: h.log},
		"log offset":   {group: group, table: h.table, log: h.log + 1},
		"both offsets": {group: group, table: h.table + 1, log: h.log + 1<<40},
	}
	for what, h := range wrong {
		for _, decision := range []int{commitIt, rollItBack} {
			s.refuse("wrong "+what, s.end(h, decision), remoting.ResponseSystemError)
		}
	}
	equal(s, "messages", s.offset(remoting.RequestGetMaxOffset, topic, 0), 0)
	s.succeed("commit", s.end(h, commitIt))
	s.wait(topic, 0, 1)
}

// A half message may be ended twice, as by a client that repeats what it is not
// sure of; how often it is delivered then is another question.
func txEndAgain(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	h := s.prepare(s.line(), letter{group: group, topic: topic, body: "x"})
	s.succeed("commit", s.end(h, commitIt))
	s.wait(topic, 0, 1)
	s.succeed("commit again", s.end(h, commitIt))
	s.succeed("roll back after", s.end(h, rollItBack))
	s.sendAll(topic, 0, "behind")
	all := bodies(s.queue(topic, 0))
	if n := len(all); n < 2 || n > 3 || all[0] != "x" || all[n-1] != "behind" {
		s.Errorf("the queue has %q", all)
	}
}

// The real broker does not look whether a half message has ended already, as long
// as it can read it: each commit delivers, even behind a rollback.
func txCommitAgainDelivers(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	h := s.prepare(s.line(), letter{group: group, topic: topic, body: "x"})
	for range 2 {
		s.succeed("commit", s.end(h, commitIt))
	}
	h = s.prepare(s.line(), letter{group: group, topic: topic, body: "y"})
	s.succeed("roll back", s.end(h, rollItBack))
	s.succeed("commit behind it", s.end(h, commitIt))
	if got := bodies(s.wait(topic, 0, 3)); !slices.Equal(got, []string{"x", "x", "y"}) {
		s.Errorf("the queue has %q", got)
	}
}

// Undecided: the broker asks a client of the group, and goes by its answer.
func txCheck(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 2), s.fresh("producers")
	m := s.member()
	m.produce(group)
	start := time.Now()
	first := s.prepare(m.line, letter{group: group, topic: topic, queue: 1, body: "x", properties: map[string]string{
		"UNIQ_KEY": "U" + topic, "own": "1",
	}})
	answer := s.line().begin(remoting.RequestEndTransaction, first.fields(decideLater), nil) // which is not answered
	h, asked, cmd := m.checked(group)
	if took := time.Now().UnixMilli() - start.UnixMilli(); took < 1000 || took > 1000+late.Milliseconds() {
		s.Errorf("the check-back comes after %d ms", took)
	}
	equal(s, "topic", asked.Topic, topic)
	equal(s, "queue", asked.QueueID, 1)
	equal(s, "body", string(asked.Body), "x")
	equal(s, "message id", cmd.Ext["msgId"], "U"+topic)
	equal(s, "transaction id", cmd.Ext["transactionId"], "U"+topic)
	equal(s, "offset id", cmd.Ext["offsetMsgId"], remoting.OffsetMessageID(netip.MustParseAddrPort(s.broker), h.log))
	equal(s, "queue offset", asked.QueueOffset, h.table)
	properties := remoting.ParseProperties(asked.Properties)
	for name, want := range map[string]string{
		"PGROUP": group, "REAL_TOPIC": topic, "REAL_QID": "1", "own": "1", "TRAN_MSG": "true", "TRANSACTION_CHECK_TIMES": "1",
	} {
		equal(s, name, properties[name], want)
	}
	s.succeed("commit", s.end(h, commitIt))
	got := s.wait(topic, 1, 1)[0]
	equal(s, "delivered", string(got.Body), "x")
	equal(s, "prepared offset", got.PreparedOffset, h.log)
	select {
	case cmd := <-answer:
		s.Errorf("a decision for later is answered with code %d", cmd.Code)
	default:
	}
}

// Still undecided, the broker asks again, and counts.
func txCheckAgain(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	m := s.member()
	m.produce(group)
	s.prepare(m.line, letter{group: group, topic: topic, body: "x"})
	var h half
	for i := range 3 {
		var asked remoting.StoredMessage
		h, asked, _ = m.checked(group)
		equal(s, "check", property(asked, "TRANSACTION_CHECK_TIMES"), strconv.Itoa(i+1))
		s.line().oneWay(remoting.RequestEndTransaction, h.fields(decideLater), nil)
	}
	s.line().oneWay(remoting.RequestEndTransaction, h.fields(commitIt), nil)
	s.wait(topic, 0, 1)
}

// A rollback by check-back; its message is never delivered.
func txCheckRollsBack(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	m := s.member()
	m.produce(group)
	s.prepare(m.line, letter{group: group, topic: topic, body: "no"})
	h, _, _ := m.checked(group)
	s.succeed("roll back", s.end(h, rollItBack))
	// The next one goes through the same steps behind it.
	s.prepare(m.line, letter{group: group, topic: topic, body: "yes"})
	s.succeed("commit", s.end(m.checkedFor(group, "yes"), commitIt))
	if got := bodies(s.wait(topic, 0, 1)); !slices.Equal(got, []string{"yes"}) {
		s.Errorf("the queue has %q", got)
	}
}

// Whose client is gone is asked of another one of the group, never of another
// group.
func txCheckAnother(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	a, b, stranger := s.member(), s.member(), s.member()
	a.produce(group)
	stranger.produce(s.fresh("producers"))
	s.prepare(a.line, letter{group: group, topic: topic, body: "x"})
	a.close()
	b.produce(group)
	h, asked, _ := b.checked(group)
	equal(s, "body", string(asked.Body), "x")
	s.succeed("commit", s.end(h, commitIt))
	s.wait(topic, 0, 1)
	equal(s, "requests to a stranger", len(stranger.requests), 0)
}

// Rounds count while nobody of the group is there.
func txCheckNobody(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	bornAt := time.Now()
	s.prepare(s.line(), letter{group: group, topic: topic, body: "x"})
	s.until("two rounds", func() bool { return time.Since(bornAt) > 3500*time.Millisecond })
	m := s.member()
	m.produce(group)
	h, asked, _ := m.checked(group)
	if n, err := strconv.Atoi(property(asked, "TRANSACTION_CHECK_TIMES")); err != nil || n < 2 {
		s.Errorf("check %q after %v", property(asked, "TRANSACTION_CHECK_TIMES"), time.Since(bornAt))
	}
	s.succeed("commit", s.end(h, commitIt))
	s.wait(topic, 0, 1)
}

// A half message that was checked too often is put aside: with the count as a
// property, which the case gives it in advance.
func txCheckTooOften(s *scene) {
	const aside = "TRANS_CHECK_MAX_TIME_TOPIC"
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	start := int64(0)
	if s.line().call(remoting.RequestGetTopicConfig, ext("topic", aside), nil).Code == remoting.ResponseSuccess {
		start = s.offset(remoting.RequestGetMaxOffset, aside, 0)
	} // else it is made when it is needed
	m := s.member()
	m.produce(group)
	s.prepare(m.line, letter{group: group, topic: topic, body: "x", properties: map[string]string{
		"TRANSACTION_CHECK_TIMES": s.config["transactionCheckMax"],
	}})
	var found remoting.StoredMessage
	s.until("the message in "+aside, func() bool {
		c := s.pull(pull{topic: aside, offset: start})
		for _, m := range c.messages {
			if property(m, "REAL_TOPIC") == topic {
				found = m
			}
		}
		start = max(start, c.next)
		return found.Topic != ""
	})
	equal(s, "topic", found.Topic, aside)
	equal(s, "body", string(found.Body), "x")
	equal(s, "group", property(found, "PGROUP"), group)
	equal(s, "check-backs", len(m.requests), 0)
	equal(s, "messages", s.offset(remoting.RequestGetMaxOffset, topic, 0), 0)
}

// Many at once: each is decided by itself.
func txMany(s *scene) {
	const count = 30
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	var committed []string
	for i := range count {
		h := s.prepare(s.line(), letter{group: group, topic: topic, body: fmt.Sprint(i)})
		if i%3 == 0 {
			s.succeed("roll back", s.end(h, rollItBack))
			continue
		}
		s.succeed("commit", s.end(h, commitIt))
		committed = append(committed, fmt.Sprint(i))
	}
	if got := bodies(s.wait(topic, 0, len(committed))); !slices.Equal(got, committed) {
		s.Errorf("the queue has %q", got)
	}
}
