package devbroker

import (
	"maps"
	"slices"

	"orderflow/internal/mq/remoting"
)

// member is a client of a group, as long as its connection lasts.
type member struct {
	clientID string
	conn     *conn
	language remoting.Language
	version  int
	since    int64 // epoch milliseconds
}

// clientKey names a client in a group.
type clientKey struct {
	group    string
	clientID string
	producer bool
}

// lockTime is how long a lock of a queue holds without being renewed.
const lockTime = 60_000 // milliseconds, as with the real broker

// queueLock says who consumes a queue in order.
type queueLock struct {
	clientID string
	at       int64
}

func (l queueLock) expired(now int64) bool { return now-l.at > lockTime }

// registerProducer notes that a client can be asked about half messages of the
// group.
func (b *Broker) registerProducer(name string, m *member) {
	clients := b.producers[name]
	if clients == nil {
		clients = map[string]*member{}
		b.producers[name] = clients
	}
	clients[m.clientID] = m
	m.conn.clients[clientKey{name, m.clientID, true}] = true
}

// registerConsumer makes a client a member of the group. All are told if it is new,
// or the group's topics are.
func (b *Broker) registerConsumer(g *group, m *member, newTopics bool) {
	old := g.members[m.clientID]
	g.members[m.clientID] = m
	m.conn.clients[clientKey{g.name, m.clientID, false}] = true
	if newTopics || old == nil || old.conn != m.conn {
		b.notifyMembers(g)
	}
}

// unregister takes a client out of a group, unless it has come back by another
// connection meanwhile; of is nil if it leaves by itself.
func (b *Broker) unregister(client clientKey, of *conn) {
	if client.producer {
		if m := b.producers[client.group][client.clientID]; m != nil && (of == nil || m.conn == of) {
			delete(b.producers[client.group], client.clientID)
			if len(b.producers[client.group]) == 0 {
				delete(b.producers, client.group)
			}
		}
		return
	}
	g := b.groups[client.group]
	if g == nil {
		return
	}
	if m := g.members[client.clientID]; m != nil && (of == nil || m.conn == of) {
		delete(g.members, client.clientID)
		if len(g.members) == 0 {
			clear(g.subscriptions)
		}
		b.notifyMembers(g)
	}
}

// notifyMembers tells the members of a group that there are others now, so that
// they share the queues anew.
func (b *Broker) notifyMembers(g *group) {
	if !g.config.NotifyIDsChanged || g.model == remoting.ModelBroadcasting {
		return
	}
	for _, m := range g.members {
		b.push(m.conn, remoting.NewRequest(remoting.RequestNotifyConsumers, map[string]string{"consumerGroup": g.name}, nil), nil)
	}
}

// someProducer is a client of the group, another one each time; nil if there is
// none.
func (b *Broker) someProducer(name string) *member {
	clients := b.producers[name]
	if len(clients) == 0 {
		return nil
	}
	b.rotation++
	ids := slices.Sorted(maps.Keys(clients))
	return clients[ids[b.rotation%len(ids)]]
}
