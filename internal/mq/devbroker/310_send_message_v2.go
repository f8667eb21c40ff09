package devbroker

// SendMessageV2 (310) is SendMessage with letters for the names of the fields.
//
// Asked by: the Java client, for every send but batches.
// Fields:   a producerGroup, b topic, c defaultTopic, d defaultTopicQueueNums, e queueId, f sysFlag,
//
//	g bornTimestamp, h flag, i properties, j reconsumeTimes, k unitMode, l maxReconsumeTimes, m batch.
//
// Answers:  as SendMessage.
func (b *Broker) sendMessageV2(r *request) (*response, error) { return b.sendAny(r, true) }
