package devbroker

import "strings"

// GetBrokerConfig (26) gives the settings of the broker as text, name=value in each line.
//
// Asked by: mqadmin getBrokerConfig; our Admin, for messageDelayLevel.
// Answers:  0 with the text, and the field version.
// Differs:  only those settings of the real broker that mean something here.
func (b *Broker) brokerConfig(*request) (*response, error) {
	var text strings.Builder
	for _, entry := range configEntries() {
		text.WriteString(entry.name + "=" + entry.get(b) + "\n")
	}
	return &response{
		ext:  answerFields("version", `{"counter":0,"stateVersion":0,"timestamp":0}`),
		body: []byte(text.String()),
	}, nil
}
