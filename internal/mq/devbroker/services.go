package devbroker

import "orderflow/internal/mq/remoting"

// services is the table of request codes. Each handler has a file of its own, whose
// name begins with the code.
func services() map[int]service {
	return map[int]service{
		remoting.RequestSendMessage:         {"SendMessage", (*Broker).sendMessage, ofBroker},
		remoting.RequestPullMessage:         {"PullMessage", (*Broker).pullMessage, ofBroker},
		remoting.RequestQueryConsumerOffset: {"QueryConsumerOffset", (*Broker).queryConsumerOffset, ofBroker},
		remoting.RequestUpdateOffset:        {"UpdateConsumerOffset", (*Broker).updateConsumerOffset, ofBroker},
		remoting.RequestSearchOffset:        {"SearchOffsetByTimestamp", (*Broker).searchOffset, ofBroker},
		remoting.RequestGetMaxOffset:        {"GetMaxOffset", (*Broker).maxOffset, ofBroker},
		remoting.RequestHeartbeat:           {"Heartbeat", (*Broker).heartbeat, ofBroker},
		remoting.RequestUnregisterClient:    {"UnregisterClient", (*Broker).unregisterClient, ofBroker},
		remoting.RequestSendBack:            {"ConsumerSendBack", (*Broker).consumerSendBack, ofBroker},
		remoting.RequestEndTransaction:      {"EndTransaction", (*Broker).endTransaction, ofBroker},
		remoting.RequestConsumerList:        {"GetConsumerListByGroup", (*Broker).consumerList, ofBroker},
		remoting.RequestLockQueues:          {"LockBatchMQ", (*Broker).lockQueues, ofBroker},
		remoting.RequestUnlockQueues:        {"UnlockBatchMQ", (*Broker).unlockQueues, ofBroker},
		remoting.RequestGetRoute:            {"GetRouteInfoByTopic", (*Broker).route, ofNameServer},
		remoting.RequestSendMessageV2:       {"SendMessageV2", (*Broker).sendMessageV2, ofBroker},
		remoting.RequestSendBatch:           {"SendBatchMessage", (*Broker).sendBatchMessage, ofBroker},
		remoting.RequestLitePullMessage:     {"LitePullMessage", (*Broker).litePullMessage, ofBroker},
		remoting.RequestUpdateTopic:         {"UpdateAndCreateTopic", (*Broker).updateTopic, ofBroker},
		remoting.RequestGetBrokerConfig:     {"GetBrokerConfig", (*Broker).brokerConfig, ofBroker},
		remoting.RequestGetMinOffset:        {"GetMinOffset", (*Broker).minOffset, ofBroker},
		remoting.RequestClusterInfo:         {"GetBrokerClusterInfo", (*Broker).clusterInfo, ofNameServer},
		remoting.RequestUpdateGroup:         {"UpdateSubscriptionGroup", (*Broker).updateGroup, ofBroker},
		remoting.RequestGetAllGroups:        {"GetAllSubscriptionGroupConfig", (*Broker).allGroups, ofBroker},
		remoting.RequestConsumerConnections: {"GetConsumerConnectionList", (*Broker).consumerConnections, ofBroker},
		remoting.RequestProducerConnections: {"GetProducerConnectionList", (*Broker).producerConnections, ofBroker},
		remoting.RequestGetAllTopics:        {"GetAllTopicListFromNameserver", (*Broker).allTopics, ofNameServer},
		remoting.RequestDeleteGroup:         {"DeleteSubscriptionGroup", (*Broker).deleteGroup, ofBroker},
		remoting.RequestGetConsumeStats:     {"GetConsumeStats", (*Broker).consumeStats, ofBroker},
		remoting.RequestDeleteTopic:         {"DeleteTopicInBroker", (*Broker).deleteTopic, ofBroker},
		remoting.RequestDeleteTopicRoute:    {"DeleteTopicInNamesrv", (*Broker).deleteTopicRoute, ofNameServer},
		remoting.RequestGetTopicConfig:      {"GetTopicConfig", (*Broker).topicConfig, ofBroker},
		remoting.RequestGetGroupConfig:      {"GetSubscriptionGroupConfig", (*Broker).groupConfig, ofBroker},
	}
}
