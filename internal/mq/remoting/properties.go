package remoting

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// Separators of encoded properties: name \x01 value \x02.
const (
	nameEnd     = '\x01'
	propertyEnd = '\x02'
)

// Names of the properties that clients and brokers give a meaning to.
const (
	PropertyKeys               = "KEYS" // separated by spaces
	PropertyTags               = "TAGS"
	PropertyWaitStore          = "WAIT"  // answer only when the message is safe
	PropertyDelayLevel         = "DELAY" // counted from 1
	PropertyRetryTopic         = "RETRY_TOPIC"
	PropertyRealTopic          = "REAL_TOPIC"
	PropertyRealQueueID        = "REAL_QID"
	PropertyPrepared           = "TRAN_MSG" // "true" in a half message
	PropertyProducerGroup      = "PGROUP"
	PropertyMinOffset          = "MIN_OFFSET"
	PropertyMaxOffset          = "MAX_OFFSET"
	PropertyBuyerID            = "BUYER_ID"
	PropertyOriginMessageID    = "ORIGIN_MESSAGE_ID"
	PropertyTransferFlag       = "TRANSFER_FLAG"
	PropertyCorrectionFlag     = "CORRECTION_FLAG"
	PropertyMQ2Flag            = "MQ2_FLAG"
	PropertyReconsumeTime      = "RECONSUME_TIME"
	PropertyRegion             = "MSG_REGION"
	PropertyTraceOn            = "TRACE_ON"
	PropertyUniqueKey          = "UNIQ_KEY" // the message id that the producer gave
	PropertyExtendUniqueInfo   = "EXTEND_UNIQ_INFO"
	PropertyMaxReconsumeTimes  = "MAX_RECONSUME_TIMES"
	PropertyConsumeStartTime   = "CONSUME_START_TIME"
	PropertyInnerNum           = "INNER_NUM"
	PropertyInnerBase          = "INNER_BASE"
	PropertyDuplicate          = "DUP_INFO"
	PropertyCheckImmunity      = "CHECK_IMMUNITY_TIME_IN_SECONDS"
	PropertyPreparedOffset     = "TRAN_PREPARED_QUEUE_OFFSET"
	PropertyTransactionID      = "__transactionId__"
	PropertyCheckTimes         = "TRANSACTION_CHECK_TIMES"
	PropertyInstanceID         = "INSTANCE_ID"
	PropertyCorrelationID      = "CORRELATION_ID"
	PropertyReplyToClient      = "REPLY_TO_CLIENT"
	PropertyTTL                = "TTL"
	PropertyReplyArriveTime    = "ARRIVE_TIME"
	PropertyPushReplyTime      = "PUSH_REPLY_TIME"
	PropertyCluster            = "CLUSTER"
	PropertyMessageType        = "MSG_TYPE"
	PropertyPopCheckpoint      = "POP_CK"
	PropertyPopCheckOffset     = "POP_CK_OFFSET"
	PropertyFirstPopTime       = "1ST_POP_TIME"
	PropertyShardingKey        = "__SHARDINGKEY"
	PropertyShardingKeyOfGo    = "SHARDING_KEY" // what the stock Go client calls it
	PropertyForwardQueueID     = "PROPERTY_FORWARD_QUEUE_ID"
	PropertyRedirect           = "REDIRECT"
	PropertyMultiDispatch      = "INNER_MULTI_DISPATCH"
	PropertyMultiQueueOffset   = "INNER_MULTI_QUEUE_OFFSET"
	PropertyTraceContext       = "TRACE_CONTEXT"
	PropertyTimerDelaySeconds  = "TIMER_DELAY_SEC"
	PropertyTimerDelayMillis   = "TIMER_DELAY_MS"
	PropertyTimerDeliverMillis = "TIMER_DELIVER_MS" // since 1970
	PropertyTimerEnqueueMillis = "TIMER_ENQUEUE_MS"
	PropertyTimerDequeueMillis = "TIMER_DEQUEUE_MS"
	PropertyTimerRollTimes     = "TIMER_ROLL_TIMES"
	PropertyTimerOutMillis     = "TIMER_OUT_MS"
	PropertyTimerDeleteKey     = "TIMER_DEL_UNIQKEY"
	PropertyTimerDelayLevel    = "TIMER_DELAY_LEVEL"
	PropertyBornHost           = "__BORNHOST"
	PropertyBornTimestamp      = "BORN_TIMESTAMP"
	PropertyCRC32              = "__CRC32#"
	PropertyDeadOriginTopic    = "DLQ_ORIGIN_TOPIC"
	PropertyDeadOriginID       = "DLQ_ORIGIN_MESSAGE_ID"
)

