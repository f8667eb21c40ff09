package devbroker

import (
	"maps"
	"strconv"

	"orderflow/internal/mq/remoting"
)

// ConsumeMessageDirectly (309) has a consumer handle a message now, and answers with the result.
//
// Asked by: mqadmin queryMsgById -g -d.
// Fields:   consumerGroup, clientId, msgId (an offset message id); topic may lack.
// Answers:  what the client answers; 1 no such message, the client is not a member, or has gone; 207 it
//
//	has not answered within 10 seconds.
func (b *Broker) consumeDirectly(r *request) (*response, error) {
	name, clientID, id := r.text("consumerGroup"), r.text("clientId"), r.text("msgId")
	if err := r.err(); err != nil {
		return nil, err
	}
	_, physical, err := remoting.ParseOffsetMessageID(id)
	if err != nil {
		return nil, err
	}
	e := b.find(physical)
	if e == nil {
		return nil, refuse(remoting.ResponseSystemError, "can not find message by the offset, %d", physical)
	}
	ext := maps.Clone(r.ext)
	ext["brokerName"] = brokerName
	if t := b.topics[r.optional("topic")]; t != nil {
		ext["topicSysFlag"] = strconv.Itoa(t.config.SysFlag)
	}
	if g := b.groups[name]; g != nil {
		ext["groupSysFlag"] = strconv.Itoa(g.config.SysFlag)
	}
	return b.relay(r, name, clientID, ext, e.frame)
}
