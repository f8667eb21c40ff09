package devbroker

import (
	"maps"

	"orderflow/internal/mq/remoting"
)

// Heartbeat (34) says which groups a client belongs to, and what its consumers subscribe to.
//
// Asked by: all clients every 30 seconds, and when they start or subscribe.
// Body:     remoting.Heartbeat.
// Answers:  0; 1 if the body cannot be parsed, has no client id or is beyond the bounds. Members of a
//
//	consumer group are told (40) when there is a new one or the topics are others. A group that does
//	not exist is created, unless that is off: then its consumers are not members.
//
// Differs:  heartbeats without their subscriptions (withoutSub) are not asked for.
func (b *Broker) heartbeat(r *request) (*response, error) {
	var beat remoting.Heartbeat
	if err := remoting.DecodeBody(r.cmd.Body, &beat); err != nil {
		return nil, err
	}
	if err := checkHeartbeat(r.conn, beat); err != nil {
		return nil, err
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
		changed := g.subscribe(c.Subscriptions)
		b.registerConsumer(g, m, changed)
	}
	return &response{ext: answerFields("IS_SUPPORT_HEART_BEAT_V2", false)}, nil
}

// checkHeartbeat refuses a heartbeat as a whole if it would have the broker keep
// too much.
func checkHeartbeat(c *conn, beat remoting.Heartbeat) error {
	tooLong := func(name string) bool { return len(name) > maxClientID }
	if beat.ClientID == "" || tooLong(beat.ClientID) {
		return refuse(remoting.ResponseSystemError, "heartbeat: clientID is missing or longer than %d bytes", maxClientID)
	}
	added := map[clientKey]bool{}
	for _, p := range beat.Producers {
		if tooLong(p.Name) {
			return refuse(remoting.ResponseSystemError, "heartbeat: a groupName is longer than %d bytes", maxClientID)
		}
		added[clientKey{p.Name, beat.ClientID, true}] = true
	}
	for _, g := range beat.Consumers {
		if tooLong(g.Name) || tooLong(g.ConsumeType) || tooLong(g.MessageModel) || tooLong(g.ConsumeFrom) {
			return refuse(remoting.ResponseSystemError, "heartbeat: a field of a consumer group is longer than %d bytes", maxClientID)
		}
		if len(g.Subscriptions) > maxSubscriptions {
			return refuse(remoting.ResponseSystemError, "heartbeat: group %s subscribes to %d topics, at most %d are taken",
				g.Name, len(g.Subscriptions), maxSubscriptions)
		}
		added[clientKey{g.Name, beat.ClientID, false}] = true
	}
	maps.DeleteFunc(added, func(key clientKey, _ bool) bool { return c.clients[key] })
	if len(c.clients)+len(added) > maxClients {
		return refuse(remoting.ResponseSystemError, "heartbeat: a connection may stand for %d clients of groups, not %d more than %d",
			maxClients, len(added), len(c.clients))
	}
	return nil
}
