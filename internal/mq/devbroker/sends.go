package devbroker

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"orderflow/internal/mq/remoting"
)

// sendRequest is a request to store messages, whichever names its fields have.
type sendRequest struct {
	group, topic  string
	queue         int
	defaultQueues int
	sysFlag       int32
	flag          int32
	bornAt        int64
	properties    string
	attempts      int32
	maxAttempts   int64 // -1 if it does not say
	batch         bool
}

// longNames are the fields of SEND_MESSAGE, in the order of the letters that
// SEND_MESSAGE_V2 has for them, from a on.
func longNames() []string {
	return []string{
		"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag", "bornTimestamp",
		"flag", "properties", "reconsumeTimes", "unitMode", "maxReconsumeTimes", "batch",
	}
}

// parseSend takes the fields; short tells whether their names are letters.
func (r *request) parseSend(short bool) (sendRequest, error) {
	name := func(index int) string { // of the field with the letter a + index
		if short {
			return string(rune('a' + index))
		}
		return longNames()[index]
	}
	s := sendRequest{
		group: r.optional(name(0)), topic: r.text(name(1)), defaultQueues: int(r.integerOr(name(3), 4)),
		queue: r.int32(name(4)), sysFlag: int32(r.int32(name(5))), bornAt: r.integer(name(6)),
		flag: int32(r.int32(name(7))), properties: r.optional(name(8)), attempts: int32(r.integerOr(name(9), 0)),
		maxAttempts: r.integerOr(name(11), -1), batch: r.boolean(name(12)),
	}
	return s, r.err()
}

// checkSend finds the topic that a message is for, as far as it may be sent there.
func (b *Broker) checkSend(r *request, s *sendRequest) error {
	if b.readOnly {
		return errReadOnly()
	}
	if err := checkTopicName(s.topic); err != nil {
		return err
	}
	if isSystemTopic(s.topic) && s.topic != topicDefault {
		return refuse(remoting.ResponseNoPermission, "Sending message to topic[%s] is forbidden.", s.topic)
	}
	if group, retried := strings.CutPrefix(s.topic, retryPrefix); retried && b.groups[group] == nil {
		return errNoGroup(group)
	} else if retried {
		b.ensureOwnTopic(s.topic, 1)
	}
	t := b.topicFor(s.topic, s.defaultQueues)
	switch {
	case t == nil:
		return noTopic(s.topic)
	case t.config.Order && b.forbids(remoting.PermWrite):
		return refuse(remoting.ResponseNoPermission, "the broker[%s] sending message is forbidden", b.addr.Addr())
	case t.config.Perm&remoting.PermWrite == 0:
		return refuse(remoting.ResponseNoPermission, "the topic[%s] sending message is forbidden", s.topic)
	case s.queue >= max(t.config.WriteQueues, t.config.ReadQueues):
		return refuse(remoting.ResponseInvalidParameter, "request queueId[%d] is illegal, topic %s has %d", s.queue, s.topic, t.config.WriteQueues)
	}
	if s.queue < 0 {
		b.random++
		s.queue = b.random % max(t.config.WriteQueues, 1)
	}
	return nil
}

// errReadOnly is the answer to what would be stored by a broker that refuses writes.
func errReadOnly() error {
	return refuse(remoting.ResponseServiceNotAvailable, "service not available now. It may be caused by one of the following reasons: "+
		"the broker's disk is full, the store is shut down or it is a slave")
}

// maxPropertiesLength is the longest text of all properties in bytes.
const maxPropertiesLength = 1<<15 - 1

// ownProperties are what the broker adds to every message.
const ownProperties = remoting.PropertyCluster + "\x01" + clusterName + "\x02" +
	remoting.PropertyRegion + "\x01" + regionID + "\x02" + remoting.PropertyTraceOn + "\x01true\x02"

