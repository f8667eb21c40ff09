package devbroker

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"orderflow/internal/mq/remoting"
)

// half is a half message that nobody has decided about yet.
type half struct {
	entry    *entry
	first    int64 // the offset of the message that it is, or is a copy of
	asked    int   // check-backs so far
	next     int64 // when it is asked about next
	replaced bool  // a check-back has made a copy, which is asked about in its place
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

// reservedForHalf is how many bytes of properties the broker adds to a half message
// at most until it is delivered.
const reservedForHalf = 128 + reservedForTimer

// prepare stores a half message, where no consumer sees it. Whose copy it is only
// the broker says: a client could end another one's half message by it.
func (b *Broker) prepare(m remoting.StoredMessage) (*entry, error) {
	m.Properties = remoting.WithoutProperties(m.Properties, remoting.PropertyPreparedOffset)
	m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyTransactionID,
		remoting.Property(m.Properties, remoting.PropertyUniqueKey))
	m = waiting(m, topicHalf, 0)
	m.SysFlag &^= remoting.SysTransactionMask
	if most := maxPropertiesLength - reservedForHalf; len(m.Properties) > most {
		return nil, refuse(remoting.ResponseMessageIllegal, "the message is illegal: properties of %d bytes, a half message may have %d",
			len(m.Properties), most)
	}
	return b.put(m)
}

// watch begins to ask about a half message that was added to the state.
func (b *Broker) watch(m remoting.StoredMessage, e *entry) {
	h := &half{entry: e, first: e.offset}
	at := e.storedAt + b.settings.transactionTimeout.Milliseconds()
	if immune, asked := b.immunity(m.Properties); asked {
		at = m.BornAt + immune
	}
	h.asked, _ = strconv.Atoi(remoting.Property(m.Properties, remoting.PropertyCheckTimes))
	if of, err := strconv.ParseInt(remoting.Property(m.Properties, remoting.PropertyPreparedOffset), 10, 64); err == nil {
		h.first = of
		for _, older := range b.sameHalf(h) {
			older.replaced = true
		}
		b.copies[of] = append(b.copies[of], e.physical)
		at = e.storedAt + b.settings.checkInterval.Milliseconds()
	}
	b.halves[e.physical] = h
	b.askAt(h, at)
}

// askAt plans the next check-back. One that was planned before is no more valid.
func (b *Broker) askAt(h *half, at int64) {
	h.next = at
	b.schedule.add(at, h.entry, dueCheck)
}

// sameHalf are the half message and its copies, as far as they are there.
func (b *Broker) sameHalf(h *half) []*half {
	var same []*half
	if e := h.entry.queue.at(h.first); e != nil && b.halves[e.physical] != nil {
		same = append(same, b.halves[e.physical])
	}
	for _, physical := range b.copies[h.first] {
		same = append(same, b.halves[physical])
	}
	return same
}

// unwatch forgets that a message was a half message.
func (s *state) unwatch(physical int64) {
	h := s.halves[physical]
	if h == nil {
		return
	}
	delete(s.halves, physical)
	left := slices.DeleteFunc(s.copies[h.first], func(copied int64) bool { return copied == physical })
	if len(left) == 0 {
		delete(s.copies, h.first)
		return
	}
	s.copies[h.first] = left
}

// immunity is for how many milliseconds from its birth a half message asks not to
// be asked about, if it says that at all. What is no number of seconds, and -1, is
// the usual time.
func (b *Broker) immunity(properties string) (milliseconds int64, asked bool) {
	text := remoting.Property(properties, remoting.PropertyCheckImmunity)
	seconds, err := strconv.ParseInt(text, 10, 32)
	if err != nil || seconds == -1 {
		return b.settings.transactionTimeout.Milliseconds(), text != ""
	}
	return max(seconds, 0) * 1000, true
}

// check asks about a half message when it is time to.
func (b *Broker) check(e *entry, at int64) {
	if h := b.halves[e.physical]; h != nil && h.next == at && !h.replaced {
		b.checkNow(h)
	}
}

