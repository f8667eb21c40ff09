package devbroker

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"orderflow/internal/mq/remoting"
)

// maxTimerDelay is how far ahead a timer may be (timerMaxDelaySec).
const maxTimerDelay = 3 * 24 * time.Hour

// store stores a message that is complete but for what the broker adds, in its
// topic or, if its properties ask for that, where delayed messages wait.
func (b *Broker) store(m remoting.StoredMessage) (*entry, error) {
	if m.SysFlag&remoting.SysTransactionMask == remoting.SysPrepared {
		return b.put(m)
	}
	level, err := delayLevel(m.Properties)
	if err != nil {
		return nil, err
	}
	if level > 0 {
		return b.putDelayed(m, min(level, len(b.settings.levels)))
	}
	at, err := timerOf(m.Properties, b.now())
	switch {
	case err != nil, at > b.now()+maxTimerDelay.Milliseconds():
		return nil, refuse(remoting.ResponseMessageIllegal,
			"timer message illegal, the delay time should not be bigger than the max delay %dms; or if set del msg, the delay time should be bigger than the current time",
			maxTimerDelay.Milliseconds())
	case at > b.now():
		return b.putTimer(m, at)
	}
	return b.put(m)
}

// delayLevel is the level that properties ask for; 0 is none.
func delayLevel(properties string) (int, error) {
	value := remoting.Property(properties, remoting.PropertyDelayLevel)
	if value == "" {
		return 0, nil
	}
	level, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return 0, refuse(remoting.ResponseSystemError, "the property %s is not a number: %.40q", remoting.PropertyDelayLevel, value)
	}
	return int(level), nil
}

// putDelayed stores a message in the queue of a level. A delivery level above the
// table's end is the last one, as with the real broker.
func (b *Broker) putDelayed(m remoting.StoredMessage, level int) (*entry, error) {
	m.Properties = remoting.WithoutProperties(m.Properties, remoting.PropertyTimerDeliverMillis,
		remoting.PropertyTimerDelaySeconds, remoting.PropertyTimerDelayMillis)
	m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyDelayLevel, strconv.Itoa(level))
	return b.put(waiting(m, topicSchedule, level-1))
}

// timerPrecision is what the real broker cuts the time of a timer to
// (timerPrecisionMs). Here a timer is delivered at its millisecond, and only says the
// same as there.
const timerPrecision = 1000

// putTimer stores a message that is due at a time of its own.
func (b *Broker) putTimer(m remoting.StoredMessage, at int64) (*entry, error) {
	out := (at - 1) / timerPrecision * timerPrecision // a whole second is cut, too
	if at%timerPrecision != 0 {
		out = at / timerPrecision * timerPrecision
	}
	m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyTimerOutMillis, strconv.FormatInt(out, 10))
	m = waiting(m, topicTimer, 0)
	if most := maxPropertiesLength - reservedForTimer; len(m.Properties) > most {
		return nil, refuse(remoting.ResponseMessageIllegal, "the message is illegal: properties of %d bytes, a timer may have %d",
			len(m.Properties), most)
	}
	return b.put(m)
}

// reservedForTimer is room for the two times that a timer gets when it is delivered.
const reservedForTimer = 64

// waiting is a message in one of the broker's own topics, which remembers where it
// belongs.
func waiting(m remoting.StoredMessage, topic string, queue int) remoting.StoredMessage {
	m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyRealTopic, m.Topic)
	m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyRealQueueID, strconv.Itoa(m.QueueID))
	m.Topic, m.QueueID = topic, queue
	return m
}

// timerOf is when a message shall be delivered by one of the three properties of
// RocketMQ 5, in their order; 0 if it has none, or was a timer already. Delays count
// from then.
func timerOf(properties string, from int64) (int64, error) {
	if remoting.Property(properties, remoting.PropertyTimerOutMillis) != "" {
		return 0, nil
	}
	return askedTime(properties, from)
}

// askedTime is what timerOf is before a message waits.
func askedTime(properties string, from int64) (int64, error) {
	for _, kind := range []struct {
		name  string
		unit  int64
		start int64
	}{
		{remoting.PropertyTimerDelaySeconds, 1000, from},
		{remoting.PropertyTimerDelayMillis, 1, from},
		{remoting.PropertyTimerDeliverMillis, 1, 0},
	} {
		value := remoting.Property(properties, kind.name)
		if value == "" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > math.MaxInt64/2/kind.unit {
			return 0, fmt.Errorf("property %s: %.40q is no time", kind.name, value)
		}
		return max(kind.start+max(n, -kind.start)*kind.unit, 1), nil
	}
	return 0, nil
}

// plan puts a message that was added to the state on the schedule, if it is one
// that waits.
func (b *Broker) plan(m remoting.StoredMessage, e *entry) {
	switch m.Topic {
	case topicSchedule:
		level := b.settings.levels[min(max(m.QueueID, 0), len(b.settings.levels)-1)]
		b.schedule.add(e.storedAt+level.Milliseconds(), e, dueDelivery)
	case topicTimer:
		at, err := askedTime(m.Properties, e.storedAt)
		if err != nil {
			at = e.storedAt
		}
		b.schedule.add(at, e, dueDelivery)
	case topicHalf:
		b.watch(m, e)
	}
}

// deliver moves a delayed message to its topic. What it has waited for stays in its
// properties, as the real broker leaves it there.
func (b *Broker) deliver(e *entry) {
	if e.frame == nil {
		return
	}
	m := e.message()
	waited := m.Topic
	m.Topic = remoting.Property(m.Properties, remoting.PropertyRealTopic)
	queue, err := strconv.Atoi(remoting.Property(m.Properties, remoting.PropertyRealQueueID))
	m.QueueID = queue
	if waited == topicTimer {
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyTimerEnqueueMillis, strconv.FormatInt(e.storedAt, 10))
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyTimerDequeueMillis, strconv.FormatInt(b.now(), 10))
	}
	if err == nil {
		_, err = b.put(m)
	}
	if err != nil {
		b.settings.log.Warn("a delayed message is lost", "topic", m.Topic, "error", err)
	}
	b.end(e)
}

// put stores a message in the queue that it names, and gives it its offsets and
// the time.
func (b *Broker) put(m remoting.StoredMessage) (*entry, error) { return b.putAt(m, b.storeTime()) }

// storeTime is when a message is stored now. Searches by time rely on it that none is
// older than the one before.
func (b *Broker) storeTime() int64 { return max(b.now(), b.lastStored()) }

// putAt stores a message with a storeTime.
func (b *Broker) putAt(m remoting.StoredMessage, at int64) (*entry, error) {
	q := b.queue(m.Topic, m.QueueID)
	if q == nil {
		return nil, noTopic(m.Topic)
	}
	m.QueueOffset, m.PhysicalOffset = q.next(), b.physical
	m.StoredAt, m.StoreHost = at, b.addr
	frame, err := remoting.AppendMessage(make([]byte, 0, remoting.MessageSize(m)), m)
	if err != nil {
		return nil, refuse(remoting.ResponseMessageIllegal, "the message is illegal: %v", err)
	}
	b.record(changeMessage, frame)
	e := b.add(q, m, frame)
	b.plan(m, e)
	b.wakeHeld(q)
	return e, nil
}

// end forgets a message that has waited long enough.
func (b *Broker) end(e *entry) {
	if b.recording {
		b.record(changeEnded, appendNumbers(nil, e.physical))
	}
	b.forget(e)
}

// forget is what end does to the state.
func (b *Broker) forget(e *entry) {
	b.unwatch(e.physical)
	b.drop(e)
	e.queue.trim()
}
