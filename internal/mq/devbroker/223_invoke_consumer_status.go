package devbroker

import "orderflow/internal/mq/remoting"

// InvokeBrokerToGetConsumerStatus (223) asks the members of a consumer group (221) how far they are in a
// topic.
//
// Asked by: mqadmin getConsumerStatus.
// Fields:   topic, group; clientAddr, the client id of the only one to ask, may lack.
// Answers:  0 with remoting.ConsumerStatus, without those who have not answered within 10 seconds; 1 if
//
//	the group has no members.
//
// Differs:  all are asked at once. The stock Go client knows no such request and does not answer.
func (b *Broker) consumerStatus(r *request) (*response, error) {
	topic, name, only := r.text("topic"), r.text("group"), r.optional("clientAddr")
	if err := r.err(); err != nil {
		return nil, err
	}
	g := b.groups[name]
	if g == nil || len(g.members) == 0 {
		return nil, refuse(remoting.ResponseSystemError, "No Any Consumer online in the consumer group: [%s]", name)
	}
	status := remoting.ConsumerStatus{Clients: map[string]remoting.OffsetTable[int64]{}}
	asker := r.promise()
	open := 0 // members that have not answered
	question := remoting.NewRequest(remoting.RequestConsumerStatus, map[string]string{"topic": topic, "group": name}, nil)
	for id, m := range g.members {
		if only != "" && only != id {
			continue
		}
		err := b.forward(m.conn, question, func(answer remoting.Command) {
			var of remoting.ConsumerStatus
			if answer.Code == remoting.ResponseSuccess && remoting.DecodeBody(answer.Body, &of) == nil {
				status.Clients[id] = of.Queues
			}
			if open--; open == 0 {
				asker.keep(&response{body: status.Encode()})
			}
		})
		if err == nil {
			open++
		}
	}
	if open == 0 {
		return &response{body: status.Encode()}, nil
	}
	return nil, nil
}
