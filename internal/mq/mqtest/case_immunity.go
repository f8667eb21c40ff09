package mqtest

import (
	"slices"
	"strconv"
	"time"

	"orderflow/internal/mq/remoting"
)

// With a time of its own for the first check-back a half message must be ended
// before: later only the check-back decides.
func txImmunity(s *scene) {
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	immune := letter{group: group, topic: topic, body: "x", properties: map[string]string{"CHECK_IMMUNITY_TIME_IN_SECONDS": "30"}}
	early := s.prepare(s.line(), immune)
	s.succeed("commit in time", s.end(early, commitIt))
	s.wait(topic, 0, 1)
	immune.body, immune.bornAt = "late", time.Now().Add(-31*time.Second).UnixMilli()
	late := s.prepare(s.line(), immune)
	for _, decision := range []int{commitIt, rollItBack} {
		answer := s.end(late, decision)
		equal(s, "code of a late end", answer.Code, remoting.ResponseIllegalOperation)
	}
	m := s.member()
	m.produce(group)
	s.succeed("commit by check-back", s.end(m.checkedFor(group, "late"), commitIt))
	if got := bodies(s.wait(topic, 0, 2)); !slices.Equal(got, []string{"x", "late"}) {
		s.Errorf("the queue has %q", got)
	}
}

// A time of its own never means less than the broker's for the end of a half
// message, and one that cannot be read means that: TransactionalMessageUtil.getImmunityTime.
func txImmunityTooShort(s *scene) {
	ms, err := strconv.Atoi(s.config["transactionTimeOut"])
	if err != nil {
		s.Fatal(err)
	}
	timeout := time.Duration(ms) * time.Millisecond
	topic, group := s.typedTopic("TRANSACTION", 1), s.fresh("producers")
	var want []string
	for _, immunity := range []string{"0", "x", "-5"} {
		m := letter{group: group, topic: topic, properties: map[string]string{"CHECK_IMMUNITY_TIME_IN_SECONDS": immunity}}
		for name, age := range map[string]time.Duration{"at once": 0, "between": timeout / 3} {
			m.body = immunity + " " + name
			s.commitWithin(timeout, age, m)
			want = append(want, m.body)
		}
		m.body, m.bornAt = immunity+" late", time.Now().Add(-timeout-time.Second).UnixMilli()
		late := s.prepare(s.line(), m)
		for _, decision := range []int{commitIt, rollItBack} {
			equal(s, m.body+": code", s.end(late, decision).Code, remoting.ResponseIllegalOperation)
		}
		late.check = true // as if it had been asked about
		s.succeed(m.body, s.end(late, rollItBack))
	}
	if got := bodies(s.wait(topic, 0, len(want))); !slices.Equal(got, want) {
		s.Errorf("the queue has %q, want %q", got, want)
	}
}

// commitWithin commits a half message that is so old already, before a time is
// over since its birth. Where the machine is too busy for that, what was refused
// is rolled back and it tries again.
func (s *scene) commitWithin(limit, age time.Duration, m letter) {
	s.Helper()
	for {
		born := time.Now().Add(-age)
		m.bornAt = born.UnixMilli()
		h := s.prepare(s.line(), m)
		answer := s.end(h, commitIt)
		if answer.Code == remoting.ResponseSuccess {
			return
		}
		if took := time.Since(born); took < limit || s.ctx.Err() != nil {
			s.Fatalf("%s: after %v the answer has code %d: %s", m.body, took, answer.Code, answer.Remark)
		}
		h.check = true
		s.succeed("roll back", s.end(h, rollItBack))
	}
}
