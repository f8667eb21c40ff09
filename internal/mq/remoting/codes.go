package remoting

// Request codes, as far as the stock Go client, the Admin and the embedded
// broker use them.
const (
	RequestSendMessage         = 10  // a message, with spelt-out field names
	RequestPullMessage         = 11  // messages of one queue
	RequestQueryConsumerOffset = 14  // how far a group is in one queue
	RequestUpdateOffset        = 15  // a group's new offset in one queue
	RequestUpdateTopic         = 17  // create or change a topic
	RequestGetBrokerConfig     = 26  // all settings of a broker, as properties text
	RequestSearchOffset        = 29  // the offset at a time
	RequestGetMaxOffset        = 30  // the next offset of a queue
	RequestGetMinOffset        = 31  // the first offset of a queue
	RequestHeartbeat           = 34  // who the client is and what it subscribes to
	RequestUnregisterClient    = 35  // the client leaves
	RequestSendBack            = 36  // deliver a message again, later
	RequestEndTransaction      = 37  // commit or roll back a half message
	RequestConsumerList        = 38  // the client ids of a group
	RequestCheckTransaction    = 39  // broker to producer: what became of it?
	RequestNotifyConsumers     = 40  // broker to consumer: the group has changed
	RequestLockQueues          = 41  // for ordered consumption
	RequestUnlockQueues        = 42  // for ordered consumption
	RequestGetRoute            = 105 // name server: where a topic's queues are
	RequestClusterInfo         = 106 // name server: all brokers
	RequestUpdateGroup         = 200 // create or change a consumer group
	RequestGetAllGroups        = 201 // all consumer groups of a broker
	RequestConsumerConnections = 203 // the clients of a consumer group
	RequestProducerConnections = 204 // the clients of a producer group
	RequestGetAllTopics        = 206 // name server: the names of all topics
	RequestDeleteGroup         = 207 // delete a consumer group
	RequestDeleteTopic         = 215 // delete a topic from a broker
	RequestDeleteTopicRoute    = 216 // name server: forget a topic
	RequestResetOffset         = 220 // broker to consumer: start elsewhere
	RequestConsumerStatus      = 221 // broker to consumer: how far it is
	RequestConsumerRunningInfo = 307 // broker to consumer: its state
	RequestConsumeDirectly     = 309 // broker to consumer: handle this message
	RequestSendBatch           = 320 // messages, with one-letter field names
	RequestSendReply           = 324 // the answer to a request message
	RequestPushReply           = 326 // broker to client: an answer message
	RequestGetTopicConfig      = 351 // a topic's settings on a broker
	RequestGetGroupConfig      = 352 // a group's; creates it where that is allowed
)

// Response codes.
const (
	ResponseSuccess             = 0
	ResponseSystemError         = 1
	ResponseSystemBusy          = 2
	ResponseNotSupported        = 3 // the request code is not known
	ResponseTransactionFailed   = 4
	ResponseFlushDiskTimeout    = 10
	ResponseSlaveNotAvailable   = 11
	ResponseFlushSlaveTimeout   = 12
	ResponseMessageIllegal      = 13
	ResponseServiceNotAvailable = 14
	ResponseVersionNotSupported = 15
	ResponseNoPermission        = 16
	ResponseTopicNotExist       = 17
	ResponsePullNotFound        = 19 // no message yet
	ResponsePullRetry           = 20 // none that the filter lets through
	ResponsePullOffsetMoved     = 21 // the offset is outside the queue
	ResponseQueryNotFound       = 22
	ResponseGroupNotExist       = 26
	ResponseInvalidParameter    = 29
	ResponseConsumerNotOnline   = 206
	ResponseFlowControl         = 215
	ResponseIllegalOperation    = 604
)
