package devbroker

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fault makes requests go wrong. The zero value of a field matches everything.
type Fault struct {
	// Code is the request code; 39 (check-back) and 40 (members have changed) are
	// requests that the broker sends.
	Code int
	// Topic and Group are what a request names in its fields, whatever the code calls
	// the field. A check-back is about the topic that the message is for and asks its
	// producer group. What only a body names, as heartbeats do, is not matched.
	Topic, Group string
	// Skip lets the first ones pass that match.
	Skip int
	// Times is how often it applies; 0 is until it is cancelled.
	Times int
	// Action is what happens. Without one the requests are only counted.
	Action Action
}

// Action is what a fault does to a request. The time that some of them take is the
// machine's, whatever the clock shows; other requests go on meanwhile.
type Action struct {
	kind   actionKind
	delay  time.Duration
	code   int
	remark string
}

type actionKind int

const (
	actionNone actionKind = iota
	actionDelay
	actionDrop
	actionAnswer
	actionCut
	actionCutAfter
	actionLoseReply
	actionDuplicate
	actionReorder
)

// Delay does the request later. It is not done if the connection has ended by then.
func Delay(d time.Duration) Action { return Action{kind: actionDelay, delay: d} }

// Drop neither does nor answers the request.
func Drop() Action { return Action{kind: actionDrop} }

// Answer answers the request with a response code and does not do it.
func Answer(code int, remark string) Action {
	return Action{kind: actionAnswer, code: code, remark: remark}
}

// Cut cuts the connection; the request is not done.
func Cut() Action { return Action{kind: actionCut} }

// CutAfter does the request and cuts the connection instead of an answer.
func CutAfter() Action { return Action{kind: actionCutAfter} }

// LoseReply does the request and does not answer it.
func LoseReply() Action { return Action{kind: actionLoseReply} }

// Duplicate does the request twice and gives the first answer.
func Duplicate() Action { return Action{kind: actionDuplicate} }

// Reorder does the request behind the next one of its code, or after ReorderTime
// if there is none.
func Reorder() Action { return Action{kind: actionReorder} }

// ReorderTime is how long a request waits for the next one at most.
const ReorderTime = 200 * time.Millisecond

// Injected is a fault at work. It is safe for concurrent use.
type Injected struct {
	Fault
	all   *faults
	seen  int // requests that matched; guarded by all.mu, as is the next one
	fired int
}

// Fired is how many requests it has been applied to.
func (i *Injected) Fired() int {
	i.all.mu.Lock()
	defer i.all.mu.Unlock()
	return i.fired
}

// Cancel ends the fault. Requests that it has delayed stay delayed.
func (i *Injected) Cancel() { i.all.remove(i) }

// Inject begins to apply a fault, until it is cancelled or has been applied often
// enough. Of several that match a request the one that came first applies. They
// outlive a Restart.
func (b *Broker) Inject(f Fault) *Injected {
	i := &Injected{Fault: f, all: &b.faults}
	b.faults.mu.Lock()
	defer b.faults.mu.Unlock()
	b.faults.active = append(b.faults.active, i)
	b.faults.some.Store(true)
	return i
}

// faults are those at work, and the requests that wait for the next one.
type faults struct {
	some atomic.Bool // there are any or have been

	mu      sync.Mutex
	active  []*Injected
	waiting map[int][]chan struct{} // by request code
}

// next tells what is to happen to a request with these fields.
func (s *faults) next(code int, fields map[string]string) Action {
	if !s.some.Load() {
		return Action{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.active {
		if !i.matches(code, fields) {
			continue
		}
		if i.seen++; i.seen <= i.Skip {
			return Action{}
		}
		if i.fired++; i.fired == i.Times {
			s.removeLocked(i)
		}
		return i.Action
	}
	return Action{}
}

func (s *faults) remove(i *Injected) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(i)
}

func (s *faults) removeLocked(i *Injected) {
	s.active = slices.DeleteFunc(s.active, func(other *Injected) bool { return other == i })
}

// matches tells whether a fault is about a request.
func (f Fault) matches(code int, fields map[string]string) bool {
	named := func(value string, names ...string) bool {
		return value == "" || slices.ContainsFunc(names, func(name string) bool { return fields[name] == value })
	}
	return (f.Code == 0 || f.Code == code) &&
		named(f.Topic, "topic", "originTopic", "b") &&
		named(f.Group, "producerGroup", "consumerGroup", "group", "groupName", "a")
}

// await returns a channel that is closed when the next request of the code has
// been handled.
func (s *faults) await(code int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[int][]chan struct{}{}
	}
	next := make(chan struct{})
	s.waiting[code] = append(s.waiting[code], next)
	return next
}

// forget ends what await has begun.
func (s *faults) forget(code int, next <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := slices.DeleteFunc(s.waiting[code], func(other chan struct{}) bool { return other == next })
	if s.waiting[code] = left; len(left) == 0 {
		delete(s.waiting, code)
	}
}

// handled lets those go on that wait for a request of the code.
func (s *faults) handled(code int) {
	if !s.some.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, next := range s.waiting[code] {
		close(next)
	}
	delete(s.waiting, code)
}
