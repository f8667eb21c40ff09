package devbroker

import (
	"cmp"
	"maps"
	"slices"

	"orderflow/internal/mq/remoting"
)

// RefuseWrites sets whether the broker refuses whatever it would have to store, as
// one does whose disk is full: sends, redeliveries and commits. What waits for its
// time is still delivered.
func (b *Broker) RefuseWrites(refuse bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readOnly = refuse
}

// ForgetHalf loses an undecided half message, by the id that its producer gave it,
// and tells whether there was one.
func (b *Broker) ForgetHalf(uniqueKey string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.writeRecord()
	found := false
	for _, h := range b.halvesInOrder() {
		if remoting.Property(h.entry.message().Properties, remoting.PropertyUniqueKey) == uniqueKey {
			b.endHalf(h)
			found = true
		}
	}
	return found
}

// halvesInOrder are the half messages in the order in which they came.
func (b *Broker) halvesInOrder() []*half {
	return slices.SortedFunc(maps.Values(b.halves), func(x, y *half) int {
		return cmp.Compare(x.entry.physical, y.entry.physical)
	})
}

// CheckNow asks about all undecided half messages, in the order in which they came
// and whenever they were due, and gives the producers a moment to answer, as
// Advance does.
func (b *Broker) CheckNow() {
	b.mu.Lock()
	for _, h := range b.halvesInOrder() {
		if !h.replaced {
			b.checkNow(h)
			b.writeRecord()
		}
	}
	b.mu.Unlock()
	b.checks.await(b.patience.answer)
}

// CutConnections ends all connections that there are. Clients may come back at once.
func (b *Broker) CutConnections() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		c.close()
	}
}

// Wipe loses all messages, topics, groups and offsets, as a broker does that comes
// back with an empty disk. Connections stay, and so does who is a producer or, as
// far as groups are created by their use, a member of a group. Pulls that are held
// are answered.
func (b *Broker) Wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.writeRecord()
	lost := b.state
	b.reset()
	b.planExpiry()
	clear(b.checks.open)
	b.record(changeWipe, nil)
	for _, t := range lost.topics {
		b.releaseTopic(t)
	}
	for name, old := range lost.groups {
		if len(old.members) == 0 {
			continue
		}
		if g := b.groupFor(name); g != nil {
			g.members, g.subscriptions = old.members, old.subscriptions
			g.model, g.kind, g.from = old.model, old.kind, old.from
		}
	}
}
