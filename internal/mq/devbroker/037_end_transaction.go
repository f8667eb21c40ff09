package devbroker

import (
	"orderflow/internal/mq/remoting"
)

// EndTransaction (37) decides about a half message, or answers a check-back.
//
// Asked by: transaction producers; the clients do not wait for the answer.
// Fields:   producerGroup, tranStateTableOffset (in the queue of half messages), commitLogOffset,
//
//	commitOrRollback (8 commit, 12 rollback, 0 not known), fromTransactionCheck.
//
// Answers:  0; 1 no such half message, or of another group or offset; 14 the broker refuses writes; 604
//
//	too late for the immunity that the message asked for. None at all for "not known".
//
// Differs:  a half message is decided once: the second time it is no more found. The real broker delivers
//
//	it again. With WithRepeatedCommits the copy that was sent first can still be decided about after
//	a check-back has made another one.
func (b *Broker) endTransaction(r *request) (*response, error) {
	group, offset, physical := r.text("producerGroup"), r.integer("tranStateTableOffset"), r.integer("commitLogOffset")
	decision, checked := r.integer("commitOrRollback"), r.boolean("fromTransactionCheck")
	if err := r.err(); err != nil {
		return nil, err
	}
	if checked {
		b.checks.close(physical)
	}
	if decision != remoting.SysCommit && decision != remoting.SysRollback {
		return nil, nil
	}
	h := b.halves[physical]
	if h == nil {
		return nil, refuse(remoting.ResponseSystemError, "Find prepared transaction message failed")
	}
	m := h.entry.message()
	immune, asked := b.immunity(m.Properties)
	immune = max(immune, b.settings.transactionTimeout.Milliseconds()) // a short one hastens the check-back only
	switch {
	case asked && !checked && r.now-m.BornAt > immune:
		return nil, refuse(remoting.ResponseIllegalOperation, "later than the check immunity: the check-back decides")
	case remoting.Property(m.Properties, remoting.PropertyProducerGroup) != group:
		return nil, refuse(remoting.ResponseSystemError, "The producer group wrong")
	case h.entry.offset != offset:
		return nil, refuse(remoting.ResponseSystemError, "The transaction state table offset wrong")
	}
	if decision == remoting.SysCommit {
		return &response{}, b.commit(h)
	}
	b.endHalf(h)
	return &response{}, nil
}
