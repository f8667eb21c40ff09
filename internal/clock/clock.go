// Package clock is where time comes in. The domain never calls time.Now: it is
// given a Clock, so that a test, or a process that shares its clock with an
// embedded broker, decides what time it is.
package clock

import (
	"sync"
	"time"
)

// Clock tells the time and waits.
type Clock interface {
	// Now is the current time.
	Now() time.Time
	// After returns a channel that receives once d has passed on this clock,
	// at once if d is not positive.
	After(d time.Duration) <-chan time.Time
}

// System is the clock of the machine.
type System struct{}

// Now is time.Now.
func (System) Now() time.Time { return time.Now() }

// After is time.After.
func (System) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Manual is a clock that stands still until it is advanced. It is safe for
// concurrent use.
type Manual struct {
	mu     sync.Mutex
	now    time.Time
	timers []manualTimer
}

type manualTimer struct {
	at time.Time
	c  chan time.Time
}

// NewManual returns a clock that stands at now.
func NewManual(now time.Time) *Manual { return &Manual{now: now} }

// Now is where the clock stands.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// After returns a channel that receives when the clock has been advanced by d.
func (m *Manual) After(d time.Duration) <-chan time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := make(chan time.Time, 1)
	if d <= 0 {
		c <- m.now
		return c
	}
	m.timers = append(m.timers, manualTimer{at: m.now.Add(d), c: c})
	return c
}

// Advance moves the clock forward by d and fires every timer that is due.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	waiting := m.timers[:0]
	for _, t := range m.timers {
		if t.at.After(m.now) {
			waiting = append(waiting, t)
			continue
		}
		t.c <- m.now
	}
	m.timers = waiting
}

// Waiting is how many timers have not fired yet: a test waits for it before it
// advances the clock.
func (m *Manual) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.timers)
}

// Ahead is the machine's clock, ahead of it by what it was advanced: time passes
// by itself and can be pushed. It is safe for concurrent use.
type Ahead struct {
	mu     sync.Mutex
	offset time.Duration
	timers map[*aheadTimer]struct{}
}

type aheadTimer struct {
	at   time.Time // on this clock
	c    chan time.Time
	real *time.Timer
}

// NewAhead returns a clock that shows the machine's time until it is advanced.
func NewAhead() *Ahead { return &Ahead{timers: make(map[*aheadTimer]struct{})} }

// Now is the machine's time and what the clock was advanced by.
func (a *Ahead) Now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now()
}

func (a *Ahead) now() time.Time { return time.Now().Add(a.offset) }

// After returns a channel that receives once d has passed on this clock.
func (a *Ahead) After(d time.Duration) <-chan time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := &aheadTimer{at: a.now().Add(d), c: make(chan time.Time, 1)}
	if d <= 0 {
		t.c <- t.at
		return t.c
	}
	a.timers[t] = struct{}{}
	t.real = time.AfterFunc(d, func() { a.fire(t) })
	return t.c
}

func (a *Ahead) fire(t *aheadTimer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fireLocked(t)
}

// fireLocked fires a timer once.
func (a *Ahead) fireLocked(t *aheadTimer) {
	if _, waiting := a.timers[t]; waiting {
		delete(a.timers, t)
		t.real.Stop()
		t.c <- a.now()
	}
}

// Advance moves the clock forward by d and fires every timer that is due.
func (a *Ahead) Advance(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offset += d
	now := a.now()
	for t := range a.timers {
		if left := t.at.Sub(now); left > 0 {
			t.real.Reset(left)
			continue
		}
		a.fireLocked(t)
	}
}
