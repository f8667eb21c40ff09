package remoting

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Heartbeat is the body of RequestHeartbeat: the groups of one client.
type Heartbeat struct {
	ClientID  string          `json:"clientID"`
	Producers []ProducerGroup `json:"producerDataSet"`
	Consumers []ConsumerGroup `json:"consumerDataSet"`
	// Fingerprint is a hash of the rest, and WithoutSubscriptions means that the
	// rest is missing because the broker knows it by that hash. Only clients that
	// are told to do so use them.
	Fingerprint          int  `json:"heartbeatFingerprint"`
	WithoutSubscriptions bool `json:"withoutSub"`
}

// ProducerGroup is a producer group that a client belongs to.
type ProducerGroup struct {
	Name string `json:"groupName"`
}

// ConsumerGroup is a consumer group that a client belongs to.
type ConsumerGroup struct {
	Name          string         `json:"groupName"`
	ConsumeType   string         `json:"consumeType"`      // see ConsumePassively
	MessageModel  string         `json:"messageModel"`     // see ModelClustering
	ConsumeFrom   string         `json:"consumeFromWhere"` // see ConsumeFromLast
	Subscriptions []Subscription `json:"subscriptionDataSet"`
	UnitMode      bool           `json:"unitMode"`
}

// Values of ConsumerGroup's fields.
const (
	ConsumeActively      = "CONSUME_ACTIVELY"  // a pull consumer
	ConsumePassively     = "CONSUME_PASSIVELY" // a push consumer
	ModelClustering      = "CLUSTERING"        // each message for one of the group
	ModelBroadcasting    = "BROADCASTING"      // each message for all of the group
	ConsumeFromLast      = "CONSUME_FROM_LAST_OFFSET"
	ConsumeFromFirst     = "CONSUME_FROM_FIRST_OFFSET"
	ConsumeFromTimestamp = "CONSUME_FROM_TIMESTAMP"
)

// Subscription is what a consumer group wants of a topic.
type Subscription struct {
	ClassFilter    bool      `json:"classFilterMode"`
	Topic          string    `json:"topic"`
	Expression     string    `json:"subString"` // "*", tags like "a || b", or SQL
	Tags           []string  `json:"tagsSet,omitempty"`
	TagHashes      TagHashes `json:"codeSet,omitempty"` // TagHash of each tag
	Version        int64     `json:"subVersion"`        // ms since 1970
	ExpressionType string    `json:"expressionType"`    // see ExpressionTag; "" is tags, too
}

// Values of Subscription.ExpressionType and of the pull request's field.
const (
	ExpressionTag = "TAG"
	ExpressionSQL = "SQL92"
)

// TagHashes are hashes of tags. The stock Go client sends them as strings, Java
// clients as numbers.
type TagHashes []int64

// UnmarshalJSON understands both forms.
func (h *TagHashes) UnmarshalJSON(data []byte) error {
	var values []json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	*h = make(TagHashes, 0, len(values))
	for _, value := range values {
		text, _ := parseScalar(value)
		hash, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("codeSet: %w", err)
		}
		*h = append(*h, hash)
	}
	return nil
}

// ConsumerList is the answer to RequestConsumerList.
type ConsumerList struct {
	ClientIDs []string `json:"consumerIdList"`
}

// ConsumerConnections is the answer to RequestConsumerConnections, complete.
type ConsumerConnections struct {
	Connections
	Subscriptions map[string]Subscription `json:"subscriptionTable"` // by topic
	ConsumeType   string                  `json:"consumeType"`
	MessageModel  string                  `json:"messageModel"`
	ConsumeFrom   string                  `json:"consumeFromWhere"`
}

// SubscriptionInfo is the answer to RequestGetSubscription.
type SubscriptionInfo struct {
	Subscription *Subscription `json:"subscriptionData"` // nil if there is none
	Group        string        `json:"group"`
	Topic        string        `json:"topic"`
}

// LockRequest is the body of RequestLockQueues and RequestUnlockQueues.
type LockRequest struct {
	Group          string         `json:"consumerGroup"`
	ClientID       string         `json:"clientId"`
	OnlyThisBroker bool           `json:"onlyThisBroker"` // do not ask others of its set
	Queues         []MessageQueue `json:"mqSet"`
}

// LockResult is the answer to RequestLockQueues.
type LockResult struct {
	Locked []MessageQueue `json:"lockOKMQSet"`
}

// TopicList is the answer to RequestGetAllTopics, RequestGetSystemTopics,
// RequestGetTopicsOfCluster and RequestGetTopicsOfGroup.
type TopicList struct {
	Topics     []string `json:"topicList"`
	BrokerAddr string   `json:"brokerAddr,omitempty"` // one of those with the system topics
}

// GroupList is the answer to RequestGetGroupsOfTopic.
type GroupList struct {
	Groups []string `json:"groupList"`
}

// Table is the answer to RequestGetBrokerRuntime and RequestGetKVList.
type Table struct {
	Values map[string]string `json:"table"`
}
