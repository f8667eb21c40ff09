package devbroker

import (
	"strings"
	"time"

	"orderflow/internal/mq/devbroker/filter"
	"orderflow/internal/mq/remoting"
)

// Bits of a pull's sysFlag.
const (
	pullCommits      = 1 << 0 // commitOffset is to be stored
	pullMayWait      = 1 << 1 // hold it until a message comes
	pullHasSelection = 1 << 2 // the subscription comes with it
)

// maxPullMessages bounds maxMsgNums.
const maxPullMessages = 1024

// PullMessage (11) reads messages of a queue, and waits for one if there is none.
//
// Asked by: the Go client and the Java client (361 is the same for its lite pull consumer).
// Fields:   consumerGroup, topic, queueId, queueOffset, maxMsgNums, sysFlag, commitOffset,
//
//	suspendTimeoutMillis; subscription, expressionType, subVersion. The filter is that of the
//	last heartbeat, unless sysFlag says that it comes with the pull.
//
// Answers:  0 with messages; 19 none yet; 20 none that the filter lets through; 21 offset outside
//
//	the queue: all four with nextBeginOffset, minOffset, maxOffset. 16 not readable; 17 no
//	such topic; 23 bad filter; 24 no subscription known; 25 a newer one is coming with a heartbeat;
//	26 no such group; 29 queue id illegal.
//
// Differs:  tags are compared exactly, not by their hash; an answer is at most 256 KiB or one message. An
//
//	SQL92 expression that comes with the pull and cannot be parsed lets nothing through, not everything.
func (b *Broker) pullMessage(r *request) (*response, error) {
	name, topic, id := r.text("consumerGroup"), r.text("topic"), r.int32("queueId")
	p := pull{offset: r.integer("queueOffset"), most: r.int32("maxMsgNums")}
	flags, commit := r.int32("sysFlag"), r.integerOr("commitOffset", -1)
	timeout := r.integerOr("suspendTimeoutMillis", 0)
	if err := r.err(); err != nil {
		return nil, err
	}
	if b.forbids(remoting.PermRead) {
		return nil, refuse(remoting.ResponseNoPermission, "the broker[%s] pulling message is forbidden", b.addr.Addr())
	}
	g := b.groupFor(name)
	switch {
	case g == nil:
		return nil, errNoGroup(name)
	case !g.config.ConsumeEnable:
		return nil, refuse(remoting.ResponseNoPermission, "subscription group no permission, %s", name)
	}
	q, err := b.readableQueue(topic, id)
	if err != nil {
		return nil, err
	}
	if p.let, err = b.selection(r, g, topic, flags); err != nil {
		return nil, err
	}
	p.most = min(max(p.most, 1), maxPullMessages)
	key := queueKey{topic, id}
	if to, reset := g.resets[key]; reset {
		delete(g.resets, key)
		return (&pulled{code: remoting.ResponsePullOffsetMoved, next: to, min: q.min(), max: q.next()}).response(), nil
	}
	if flags&pullCommits != 0 && commit >= 0 {
		b.setOffset(g, key, commit)
	}
	found := b.read(q, p)
	if found.code == remoting.ResponsePullNotFound && flags&pullMayWait != 0 && timeout > 0 && len(r.conn.held) < maxHeld {
		b.hold(r, q, p, time.Duration(timeout)*time.Millisecond)
		return nil, nil
	}
	return found.response(), nil
}

// selection is the filter of a pull.
func (b *Broker) selection(r *request, g *group, topic string, flags int) (filter.Expression, error) {
	kind, text, version := r.optional("expressionType"), r.optional("subscription"), r.integerOr("subVersion", 0)
	if flags&pullHasSelection != 0 {
		let, err := filter.Parse(kind, strings.Clone(text)) // a field shares the memory of its whole header
		if err != nil {
			return nil, refuse(remoting.ResponseSubscriptionInvalid, "parse the consumer's subscription failed: %v", err)
		}
		return let, r.err()
	}
	s := g.subscriptions[topic]
	switch {
	case len(g.members) == 0:
		return nil, refuse(remoting.ResponseSubscriptionNotExist, "the consumer's group info not exist")
	case s == nil:
		return nil, refuse(remoting.ResponseSubscriptionNotExist, "the consumer's subscription not exist")
	case s.version < version:
		return nil, refuse(remoting.ResponseSubscriptionNotLatest, "the consumer's subscription not latest")
	case s.failed != nil:
		return nil, refuse(remoting.ResponseFilterDataNotExist, "The broker's consumer filter data is not exist!Your expression may be wrong! %v", s.failed)
	}
	return s.let, r.err()
}
