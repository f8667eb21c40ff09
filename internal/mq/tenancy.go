package mq

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/remoting"
)

// unlockTimeout bounds the question to give a lock back. Without an answer the
// lock expires.
const unlockTimeout = time.Second

// tenancy follows which queues an ordered consumer has, and gives the locks of
// those back that go to other members: at once, or when the handler that runs has
// ended. The library does not (its comment says "TODO orderly"), and each queue
// that moved would stand still for the minute in which its lock expires.
type tenancy struct {
	unlock func(ctx context.Context, clientID string, q primitive.MessageQueue)

	mu        sync.Mutex
	mine      map[primitive.MessageQueue]bool
	lost      map[primitive.MessageQueue]string        // to another member; by which client
	busy      map[primitive.MessageQueue]bool          // a handler runs
	releasing map[primitive.MessageQueue]chan struct{} // closed when its lock is given back
	closed    bool
	releases  sync.WaitGroup // those of releasing
}

func newTenancy(unlock func(context.Context, string, primitive.MessageQueue)) *tenancy {
	return &tenancy{
		unlock: unlock, mine: map[primitive.MessageQueue]bool{}, lost: map[primitive.MessageQueue]string{},
		busy: map[primitive.MessageQueue]bool{}, releasing: map[primitive.MessageQueue]chan struct{}{},
	}
}

// allocate is the library's strategy to share the queues of a topic out: by
// average, as all clients do. The library drops what it does not return.
func (t *tenancy) allocate(group, clientID string, all []*primitive.MessageQueue, members []string) []*primitive.MessageQueue {
	share := consumer.AllocateByAveragely(group, clientID, all, members)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range all {
		switch {
		case slices.ContainsFunc(share, func(s *primitive.MessageQueue) bool { return *s == *q }):
			t.take(*q)
		case t.mine[*q]:
			delete(t.mine, *q)
			t.lost[*q] = clientID
			t.release(*q)
		}
	}
	return share
}

// take makes a queue this member's; mu is held. If its lock is just being given
// back, the library must not ask for it before.
func (t *tenancy) take(q primitive.MessageQueue) {
	for t.releasing[q] != nil {
		released := t.releasing[q]
		t.mu.Unlock()
		<-released
		t.mu.Lock()
	}
	t.mine[q] = true
	delete(t.lost, q)
}

// begin says whether a handler may begin with a message of the queue.
func (t *tenancy) begin(q primitive.MessageQueue) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, lost := t.lost[q]; lost {
		return false
	}
	t.busy[q] = true
	return true
}

// end says that the handler has ended.
func (t *tenancy) end(q primitive.MessageQueue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, q)
	t.release(q)
}

// release gives the lock of a lost queue back, unless a handler runs; mu is held.
// After close the lock is left to expire.
func (t *tenancy) release(q primitive.MessageQueue) {
	clientID, lost := t.lost[q]
	if !lost || t.busy[q] || t.closed {
		return
	}
	released := make(chan struct{})
	t.releasing[q] = released
	t.releases.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), unlockTimeout)
		defer cancel()
		t.unlock(ctx, clientID, q)
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.releasing, q)
		close(released)
	})
}

// close gives no more locks back, and waits for those that are under way: for
// unlockTimeout at most.
func (t *tenancy) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.releases.Wait()
}

// unlockQueue gives back the lock that a client of a group has on a queue.
func (a *Admin) unlockQueue(ctx context.Context, group, clientID string, q primitive.MessageQueue) error {
	body, err := json.Marshal(remoting.LockRequest{Group: group, ClientID: clientID,
		Queues: []remoting.MessageQueue{{Topic: q.Topic, Broker: q.BrokerName, ID: q.QueueId}}})
	if err != nil {
		return fmt.Errorf("unlock %v: %w", q.String(), err)
	}
	addr, _, err := a.store(ctx, SendBackRequest{Topic: q.Topic, BrokerName: q.BrokerName})
	if err != nil {
		return fmt.Errorf("unlock %v: %w", q.String(), err)
	}
	if _, err := a.send(ctx, addr, remoting.NewRequest(remoting.RequestUnlockQueues, nil, body)); err != nil {
		return fmt.Errorf("unlock %v: %w", q.String(), err)
	}
	return nil
}
