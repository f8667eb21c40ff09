package order

import (
	"sync"

	"orderflow/internal/mq/message"
)

// outcomesKept is how many half messages a process remembers the end of.
const outcomesKept = 1 << 16

// outcomes remembers how half messages ended, by the ids of their barriers, so that
// a broker that asks again and again costs no statement each time. It holds nothing
// that the database has not acknowledged: what is missing is asked of the barrier,
// whose row never changes. The oldest are forgotten.
type outcomes struct {
	mu    sync.Mutex
	known map[string]*ending
	order []string // a ring of the ids in known
	next  int
}

type ending struct {
	state message.TransactionState
	told  bool // the timeline has a check-back of it
}

func newOutcomes(kept int) *outcomes {
	return &outcomes{known: make(map[string]*ending), order: make([]string, kept)}
}

// keep remembers an end, and whether the timeline has a check-back of it;
// StateUnknown is no end.
func (o *outcomes) keep(id string, state message.TransactionState, told bool) {
	if state == message.StateUnknown {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known[id] != nil {
		return
	}
	delete(o.known, o.order[o.next])
	o.known[id], o.order[o.next] = &ending{state: state, told: told}, id
	o.next = (o.next + 1) % len(o.order)
}

// of returns the end of a half message for a check-back, and whether the timeline has
// one already; StateUnknown if the end is not remembered.
func (o *outcomes) of(id string) (state message.TransactionState, told bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.known[id]
	if known == nil {
		return message.StateUnknown, false
	}
	told, known.told = known.told, true
	return known.state, told
}
