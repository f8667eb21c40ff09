package devbroker

import "time"

// due is something that happens at a time.
type due struct {
	at    int64 // epoch milliseconds
	order uint64
	entry *entry // the message that it is about, which may be gone by then
	what  dueKind
}

type dueKind uint8

const (
	dueDelivery dueKind = iota // a delayed message goes to its topic
	dueCheck                   // a half message is asked about
	dueExpiry                  // old messages are looked for
)

// schedule is what is due when: a heap with four children to a node, which for
// many timers takes half as many cache misses as one with two. What is due at the
// same time keeps the order in which it was added.
type schedule struct {
	heap  []due
	added uint64
	wake  chan struct{} // has a token when the first one has changed
}

func newSchedule() schedule { return schedule{wake: make(chan struct{}, 1)} }

func (s *schedule) add(at int64, e *entry, what dueKind) {
	s.added++
	item := due{at: at, order: s.added, entry: e, what: what}
	i := len(s.heap)
	s.heap = append(s.heap, item)
	for i > 0 {
		parent := (i - 1) / 4
		if !item.before(s.heap[parent]) {
			break
		}
		s.heap[i] = s.heap[parent]
		i = parent
	}
	s.heap[i] = item
	if i == 0 {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (d due) before(other due) bool {
	return d.at < other.at || d.at == other.at && d.order < other.order
}

// first is what is due next.
func (s *schedule) first() (due, bool) {
	if len(s.heap) == 0 {
		return due{}, false
	}
	return s.heap[0], true
}

// take removes the first one.
func (s *schedule) take() {
	last := len(s.heap) - 1
	item := s.heap[last]
	s.heap = s.heap[:last]
	if last == 0 {
		return
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= last {
			break
		}
		for child := least + 1; child < min(4*i+5, last); child++ {
			if s.heap[child].before(s.heap[least]) {
				least = child
			}
		}
		if !s.heap[least].before(item) {
			break
		}
		s.heap[i] = s.heap[least]
		i = least
	}
	s.heap[i] = item
}

// firedAtOnce bounds how long the lock is held for what is due.
const firedAtOnce = 500

// fire does what is due until then, and tells whether that is all; mu is held.
func (b *Broker) fire(until int64) (done bool) {
	for range firedAtOnce {
		next, some := b.schedule.first()
		if !some || next.at > until || b.failure.err != nil {
			return true
		}
		b.schedule.take()
		switch next.what {
		case dueDelivery:
			b.deliver(next.entry)
		case dueCheck:
			b.check(next.entry, next.at)
		case dueExpiry:
			b.expire()
			b.planExpiry()
			if err := b.compact(); err != nil { // the old journal goes on if it can
				b.settings.log.Warn("old messages stay in the data folder", "error", err)
			}
		}
		b.writeRecord() // one for each: its size must not depend on how much is due
	}
	return false
}

// runSchedule fires what comes due as time passes by itself.
func (b *Broker) runSchedule(ending <-chan struct{}) {
	for {
		b.mu.Lock()
		done := b.fire(b.now())
		next, some := b.schedule.first()
		failed := b.failure.err != nil
		b.mu.Unlock()
		if failed {
			return
		}
		if !done {
			continue
		}
		var later <-chan time.Time
		if some {
			later = b.settings.clock.After(time.UnixMilli(next.at).Sub(b.settings.clock.Now()))
		}
		select {
		case <-ending:
			return
		case <-later:
		case <-b.schedule.wake:
		}
	}
}

// Advance pushes the broker's clock forward by d. Everything that is due by then,
// deliveries, redeliveries and check-backs, happens in its order and at its time
// before Advance returns. After each check-back it gives the producer a moment of
// real time to answer, so that a long push does not ask a hundred times within a
// millisecond.
func (b *Broker) Advance(d time.Duration) {
	b.advancing.Lock()
	defer b.advancing.Unlock()
	clock := b.settings.clock
	target := clock.Now().Add(d)
	for {
		b.mu.Lock()
		next, some := b.schedule.first()
		failed := b.failure.err != nil
		b.mu.Unlock()
		at := time.UnixMilli(next.at)
		if !some || failed || at.After(target) {
			break
		}
		if ahead := at.Sub(clock.Now()); ahead > 0 {
			clock.Advance(ahead)
		}
		b.fireAll(next.at)
	}
	if ahead := target.Sub(clock.Now()); ahead > 0 {
		clock.Advance(ahead)
	}
	b.fireAll(target.UnixMilli())
}

func (b *Broker) fireAll(until int64) {
	for done := false; !done; {
		b.mu.Lock()
		done = b.fire(until)
		b.mu.Unlock()
	}
	b.checks.await(b.patience.answer)
}
