package mqtest

import (
	"time"

	"orderflow/internal/mq/remoting"
)

// late is how much later than its time something may arrive at a case, on a
// machine that is busy with much else.
const late = 10 * time.Second

// tardy is how much later than its time a broker may store what it delivers. It is
// less than from level 1 to level 2, and from level 16 to level 17. The real one
// looks at a level ten times a second, and at timers once a second for the second
// that is over.
const tardy = 3 * time.Second

// span is when something happened by the broker's own clock: between two
// milliseconds since 1970.
type span struct{ first, last int64 }

// storing is when a message was stored.
func storing(m remoting.StoredMessage) span { return span{m.StoredAt, m.StoredAt} }

// notBefore moves a span that would begin before a time.
func (sp span) notBefore(t time.Time) span {
	return span{max(sp.first, t.UnixMilli()), max(sp.last, t.UnixMilli())}
}

// during does something and tells when that was.
func (s *scene) during(do func()) span {
	s.Helper()
	first := s.brokerTime()
	do()
	return span{first, s.brokerTime()}
}

// brokerTime reads the broker's clock: a message says when it was stored.
func (s *scene) brokerTime() int64 {
	s.Helper()
	if s.clock == "" {
		s.clock = s.topic(1)
	}
	return s.view(s.receipt(s.succeed("a message for its time", s.line().post(letter{topic: s.clock, body: "x"}))).id).StoredAt
}

// onTime checks when a broker has stored what it was to deliver: never before its
// time, and not much later. However busy the case's machine is, it is only the
// broker's clock that counts.
func (s *scene) onTime(what string, got remoting.StoredMessage, since span, delay time.Duration) {
	s.Helper()
	first, last := since.first+delay.Milliseconds(), since.last+(delay+tardy).Milliseconds()
	if got.StoredAt < first {
		s.Errorf("%s is stored %d ms too early for %v", what, first-got.StoredAt, delay)
	}
	if got.StoredAt > last {
		s.Errorf("%s is stored %d ms too late for %v and %v", what, got.StoredAt-last, delay, tardy)
	}
}
