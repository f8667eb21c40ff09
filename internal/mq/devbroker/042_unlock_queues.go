package devbroker

import "orderflow/internal/mq/remoting"

// UnlockBatchMQ (42) gives queues back that a client has locked.
//
// Asked by: consumers in order when a queue is taken from them, and when they stop; the Go client
//
//	without waiting for the answer.
//
// Body:     remoting.LockRequest.
// Answers:  0, also for queues that another client has locked: their locks stay.
func (b *Broker) unlockQueues(r *request) (*response, error) {
	var wanted remoting.LockRequest
	if err := remoting.DecodeBody(r.cmd.Body, &wanted); err != nil {
		return nil, err
	}
	if g := b.groups[wanted.Group]; g != nil {
		for _, q := range wanted.Queues {
			key := queueKey{q.Topic, q.ID}
			if g.locks[key].clientID == wanted.ClientID {
				delete(g.locks, key)
			}
		}
	}
	return &response{}, nil
}
