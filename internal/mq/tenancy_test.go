package mq

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// unlocked remembers which queues were given back.
type unlocked struct {
	mu     sync.Mutex
	queues []string
	hangs  chan struct{} // closed when an unlock may return; nil for at once
}

func (u *unlocked) unlock(_ context.Context, clientID string, q primitive.MessageQueue) {
	u.mu.Lock()
	u.queues = append(u.queues, fmt.Sprintf("%s %d", clientID, q.QueueId))
	u.mu.Unlock()
	if u.hangs != nil {
		<-u.hangs
	}
}

func (u *unlocked) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	slices.Sort(u.queues)
	return strings.Join(u.queues, ", ")
}

func TestQueuesThatMoveAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &unlocked{}
		k := newTenancy(u.unlock)
		all := queuesOf(1, 4)
		if share := k.allocate("group", "me", all, []string{"me"}); len(share) != 4 {
			t.Fatalf("alone: %v", share)
		}
		if !k.begin(*all[2]) { // its handler runs when the queue goes
			t.Fatal("my own queue is refused")
		}
		share := k.allocate("group", "me", all, []string{"me", "you"})
		if len(share) != 2 || share[0].QueueId != 0 || share[1].QueueId != 1 {
			t.Fatalf("two members: %v", share)
		}
		synctest.Wait()
		if got := u.String(); got != "me 3" {
			t.Errorf("given back: %s", got)
		}
		for i, want := range []bool{true, true, false, false} {
			if i != 2 && k.begin(*all[i]) != want {
				t.Errorf("a handler may begin with queue %d: %v", i, !want)
			}
		}
		k.end(*all[0])
		k.end(*all[2])
		synctest.Wait()
		if got := u.String(); got != "me 2, me 3" {
			t.Errorf("given back: %s", got)
		}
		if k.begin(*all[2]) {
			t.Error("another handler begins with a queue that is somebody else's")
		}
		k.allocate("group", "me", all, []string{"me", "you"}) // nothing changes
		k.allocate("group", "me", all, []string{"me"})
		synctest.Wait()
		if got := u.String(); got != "me 2, me 3" || !k.begin(*all[3]) {
			t.Errorf("mine again: given back %s", got)
		}
		k.allocate("group", "me", all, []string{"you"}) // the broker does not know me any more
		synctest.Wait()
		// Handlers of 1 and 3 were not ended.
		if got := u.String(); got != "me 0, me 2, me 2, me 3" {
			t.Errorf("given back: %s", got)
		}
	})
}

// The library locks a queue right after it was allocated: an unlock that comes
// behind would take that lock away.
func TestQueueThatComesBackWaitsForItsUnlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &unlocked{hangs: make(chan struct{})}
		k := newTenancy(u.unlock)
		all := queuesOf(1, 2)
		k.allocate("group", "me", all, []string{"me"})
		k.allocate("group", "me", all, []string{"me", "you"})
		back := make(chan int, 1)
		go func() { back <- len(k.allocate("group", "me", all, []string{"me"})) }()
		synctest.Wait()
		if len(back) != 0 {
			t.Error("allocated under its own unlock")
		}
		if !k.begin(*all[0]) {
			t.Error("another queue is held up")
		}
		close(u.hangs)
		if n := <-back; n != 2 || !k.begin(*all[1]) {
			t.Errorf("%d queues are mine again", n)
		}
	})
}

// A consumer's connections end behind it.
func TestCloseWaitsForUnlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &unlocked{hangs: make(chan struct{})}
		k := newTenancy(u.unlock)
		all := queuesOf(1, 2)
		k.allocate("group", "me", all, []string{"me"})
		k.allocate("group", "me", all, []string{"me", "you"})
		closed := make(chan bool, 1)
		go func() {
			k.close()
			closed <- true
		}()
		synctest.Wait()
		if len(closed) != 0 {
			t.Error("closed under an unlock")
		}
		close(u.hangs)
		<-closed
		k.allocate("group", "me", all, []string{"you"})
		synctest.Wait()
		if got := u.String(); got != "me 1" {
			t.Errorf("given back: %s; nothing may be behind close", got)
		}
	})
}

func TestLostQueueIsNotHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		k, _, _ := consumerOf(t, c, Subscription{Ordered: true, Handler: func(context.Context, message.Message) error {
			t.Error("handled")
			return nil
		}})
		msg := received("1")
		all := []*primitive.MessageQueue{msg.Queue}
		k.queues.allocate("group", "me", all, []string{"me"})
		k.queues.allocate("group", "me", all, []string{"you"})
		if got := <-callInOrder(k, msg); got.wait != soon {
			t.Errorf("the library is told %v", got)
		}
		if len(k.slots) != 0 || k.pause.running != 0 {
			t.Error("a handler is counted that did not run")
		}
	})
}

func TestUnlockOnTheWire(t *testing.T) {
	s := newFakeServer(t)
	s.topics["topic"] = remoting.TopicConfig{Name: "topic", ReadQueues: 1, WriteQueues: 1}
	s.on(remoting.RequestUnlockQueues, func(r remoting.Command) remoting.Command { return r.Response(remoting.ResponseSuccess, "") })
	a := fakeAdmin(t, s.addr)
	q := primitive.MessageQueue{Topic: "topic", BrokerName: "b", QueueId: 3}
	if err := a.unlockQueue(t.Context(), "group", "ip@me", q); err != nil {
		t.Fatal(err)
	}
	var got remoting.LockRequest
	if err := json.Unmarshal(s.last(t, remoting.RequestUnlockQueues).Body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Group != "group" || got.ClientID != "ip@me" || len(got.Queues) != 1 ||
		got.Queues[0] != (remoting.MessageQueue{Topic: "topic", Broker: "b", ID: 3}) {
		t.Errorf("asked for %+v", got)
	}
	s.refuse(remoting.RequestUnlockQueues, remoting.ResponseSystemError, "no")
	if err := a.unlockQueue(t.Context(), "group", "ip@me", q); err == nil {
		t.Error("a refusal is no error")
	}
	q.BrokerName = "gone"
	if err := a.unlockQueue(t.Context(), "group", "ip@me", q); err == nil {
		t.Error("no such broker is no error")
	}
	c, _ := quiet()
	c.NameServers = []string{s.addr}
	k := NewConsumer(c, Subscription{Group: "group", Topic: "topic", Ordered: true})
	defer func() { _ = k.Stop(context.Background()) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	k.unlock(ctx, "ip@me", q) // only logs
}
