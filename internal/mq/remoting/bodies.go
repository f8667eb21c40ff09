package remoting

import "encoding/json"

// ClusterInfo is the answer to RequestClusterInfo.
type ClusterInfo struct {
	// Brokers are the broker sets by name.
	Brokers map[string]BrokerData `json:"brokerAddrTable"`
	// Clusters are the names of each cluster's broker sets.
	Clusters map[string][]string `json:"clusterAddrTable"`
}

// BrokerData is one broker set: a master and its slaves.
type BrokerData struct {
	Cluster string `json:"cluster"`
	Name    string `json:"brokerName"`
	// Addrs are the set's addresses by broker id; "0" is the master. The stock
	// Go client splits this object by hand and wants it without spaces.
	Addrs map[string]string `json:"brokerAddrs"`
}

// MasterID is the key of a master in BrokerData.Addrs.
const MasterID = "0"

// Route is the answer to RequestGetRoute: where a topic's queues are.
type Route struct {
	Brokers []BrokerData        `json:"brokerDatas"`
	Filters map[string][]string `json:"filterServerTable"` // unused, but expected
	Queues  []QueueData         `json:"queueDatas"`
}

// QueueData is a topic's share of one broker set.
type QueueData struct {
	Broker      string `json:"brokerName"`
	ReadQueues  int    `json:"readQueueNums"`
	WriteQueues int    `json:"writeQueueNums"`
	Perm        int    `json:"perm"` // bits, see PermRead and PermWrite
	SysFlag     int    `json:"topicSysFlag"`
}

// Bits of a topic's permissions.
const (
	PermWrite = 1 << 1
	PermRead  = 1 << 2
)

// TopicConfig is the answer to RequestGetTopicConfig.
type TopicConfig struct {
	Name        string            `json:"topicName"`
	ReadQueues  int               `json:"readQueueNums"`
	WriteQueues int               `json:"writeQueueNums"`
	Perm        int               `json:"perm"` // bits, see PermRead and PermWrite
	FilterType  string            `json:"topicFilterType"`
	SysFlag     int               `json:"topicSysFlag"`
	Order       bool              `json:"order"`
	Attributes  map[string]string `json:"attributes"`
}

// AttributeMessageType is the topic attribute that holds the kind of messages.
const AttributeMessageType = "message.type"

// GroupTable is the answer to RequestGetAllGroups.
type GroupTable struct {
	// Groups are the settings by name. They stay as they came, so that they can
	// be sent back with everything in them.
	Groups map[string]json.RawMessage `json:"subscriptionGroupTable"`
}

// GroupConfig is the body of RequestUpdateGroup.
type GroupConfig struct {
	Name              string `json:"groupName"`
	ConsumeEnable     bool   `json:"consumeEnable"`
	ConsumeFromMin    bool   `json:"consumeFromMinEnable"`
	ConsumeBroadcast  bool   `json:"consumeBroadcastEnable"`
	RetryQueues       int    `json:"retryQueueNums"`
	RetryMaxTimes     int    `json:"retryMaxTimes"` // redeliveries, the first delivery not counted
	BrokerID          int64  `json:"brokerId"`
	BrokerIDWhenSlow  int64  `json:"whichBrokerWhenConsumeSlowly"`
	NotifyIDsChanged  bool   `json:"notifyConsumerIdsChangedEnable"`
	SysFlag           int    `json:"groupSysFlag"`
	ConsumeTimeoutMin int    `json:"consumeTimeoutMinute"`
}

// NewGroupConfig is what a broker gives a group that nobody has configured.
func NewGroupConfig(name string) GroupConfig {
	return GroupConfig{
		Name: name, ConsumeEnable: true, ConsumeFromMin: true, ConsumeBroadcast: true,
		RetryQueues: 1, RetryMaxTimes: 16, BrokerIDWhenSlow: 1, NotifyIDsChanged: true,
		ConsumeTimeoutMin: 15,
	}
}

// Connections is the answer to RequestConsumerConnections and
// RequestProducerConnections.
type Connections struct {
	Set []Connection `json:"connectionSet"`
}

// Connection is one client of a group.
type Connection struct {
	ClientID string `json:"clientId"`
	Addr     string `json:"clientAddr"`
	Language string `json:"language"`
	Version  int    `json:"version"`
}
