package devbroker

import (
	"strconv"
	"sync"
	"time"

	"orderflow/internal/mq/remoting"
)

// half is a half message that nobody has decided about yet.
type half struct {
	physical int64
	asked    int  // check-backs so far
	replaced bool // a check-back has made a copy, which is asked about in its place
}

// checkBacks are the half messages that producers are being asked about.
type checkBacks struct {
	open     map[int64]bool
	answered sync.Cond // with the broker's mu
}

func (c *checkBacks) init(mu *sync.Mutex) {
	c.open, c.answered.L = map[int64]bool{}, mu
}

// await waits until all check-backs are answered, or the time is over.
func (c *checkBacks) await(patience time.Duration) {
	c.answered.L.Lock()
	defer c.answered.L.Unlock()
	if len(c.open) == 0 {
		return
	}
	over := false
	timer := time.AfterFunc(patience, func() {
		c.answered.L.Lock()
		defer c.answered.L.Unlock()
		over = true
		c.answered.Broadcast()
	})
	defer timer.Stop()
	for len(c.open) > 0 && !over {
		c.answered.Wait()
	}
	clear(c.open) // the next round does not wait for them again
}

// close notes an answer.
func (c *checkBacks) close(physical int64) {
	delete(c.open, physical)
	c.answered.Broadcast()
}

// prepare stores a half message, where no consumer sees it.
func (b *Broker) prepare(m remoting.StoredMessage) (*entry, error) {
	m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyTransactionID,
		remoting.Property(m.Properties, remoting.PropertyUniqueKey))
	m = waiting(m, topicHalf, 0)
	m.SysFlag &^= remoting.SysTransactionMask
	return b.put(m)
}

// watch begins to ask about a half message that was added to the state.
func (b *Broker) watch(m remoting.StoredMessage, e *entry) {
	h := &half{physical: e.physical}
	h.asked, _ = strconv.Atoi(remoting.Property(m.Properties, remoting.PropertyCheckTimes))
	if h.asked > 0 { // a copy made by a check-back
		id := remoting.Property(m.Properties, remoting.PropertyUniqueKey)
		for _, other := range b.halves {
			if remoting.Property(b.find(other.physical).message().Properties, remoting.PropertyUniqueKey) == id {
				other.replaced = true
			}
		}
	}
	b.halves[e.physical] = h
	first := e.storedAt + b.settings.transactionTimeout.Milliseconds()
	if immune := immunity(m.Properties); immune > 0 {
		first = m.BornAt + immune
	}
	if h.asked > 0 {
		first = e.storedAt + b.settings.checkInterval.Milliseconds()
	}
	b.schedule.add(first, e.physical, dueCheck)
}

// immunity is for how many milliseconds from its birth a half message asks not to
// be asked about; 0 if it does not say.
func immunity(properties string) int64 {
	seconds, err := strconv.ParseInt(remoting.Property(properties, remoting.PropertyCheckImmunity), 10, 32)
	if err != nil || seconds < 0 {
		return 0
	}
	return seconds * 1000
}

// check asks a producer what became of a half message. Each time counts, also if
// there is nobody to ask; after too many the message is put aside.
func (b *Broker) check(physical int64) {
	h := b.halves[physical]
	if h == nil || h.replaced {
		return
	}
	e := b.find(physical)
	m := e.message()
	if h.asked >= b.settings.maxChecks {
		b.discard(m, e)
		return
	}
	h.asked++
	m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyCheckTimes, strconv.Itoa(h.asked))
	if b.settings.repeatedCommits {
		copied := m
		copied.Properties = remoting.WithProperty(copied.Properties, remoting.PropertyPreparedOffset, strconv.FormatInt(e.offset, 10))
		again, err := b.put(copied) // goes on the schedule, too
		if err != nil {
			b.settings.log.Warn("cannot renew a half message", "error", err)
			return
		}
		m, e = again.message(), again
	} else {
		b.record(changeChecked, appendNumbers(nil, physical, int64(h.asked)))
		b.schedule.add(b.now()+b.settings.checkInterval.Milliseconds(), physical, dueCheck)
	}
	b.ask(m, e)
}

// ask sends the check-back to one of the producers of the message's group, to
// another one each time.
func (b *Broker) ask(m remoting.StoredMessage, e *entry) {
	producer := b.someProducer(remoting.Property(m.Properties, remoting.PropertyProducerGroup))
	if producer == nil {
		return
	}
	id := remoting.Property(m.Properties, remoting.PropertyUniqueKey)
	m.Topic = remoting.Property(m.Properties, remoting.PropertyRealTopic)
	m.QueueID, _ = strconv.Atoi(remoting.Property(m.Properties, remoting.PropertyRealQueueID))
	body, err := remoting.AppendMessage(nil, m)
	if err != nil {
		b.settings.log.Warn("cannot ask about a half message", "error", err)
		return
	}
	b.checks.open[e.physical] = true
	b.push(producer.conn, remoting.RequestCheckTransaction, answerFields(
		"tranStateTableOffset", e.offset, "commitLogOffset", e.physical, "msgId", id, "transactionId", id,
		"offsetMsgId", remoting.OffsetMessageID(b.addr, e.physical), "bname", brokerName, "topic", topicHalf,
	), body)
}

// discard puts a half message aside that nobody has decided about.
func (b *Broker) discard(m remoting.StoredMessage, e *entry) {
	if b.topics[topicDiscarded] == nil {
		b.putTopic(newTopicConfig(topicDiscarded, 1))
	}
	m.Topic, m.QueueID = topicDiscarded, 0
	if _, err := b.put(m); err != nil {
		b.settings.log.Warn("cannot put a half message aside", "error", err)
		return
	}
	b.end(e)
}

// commit delivers a half message to its topic.
func (b *Broker) commit(m remoting.StoredMessage, e *entry) error {
	m.Topic = remoting.Property(m.Properties, remoting.PropertyRealTopic)
	queue, err := strconv.Atoi(remoting.Property(m.Properties, remoting.PropertyRealQueueID))
	if err != nil {
		return err
	}
	m.QueueID = queue
	m.Properties = remoting.WithoutProperties(m.Properties,
		remoting.PropertyRealTopic, remoting.PropertyRealQueueID, remoting.PropertyPrepared)
	m.SysFlag = m.SysFlag&^remoting.SysTransactionMask | remoting.SysCommit
	m.PreparedOffset = e.physical
	if _, err := b.store(m); err != nil {
		return err
	}
	b.endHalf(m, e)
	return nil
}

// endHalf forgets a half message, and the older copies of it. The end of an old
// copy leaves the newest one, about which a producer is being asked.
func (b *Broker) endHalf(m remoting.StoredMessage, e *entry) {
	h := b.halves[e.physical]
	b.end(e)
	if !b.settings.repeatedCommits || h == nil || h.replaced {
		return
	}
	id := remoting.Property(m.Properties, remoting.PropertyUniqueKey)
	for _, other := range b.halves {
		if old := b.find(other.physical); remoting.Property(old.message().Properties, remoting.PropertyUniqueKey) == id {
			b.end(old)
		}
	}
}
