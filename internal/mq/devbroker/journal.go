package devbroker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// A record of the journal is one or more changes of the state that belong
// together, such as a message that leaves the queue of a delay level and the same
// message in its topic. A change is a kind, the length of its content, and that.
const (
	changeTopic     = 'T' // settings of a topic, as JSON
	changeNoTopic   = 't' // the name of a topic that was deleted
	changeGroup     = 'G' // settings of a consumer group, as JSON
	changeNoGroup   = 'g' // the name of a group that was deleted
	changeOffset    = 'O' // group, topic, queue and offset
	changeMessage   = 'M' // a message as it is stored
	changeEnded     = 'E' // the physical offset of a message that has waited long enough
	changeChecked   = 'C' // the physical offset of a half message, how often it was asked about, and when next
	changeNextQueue = 'Q' // topic, queue and the offset of its next message
	changeNextByte  = 'P' // the physical offset of the next message
	changeWipe      = 'W' // everything is gone
)

// maxAhead bounds how far the clock is pushed because of what is in a data folder, in
// milliseconds: ten years.
const maxAhead = 10 * 366 * 24 * 60 * 60 * 1000

// neverAgain is when next a half message is asked about that was replaced by a copy.
const neverAgain = -1

// compactAbove is the size of a journal that is not worth writing anew.
const compactAbove = 16 << 20

// open makes the state: empty, or read from the data folder.
func (b *Broker) open() error {
	b.state, b.schedule, b.failure = newState(), newSchedule(), newFailure()
	clear(b.checks.open)
	b.addSystemTopics(len(b.settings.levels), b.settings.createTopics)
	if b.settings.data != "" {
		if err := b.openJournal(); err != nil {
			return err
		}
	}
	b.planExpiry() // not before: a wipe in the journal empties the schedule
	return nil
}

// openJournal reads the state from the data folder.
func (b *Broker) openJournal() error {
	journal, err := wal.Open(b.settings.data, wal.Options{Fsync: b.settings.fsync, Logger: b.settings.log}, b.replay)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	b.journal, b.recording, b.position = journal, true, 0
	b.addSystemTopics(len(b.settings.levels), b.settings.createTopics)
	if ahead := min(b.lastStored()-b.now(), maxAhead); ahead > 0 {
		// The clock had been pushed, or the machine's was set back since: time goes on
		// where it was, for the services that share the clock, too.
		by := time.Duration(ahead) * time.Millisecond
		b.settings.log.Info("the clock was pushed to the last message of the data folder", "by", by)
		b.settings.clock.Advance(by)
	}
	b.expire()
	if err := b.compact(); err != nil {
		return errors.Join(err, b.closeJournal())
	}
	return nil
}

func (b *Broker) closeJournal() error {
	if b.journal == nil {
		return nil
	}
	err := b.journal.Close()
	b.journal, b.recording = nil, false
	return err
}

// maxRecord is when a record is written though its request may change more: the
// journal takes 32 MiB. Whatever has to be one record is shorter.
const maxRecord = 24 << 20

// record adds a change to the record that is being written.
func (b *Broker) record(kind byte, content []byte) {
	if !b.recording {
		return
	}
	if len(b.written)+len(content) > maxRecord {
		b.writeRecord()
	}
	b.written = appendChange(b.written, kind, content)
}

func appendChange(dst []byte, kind byte, content []byte) []byte {
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, uint64(len(content)))
	return append(dst, content...)
}

// writeRecord gives the journal what has changed since it was last called. All of
// the state is safe when awaitSafe of the position has returned. Who only reads
// waits for it, too: a message that somebody has seen must not be gone after a kill,
// and another one be at its offset.
func (b *Broker) writeRecord() wal.Position {
	if len(b.written) == 0 {
		return b.position
	}
	if b.failure.err != nil {
		b.written = b.written[:0]
		return b.position
	}
	position, err := b.journal.Append(b.written)
	if b.written = b.written[:0]; cap(b.written) > recordSize {
		b.written = nil
	}
	if err != nil {
		b.fail(err)
	}
	b.position = max(b.position, position)
	return b.position
}

// recorded is the position of all that has changed so far.
func (b *Broker) recorded() wal.Position {
	b.mu.Lock() // whoever changes something has given it to the journal by then
	defer b.mu.Unlock()
	return b.position
}

// awaitSafe waits until a change is as safe as was asked for; 0 is.
func (b *Broker) awaitSafe(position wal.Position) error {
	if position == 0 {
		return nil
	}
	err := b.journal.Wait(position)
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.fail(err)
	}
	return err
}

// replay applies a record to the state.
func (b *Broker) replay(record []byte) error {
	for len(record) > 0 {
		kind := record[0]
		length, n := binary.Uvarint(record[1:])
		if n <= 0 || length > uint64(len(record)-1-n) {
			return fmt.Errorf("%w: a change of kind %q is cut", remoting.ErrMalformed, kind)
		}
		content := record[1+n : 1+n+int(length)]
		record = record[1+n+int(length):]
		if err := b.apply(kind, content); err != nil {
			return fmt.Errorf("change of kind %q: %w", kind, err)
		}
	}
	return nil
}

