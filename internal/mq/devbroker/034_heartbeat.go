package devbroker

import "orderflow/internal/mq/remoting"

// Heartbeat (34) says which groups a client belongs to, and what its consumers subscribe to.
//
// Asked by: all clients every 30 seconds, and when they start or subscribe.
// Body:     remoting.Heartbeat.
// Answers:  0; 1 if the body cannot be parsed or has no client id. Members of a consumer group are told
//
//	(40) when there is a new one. A group that does not exist is created, unless that is off: then
//	its consumers are not members.
//
// Differs:  heartbeats without their subscriptions (withoutSub) are not asked for.
func (b *Broker) heartbeat(r *request) (*response, error) {
	var beat remoting.Heartbeat
	if err := remoting.DecodeBody(r.cmd.Body, &beat); err != nil {
		return nil, err
	}
	if beat.ClientID == "" {
		return nil, refuse(remoting.ResponseSystemError, "heartbeat: clientID is missing")
	}
	m := &member{clientID: beat.ClientID, conn: r.conn, language: r.cmd.Language, version: r.cmd.Version, since: r.now}
	for _, p := range beat.Producers {
		if p.Name != "" {
			b.registerProducer(p.Name, m)
		}
	}
	for _, c := range beat.Consumers {
		g := b.groupFor(c.Name)
		if g == nil {
			continue
		}
		g.kind, g.model, g.from = c.ConsumeType, c.MessageModel, c.ConsumeFrom
		g.subscribe(c.Subscriptions)
		b.registerConsumer(g, m)
	}
	return &response{ext: answerFields("IS_SUPPORT_HEART_BEAT_V2", false)}, nil
}
