package devbroker

// Bounds of what clients can make a broker keep, other than messages. Beyond them
// a request is refused, or what it would have created by its use is not there.
const (
	// maxTopics is how many topics a request can make there be.
	maxTopics = 65_536
	// maxQueues is how many queues a request can make a topic have.
	maxQueues = 4096
	// maxAllQueues is how many queues it can make all topics have.
	maxAllQueues = 262_144
	// maxTopicName is the longest name of a topic in bytes, and of a group.
	maxTopicName = 127
	// maxGroups is how many consumer groups there can be.
	maxGroups = 65_536
	// maxGroupConfig is how many bytes of JSON the settings of a group may have.
	maxGroupConfig = 64 << 10
	// maxClients is how many clients of groups a connection may stand for.
	maxClients = 4096
	// maxClientID is the longest name of a client or a producer group in bytes.
	maxClientID = 1024
	// maxSubscriptions is how many topics a consumer group may subscribe to.
	maxSubscriptions = 1024
	// maxHeld is how many pulls of a connection can wait for a message; more are
	// answered at once.
	maxHeld = 4096
	// maxBatch is how many bytes the messages of a batch may have when they are
	// stored, with all that the broker adds to each of them.
	maxBatch = 16 << 20
)
