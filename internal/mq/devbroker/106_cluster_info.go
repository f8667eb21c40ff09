package devbroker

import "orderflow/internal/mq/remoting"

// GetBrokerClusterInfo (106) lists all brokers. There is one.
//
// Asked by: mqadmin, from the name server; our Admin.
// Answers:  0 with remoting.ClusterInfo.
// Differs:  the real one writes the broker ids without quotes, {0:"…"}, which is not JSON.
func (b *Broker) clusterInfo(*request) (*response, error) {
	return jsonResponse(remoting.ClusterInfo{
		Brokers:  map[string]remoting.BrokerData{brokerName: b.data()},
		Clusters: map[string][]string{clusterName: {brokerName}},
	})
}
