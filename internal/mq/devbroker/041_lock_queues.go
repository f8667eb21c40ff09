package devbroker

import "orderflow/internal/mq/remoting"

// LockBatchMQ (41) locks queues for a client that consumes them in order.
//
// Asked by: consumers in order, every 20 seconds for all their queues.
// Body:     remoting.LockRequest.
// Answers:  0 with remoting.LockResult: those queues that the client has now; 26 no such group. A lock
//
//	ends 60 seconds after it was last renewed.
//
// Differs:  the group must be there or is created, and queues that there are not are left out.
func (b *Broker) lockQueues(r *request) (*response, error) {
	var wanted remoting.LockRequest
	if err := remoting.DecodeBody(r.cmd.Body, &wanted); err != nil {
		return nil, err
	}
	g := b.groupFor(wanted.Group)
	if g == nil {
		return nil, errNoGroup(wanted.Group)
	}
	if len(wanted.ClientID) > maxClientID {
		return nil, refuse(remoting.ResponseSystemError, "clientId is longer than %d bytes", maxClientID)
	}
	result := remoting.LockResult{Locked: []remoting.MessageQueue{}}
	for _, q := range wanted.Queues {
		key := queueKey{q.Topic, q.ID}
		if b.queue(key.topic, key.id) == nil {
			continue // a lock of what is not there would be kept for ever
		}
		if lock, held := g.locks[key]; held && lock.clientID != wanted.ClientID && !lock.expired(r.now) {
			continue
		}
		g.locks[key] = queueLock{clientID: wanted.ClientID, at: r.now}
		result.Locked = append(result.Locked, q)
	}
	return jsonResponse(result)
}
