package devbroker

import (
	"orderflow/internal/mq/devbroker/filter"
	"orderflow/internal/mq/remoting"
)

// pull is what a consumer asks of a queue.
type pull struct {
	offset int64
	most   int
	let    filter.Expression // nil lets everything through
}

// pulled is what was found.
type pulled struct {
	code           int
	next, min, max int64
	body           []byte
}

// maxPullBytes bounds an answer; one message is always sent whole. The real broker
// has bounds of the same kind (maxTransferBytesOnMessageInMemory, 256 KiB).
const maxPullBytes = 256 << 10

// maxScanned bounds how many messages that the filter holds back one pull looks at.
const maxScanned = 10_000

// read looks for messages from an offset on.
func (b *Broker) read(q *queue, p pull) *pulled {
	found := &pulled{code: remoting.ResponsePullNotFound, next: p.offset, min: q.min(), max: q.next()}
	switch {
	case found.max == 0:
		found.next = 0
		if p.offset != 0 {
			found.code = remoting.ResponsePullOffsetMoved
		}
		return found
	case p.offset < found.min:
		found.code, found.next = remoting.ResponsePullOffsetMoved, found.min
		return found
	case p.offset > found.max:
		found.code, found.next = remoting.ResponsePullOffsetMoved, found.max
		return found
	case p.offset == found.max:
		return found
	}
	count, end := 0, min(found.max, p.offset+maxScanned)
	for ; found.next < end && count < p.most; found.next++ {
		e := q.at(found.next)
		if e == nil || !passes(p.let, e) {
			continue
		}
		if count > 0 && len(found.body)+len(e.frame) > maxPullBytes {
			break
		}
		found.body = append(found.body, e.frame...)
		count++
	}
	found.code = remoting.ResponseSuccess
	if count == 0 {
		found.code = remoting.ResponsePullRetry
	}
	return found
}

// passes tells whether a subscription lets a message through.
func passes(let filter.Expression, e *entry) bool {
	return let == nil || let.Match(&entryProperties{entry: e})
}

// entryProperties are the properties of a stored message. Most expressions ask for
// the tag only, which needs no decoding.
type entryProperties struct {
	entry   *entry
	encoded string // of the whole message, once something else was asked for
}

// Property returns the value of a property.
func (p *entryProperties) Property(name string) (value string, ok bool) {
	if name == remoting.PropertyTags {
		return p.entry.tag, p.entry.tag != ""
	}
	if p.encoded == "" {
		p.encoded = p.entry.message().Properties
	}
	value = remoting.Property(p.encoded, name)
	return value, value != ""
}

// response is the answer to a pull.
func (p *pulled) response() *response {
	remark := ""
	if p.code == remoting.ResponseSuccess {
		remark = "FOUND"
	}
	return &response{
		code: p.code, remark: remark, body: p.body,
		ext: answerFields("suggestWhichBrokerId", 0, "nextBeginOffset", p.next, "minOffset", p.min, "maxOffset", p.max),
	}
}