// message makes the message of a request.
func (s sendRequest) message(r *request, flag int32, body []byte, properties string) remoting.StoredMessage {
	if remoting.Property(properties, remoting.PropertyUniqueKey) == "" {
		properties = remoting.WithProperty(properties, remoting.PropertyUniqueKey,
			strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", "")))
	}
	properties = remoting.WithoutProperties(properties, remoting.PropertyPopCheckpoint,
		remoting.PropertyCluster, remoting.PropertyRegion, remoting.PropertyTraceOn)
	if properties != "" && !strings.HasSuffix(properties, "\x02") {
		properties += "\x02"
	}
	properties += ownProperties
	return remoting.StoredMessage{
		Topic: s.topic, QueueID: s.queue, Flag: flag, SysFlag: s.sysFlag, BornAt: s.bornAt, BornHost: r.conn.peer,
		Attempts: s.attempts, Body: body, Properties: properties,
	}
}

// checkSize refuses a message that is too large, or has no body.
func (b *Broker) checkSize(body []byte, properties string) error {
	if len(body) == 0 {
		return refuse(remoting.ResponseMessageIllegal, "the message is illegal: it has no body")
	}
	if len(body) > b.settings.maxMessage || len(properties) > maxPropertiesLength {
		return refuse(remoting.ResponseMessageIllegal,
			"the message is illegal, maybe msg body or properties length not matched. msg body length limit %dB, msg properties length limit 32KB.", b.settings.maxMessage)
	}
	return nil
}

// send stores one message, and returns where.
func (b *Broker) send(r *request, s sendRequest) (*response, error) {
	if err := b.checkSend(r, &s); err != nil {
		return nil, err
	}
	if err := b.checkSize(r.cmd.Body, s.properties); err != nil {
		return nil, err
	}
	m := s.message(r, s.flag, r.cmd.Body, s.properties)
	if strings.HasPrefix(s.topic, retryPrefix) {
		b.redirectDead(r, &m, s)
	}
	prepared, _ := strconv.ParseBool(remoting.Property(m.Properties, remoting.PropertyPrepared))
	level, err := delayLevel(m.Properties)
	if err != nil {
		return nil, err
	}
	if prepared && !(m.Attempts > 0 && level > 0) {
		e, err := b.prepare(m)
		return stored(b, s.queue, e, err)
	}
	m.SysFlag &^= remoting.SysTransactionMask
	e, err := b.store(m)
	return stored(b, m.QueueID, e, err)
}

// redirectDead sends what a consumer redelivers by itself, and has redelivered too
// often, to the dead letters of its group. Clients that consume in order do that.
func (b *Broker) redirectDead(r *request, m *remoting.StoredMessage, s sendRequest) {
	g := b.groups[strings.TrimPrefix(s.topic, retryPrefix)]
	most := int64(g.config.RetryMaxTimes)
	if s.maxAttempts >= 0 {
		most = s.maxAttempts
	}
	ordered := false // a group with a lock consumes in order
	for _, lock := range g.locks {
		ordered = ordered || !lock.expired(r.now)
	}
	if int64(s.attempts) > most || ordered {
		m.Topic, m.QueueID = b.ensureOwnTopic(deadPrefix+g.name, 1).config.Name, 0
		m.Properties = remoting.WithProperty(m.Properties, remoting.PropertyDelayLevel, "-1")
	}
}

// sendBatch stores several messages in one queue, or none of them.
func (b *Broker) sendBatch(r *request, s sendRequest) (*response, error) {
	if err := b.checkSend(r, &s); err != nil {
		return nil, err
	}
	if strings.HasPrefix(s.topic, retryPrefix) {
		return nil, refuse(remoting.ResponseMessageIllegal, "batch request does not support retry group %s", s.topic)
	}
	if level, err := delayLevel(s.properties); level > 0 || err != nil {
		return nil, refuse(remoting.ResponseMessageIllegal, "a batch cannot be delayed")
	}
	entries, err := remoting.ReadBatch(r.cmd.Body)
	if err != nil {
		return nil, refuse(remoting.ResponseSystemError, "batch: %v", err)
	}
	if len(entries) == 0 || len(r.cmd.Body) > b.settings.maxMessage {
		return nil, refuse(remoting.ResponseSystemError, "batch: %d messages in %d bytes, at most %d bytes are taken",
			len(entries), len(r.cmd.Body), b.settings.maxMessage)
	}
	messages, size := make([]remoting.StoredMessage, len(entries)), 0
	for i, one := range entries {
		m := s.message(r, one.Flag, one.Body, one.Properties)
		m.SysFlag &^= remoting.SysTransactionMask
		messages[i], size = m, size+remoting.MessageSize(m)
		if len(m.Properties) > maxPropertiesLength {
			return nil, refuse(remoting.ResponseMessageIllegal, "batch: the properties of message %d are too long", i)
		}
	}
	if size > maxBatch {
		return nil, refuse(remoting.ResponseMessageIllegal, "batch: %d messages need %d bytes when they are stored, at most %d are taken",
			len(messages), size, maxBatch)
	}
	var first *entry
	ids, at := make([]string, len(messages)), b.storeTime() // the same for all of them
	for i, m := range messages {
		e, err := b.putAt(m, at) // a delay is not asked for in a batch
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = e
		}
		ids[i] = remoting.OffsetMessageID(b.addr, e.physical)
	}
	answer, err := stored(b, s.queue, first, nil)
	if err == nil {
		answer.ext["msgId"] = strings.Join(ids, ",")
	}
	return answer, err
}

// stored is the answer when a message has been stored.
func stored(b *Broker, queue int, e *entry, err error) (*response, error) {
	if err != nil {
		return nil, err
	}
	return &response{ext: map[string]string{
		"msgId": remoting.OffsetMessageID(b.addr, e.physical), "queueId": strconv.Itoa(queue),
		"queueOffset": strconv.FormatInt(e.offset, 10), "MSG_REGION": regionID, "TRACE_ON": "true",
		"transactionId": e.uniqueKey(),
	}}, nil
}

// regionID is what the real broker calls its region unless it is configured.
const regionID = "DefaultRegion"