// checkNow asks a producer what became of a half message. Each time counts, also
// if there is nobody to ask; after too many the message is put aside.
func (b *Broker) checkNow(h *half) {
	m := h.message()
	if h.asked >= b.settings.maxChecks {
		b.discard(m, h)
		return
	}
	h.asked++
	m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyCheckTimes, strconv.Itoa(h.asked))
	if b.settings.repeatedCommits {
		copied := m
		copied.Properties = remoting.WithProperty(copied.Properties, remoting.PropertyPreparedOffset, strconv.FormatInt(h.first, 10))
		if again, err := b.put(copied); err == nil { // is on the schedule, too
			b.ask(copied, again)
			return
		}
	}
	b.askAt(h, b.now()+b.settings.checkInterval.Milliseconds())
	b.record(changeChecked, appendNumbers(nil, h.entry.physical, int64(h.asked), h.next))
	b.ask(m, h.entry)
}

// message decodes a half message, with what the broker says of it.
func (h *half) message() remoting.StoredMessage {
	m := h.entry.message()
	if h.asked > 0 {
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyCheckTimes, strconv.Itoa(h.asked))
	}
	return m
}

// ask sends the check-back to one of the producers of the message's group, to
// another one each time.
func (b *Broker) ask(m remoting.StoredMessage, e *entry) {
	group := remoting.Property(m.Properties, remoting.PropertyProducerGroup)
	producer := b.someProducer(group)
	if producer == nil {
		return
	}
	id := remoting.Property(m.Properties, remoting.PropertyUniqueKey)
	m.Topic = remoting.Property(m.Properties, remoting.PropertyRealTopic)
	m.QueueID, _ = strconv.Atoi(remoting.Property(m.Properties, remoting.PropertyRealQueueID))
	m.QueueOffset, m.PhysicalOffset, m.StoredAt, m.StoreHost = e.offset, e.physical, e.storedAt, b.addr
	body, err := remoting.AppendMessage(nil, m)
	if err != nil {
		b.settings.log.Warn("cannot ask about a half message", "error", err)
		return
	}
	check := remoting.NewRequest(remoting.RequestCheckTransaction, answerFields(
		"tranStateTableOffset", e.offset, "commitLogOffset", e.physical, "msgId", id, "transactionId", id,
		"offsetMsgId", remoting.OffsetMessageID(b.addr, e.physical), "bname", brokerName, "topic", topicHalf,
	), body)
	if b.push(producer.conn, check, map[string]string{"topic": m.Topic, "producerGroup": group}) {
		b.checks.open[e.physical] = true
	}
}

// discard puts a half message aside that nobody has decided about.
func (b *Broker) discard(m remoting.StoredMessage, h *half) {
	if b.topics[topicDiscarded] == nil {
		b.putTopic(newTopicConfig(topicDiscarded, 1))
	}
	m.Topic, m.QueueID = topicDiscarded, 0
	if _, err := b.put(m); err != nil {
		b.settings.log.Warn("a half message that nobody has decided about is lost", "error", err)
	}
	b.endHalf(h)
}

// commit delivers a half message to its topic. That it was one stays in its
// properties, as the real broker leaves it there.
func (b *Broker) commit(h *half) error {
	if b.readOnly {
		return errReadOnly()
	}
	m := h.message()
	m.Topic = remoting.Property(m.Properties, remoting.PropertyRealTopic)
	queue, err := strconv.Atoi(remoting.Property(m.Properties, remoting.PropertyRealQueueID))
	if err != nil {
		return err
	}
	m.QueueID = queue
	m.Properties = remoting.WithoutProperties(m.Properties, remoting.PropertyPreparedOffset)
	m.SysFlag = m.SysFlag&^remoting.SysTransactionMask | remoting.SysCommit
	m.PreparedOffset = h.entry.physical
	if _, err := b.store(m); err != nil {
		return err
	}
	b.endHalf(h)
	return nil
}

// endHalf forgets a half message that was decided about. Its older copies stay
// until they are too old: like with the real broker, somebody who decides late
// decides about the one that he has sent, and it is delivered again.
func (b *Broker) endHalf(h *half) {
	b.checks.close(h.entry.physical)
	b.end(h.entry)
}
