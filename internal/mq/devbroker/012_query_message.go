package devbroker

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"orderflow/internal/mq/remoting"
)

// maxFound is how many messages a query finds at most (maxMsgsNumBatch), and how
// many it finds by a unique key, whatever it asks for (defaultQueryMaxNum).
const (
	maxFound         = 64
	maxFoundByUnique = 32
)

// QueryMessage (12) finds messages of a topic by one of their keys, or by their unique key.
//
// Asked by: mqadmin queryMsgByKey and queryMsgByUniqueKey; the Java client.
// Fields:   topic, key, maxNum, beginTimestamp, endTimestamp (epoch milliseconds, both inclusive; when
//
//	they were stored); _UNIQUE_KEY_QUERY, which only says how many are wanted, may lack.
//
// Answers:  0 with the messages, the newest ones if there are too many, in the order in which they were
//
//	stored; 22 if there is none; both with indexLastUpdateTimestamp and indexLastUpdatePhyoffset.
//
// Differs:  there is no index: the newest message counts as soon as it is stored, times are compared by
//
//	the millisecond, not by the second, and keys exactly, not by their hash. An answer has no more
//	bytes than the largest message may have, or one message.
func (b *Broker) queryMessage(r *request) (*response, error) {
	topic, key, most := r.text("topic"), r.text("key"), r.int32("maxNum")
	begin, end := r.integer("beginTimestamp"), r.integer("endTimestamp")
	if err := r.err(); err != nil {
		return nil, err
	}
	if most < 0 {
		return nil, refuse(remoting.ResponseSystemError, "the custom field <maxNum> is negative: %d", most)
	}
	if r.optional("_UNIQUE_KEY_QUERY") == "true" {
		most = maxFoundByUnique
	}
	found := b.withKey(topic, key, min(most, maxFound), begin, end)
	if len(found) == 0 {
		return &response{
			code: remoting.ResponseQueryNotFound, remark: "can not find message, maybe time range not correct",
			ext: answerFields("indexLastUpdateTimestamp", 0, "indexLastUpdatePhyoffset", 0),
		}, nil
	}
	last := b.log[len(b.log)-1]
	answer := &response{ext: answerFields("indexLastUpdateTimestamp", last.storedAt, "indexLastUpdatePhyoffset", last.physical)}
	for _, e := range slices.Backward(found) {
		answer.body = append(answer.body, e.frame...)
	}
	return answer, nil
}

// withKey finds messages of a topic that have a key, the newest first. It looks at
// all messages, but decodes only those that have the key's text somewhere.
func (b *Broker) withKey(topic, key string, most int, begin, end int64) (found []*entry) {
	t, text, size := b.topics[topic], []byte(key), 0
	// Time does not run backwards.
	newer := sort.Search(len(b.log), func(i int) bool { return b.log[i].storedAt > end })
	for _, e := range slices.Backward(b.log[:newer]) {
		if e.storedAt < begin || len(found) >= most {
			break
		}
		if e.frame == nil || e.queue.topic != t || !bytes.Contains(e.frame, text) || !hasKey(e, key) {
			continue
		}
		if size += len(e.frame); size > b.settings.maxMessage && len(found) > 0 {
			break
		}
		found = append(found, e)
	}
	return found
}

// hasKey tells whether a key is the message's unique key, or one of its keys.
func hasKey(e *entry, key string) bool {
	properties := e.message().Properties
	if remoting.Property(properties, remoting.PropertyUniqueKey) == key {
		return true
	}
	for one := range strings.SplitSeq(remoting.Property(properties, remoting.PropertyKeys), " ") {
		if one == key {
			return true
		}
	}
	return false
}