// Properties yields the encoded properties in their order, a name that occurs
// twice as often. Like a Java broker it skips what is not a name and a value
// that both have at least one byte; the end of the last one may lack.
func Properties(s string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for len(s) > 0 {
			var name, value string
			name, value, s = nextProperty(s)
			if name != "" && value != "" && !yield(name, value) {
				return
			}
		}
	}
}

// nextProperty takes the first property off s. The name is empty if there is
// none before the next end.
func nextProperty(s string) (name, value, rest string) {
	part := s
	if end := strings.IndexByte(s, propertyEnd); end >= 0 {
		part, rest = s[:end], s[end+1:]
	}
	if i := strings.IndexByte(part, nameEnd); i >= 0 {
		name, value = part[:i], part[i+1:]
	}
	return name, value, rest
}

// ParseProperties makes a map of encoded properties, see Properties. Of a name
// that occurs twice the last value counts. The map is never nil.
func ParseProperties(s string) map[string]string {
	properties := make(map[string]string, strings.Count(s, string(propertyEnd)))
	for name, value := range Properties(s) {
		properties[name] = value
	}
	return properties
}

// EncodeProperties is the reverse of ParseProperties, sorted by name. A property
// that could not be read again is left out, see WithProperty.
func EncodeProperties(properties map[string]string) string {
	size := 0
	for name, value := range properties {
		size += len(name) + len(value) + 2
	}
	var b strings.Builder
	b.Grow(size)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if value := properties[name]; encodable(name, value) {
			writeProperty(&b, name, value)
		}
	}
	return b.String()
}

// encodable tells whether a property can be read again.
func encodable(name, value string) bool {
	return name != "" && value != "" &&
		!strings.ContainsAny(name, "\x01\x02") && strings.IndexByte(value, propertyEnd) < 0
}

func writeProperty(b *strings.Builder, name, value string) {
	b.WriteString(name)
	b.WriteByte(nameEnd)
	b.WriteString(value)
	b.WriteByte(propertyEnd)
}

// Property returns the value of the named property, the last one if there are
// several, and "" if there is none. It takes no memory.
func Property(s, name string) string {
	found := ""
	for len(s) > 0 {
		var key, value string
		key, value, s = nextProperty(s)
		if key == name && key != "" && value != "" {
			found = value
		}
	}
	return found
}

// WithProperty returns the encoded properties with the named one set. One that
// could not be read again, because its name or value is empty or has a separator
// in it, is only removed.
func WithProperty(s, name, value string) string {
	s = WithoutProperties(s, name)
	if !encodable(name, value) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(name) + len(value) + 3)
	b.WriteString(s)
	if s != "" && s[len(s)-1] != propertyEnd {
		b.WriteByte(propertyEnd)
	}
	writeProperty(&b, name, value)
	return b.String()
}

// WithoutProperties returns the encoded properties without the named ones. It
// takes memory only if there are some.
func WithoutProperties(s string, names ...string) string {
	var b strings.Builder
	kept := 0 // where what is not yet in b begins
	for at := 0; at < len(s); {
		name, _, rest := nextProperty(s[at:])
		next := len(s) - len(rest)
		if name != "" && slices.Contains(names, name) {
			if b.Cap() == 0 {
				b.Grow(len(s))
			}
			b.WriteString(s[kept:at])
			kept = next
		}
		at = next
	}
	if kept == 0 {
		return s
	}
	b.WriteString(s[kept:])
	return b.String()
}

// TagHash is what brokers keep of a tag for filters: Java's String.hashCode, and
// 0 for no tag.
func TagHash(tag string) int64 {
	var hash int32
	for _, r := range tag {
		if r >= 1<<16 { // two UTF-16 code units
			r -= 1 << 16
			hash = 31*hash + (0xD800 + r>>10)
			r = 0xDC00 + r&0x3FF
		}
		hash = 31*hash + r
	}
	return int64(hash)
}