func (b *Broker) apply(kind byte, content []byte) error {
	switch kind {
	case changeTopic:
		return b.applyTopic(content)
	case changeNoTopic:
		if isSystemTopic(string(content)) {
			return fmt.Errorf("%w: topic %s cannot be deleted", remoting.ErrMalformed, content)
		}
		b.removeTopic(string(content))
	case changeGroup:
		return b.setGroup(content)
	case changeNoGroup:
		delete(b.groups, string(content))
	case changeOffset:
		return b.applyOffset(content)
	case changeMessage:
		return b.applyMessage(content)
	case changeEnded, changeChecked, changeNextByte:
		return b.applyNumbers(kind, content)
	case changeNextQueue:
		return b.applyNextQueue(content)
	case changeWipe:
		b.reset()
	default:
		return remoting.ErrMalformed
	}
	return nil
}

// Larger than anything gets that is in a journal.
const (
	maxOffset       = 1 << 62
	maxReplayQueues = 2 * maxAllQueues
)

func (b *Broker) applyTopic(content []byte) error {
	var config remoting.TopicConfig
	if err := json.Unmarshal(content, &config); err != nil {
		return err
	}
	if min(config.ReadQueues, config.WriteQueues) < 0 || !b.replayRoom(config.Name, max(config.ReadQueues, config.WriteQueues)) {
		return fmt.Errorf("%w: topic with %d and %d queues", remoting.ErrMalformed, config.ReadQueues, config.WriteQueues)
	}
	b.setTopic(config)
	return nil
}

// replayQueue finds a queue. One that its topic had before its settings were changed
// is made again, and so is that of a level that the table no longer has.
func (b *Broker) replayQueue(name string, id int) (*queue, error) {
	t := b.topics[name]
	if t == nil || id < 0 || !b.replayRoom(name, id+1) {
		return nil, fmt.Errorf("%w: queue %d of topic %s", remoting.ErrMalformed, id, name)
	}
	b.growTopic(t, id+1)
	return t.queues[id], nil
}

// replayRoom tells whether a journal can have a topic with that many queues.
func (b *Broker) replayRoom(name string, queues int) bool {
	if t := b.topics[name]; t != nil {
		queues -= len(t.queues)
	}
	return b.queues+max(queues, 0) <= maxReplayQueues
}

func (b *Broker) applyMessage(content []byte) error {
	frame := append([]byte(nil), content...) // so that one message does not keep all of a record
	m, rest, err := remoting.ReadMessage(frame)
	if err != nil {
		return err
	}
	if len(rest) > 0 || m.PhysicalOffset < b.physical || m.PhysicalOffset > maxOffset-int64(len(frame)) {
		return fmt.Errorf("%w: message at offset %d", remoting.ErrMalformed, m.PhysicalOffset)
	}
	q, err := b.replayQueue(m.Topic, m.QueueID)
	if err != nil {
		return err
	}
	if m.QueueOffset < q.end || m.QueueOffset >= maxOffset {
		return fmt.Errorf("%w: message %d of queue %d of %s", remoting.ErrMalformed, m.QueueOffset, m.QueueID, m.Topic)
	}
	b.plan(m, b.add(q, m, frame))
	return nil
}

func (b *Broker) applyNumbers(kind byte, content []byte) error {
	var want int
	switch kind {
	case changeEnded, changeNextByte:
		want = 1
	case changeChecked:
		want = 3
	}
	ns, err := numbers(content, want)
	if err != nil {
		return err
	}
	switch kind {
	case changeEnded:
		if e := b.find(ns[0]); e != nil {
			b.forget(e)
		}
	case changeNextByte:
		if ns[0] > maxOffset {
			return remoting.ErrMalformed
		}
		b.physical = max(b.physical, ns[0])
	case changeChecked:
		if h := b.halves[ns[0]]; h != nil {
			h.asked, h.replaced = int(ns[1]), ns[2] == neverAgain
			b.askAt(h, ns[2])
		}
	}
	return nil
}

// offsetChange is the content of changeOffset and changeNextQueue.
type offsetChange struct {
	Group  string `json:"g,omitempty"`
	Topic  string `json:"t"`
	Queue  int    `json:"q"`
	Offset int64  `json:"o"`
}

func (b *Broker) applyOffset(content []byte) error {
	var c offsetChange
	if err := json.Unmarshal(content, &c); err != nil {
		return err
	}
	if c.Group == "" {
		return fmt.Errorf("%w: an offset of no group", remoting.ErrMalformed)
	}
	b.ensureGroup(c.Group).move(queueKey{c.Topic, c.Queue}, c.Offset)
	return nil
}

func (b *Broker) applyNextQueue(content []byte) error {
	var c offsetChange
	if err := json.Unmarshal(content, &c); err != nil {
		return err
	}
	if c.Offset > maxOffset {
		return remoting.ErrMalformed
	}
	q, err := b.replayQueue(c.Topic, c.Queue)
	if err != nil {
		return err
	}
	q.end = max(q.end, c.Offset)
	return nil
}

// recordJSON records a change whose content is JSON.
func (b *Broker) recordJSON(kind byte, content any) {
	if !b.recording {
		return
	}
	text, err := json.Marshal(content)
	if err != nil {
		panic("a change cannot be encoded: " + err.Error()) // only types of this package
	}
	b.record(kind, text)
}

func appendNumbers(dst []byte, ns ...int64) []byte {
	for _, n := range ns {
		dst = binary.AppendVarint(dst, n)
	}
	return dst
}

func numbers(content []byte, want int) ([]int64, error) {
	ns := make([]int64, want)
	for i := range ns {
		n, size := binary.Varint(content)
		if size <= 0 {
			return nil, remoting.ErrMalformed
		}
		ns[i], content = n, content[size:]
	}
	if len(content) > 0 {
		return nil, remoting.ErrMalformed
	}
	return ns, nil
}
