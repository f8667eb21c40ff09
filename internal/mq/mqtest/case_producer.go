package mqtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

func text(topic, body string) message.Message {
	return message.Message{Topic: topic, Body: []byte(body)}
}

func producerAsync(s *scene) {
	const count = 50
	topic := s.topic(1)
	p := s.producer(topic)
	var mu sync.Mutex
	calls := map[int]int{}
	var all sync.WaitGroup
	for i := range count {
		all.Add(1)
		err := p.SendAsync(s.ctx, text(topic, fmt.Sprint(i)), func(err error) {
			defer all.Done()
			if err != nil {
				s.Errorf("message %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			calls[i]++
		})
		if err != nil {
			s.Fatal(err)
		}
	}
	all.Wait()
	got := bodies(s.wait(topic, 0, count))
	slices.Sort(got)
	if len(slices.Compact(got)) != count || len(calls) != count {
		s.Errorf("%d callbacks, the queue has %q", len(calls), got)
	}
	// A refusal arrives at the callback, too.
	refused := make(chan error, 1)
	if err := p.SendAsync(s.ctx, text(s.fresh("unknown"), "x"), func(err error) { refused <- err }); err != nil {
		s.Fatal(err)
	}
	if err := <-refused; !errors.Is(err, message.ErrUnavailable) {
		s.Errorf("to an unknown topic: %v", err)
	}
}

func producerOneWay(s *scene) {
	topic := s.topic(1)
	p := s.producer(topic)
	for i := range 5 {
		m := text(topic, fmt.Sprint(i))
		m.Tag = "t"
		if err := p.SendOneWay(s.ctx, m); err != nil {
			s.Fatal(err)
		}
	}
	all := s.wait(topic, 0, 5)
	// In any order: the real broker works at several requests of a connection.
	if got := bodies(all); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"0", "1", "2", "3", "4"}) {
		s.Errorf("the queue has %q", got)
	}
	equal(s, "tag", property(all[0], "TAGS"), "t")
}

// A batch is all in one queue, in order, and each message is as if it had been
// sent alone.
func producerBatch(s *scene) {
	topic := s.topic(2)
	p := s.producer(topic)
	batch := make([]message.Message, 5)
	for i := range batch {
		batch[i] = message.Message{
			Topic: topic, Body: []byte(fmt.Sprint(i)), Tag: fmt.Sprint("t", i), Keys: []string{fmt.Sprint("k", i)},
			Properties: map[string]string{"own": fmt.Sprint(i)},
		}
	}
	if err := p.SendBatch(s.ctx, batch); err != nil {
		s.Fatal(err)
	}
	box := s.consumer(topic, mq.Subscription{Concurrency: 1})
	ids := map[string]bool{}
	for i, m := range box.wait(5) {
		if string(m.Body) != fmt.Sprint(i) || m.Tag != batch[i].Tag || !slices.Equal(m.Keys, batch[i].Keys) || m.Properties["own"] != fmt.Sprint(i) {
			s.Errorf("message %d is %+v", i, m)
		}
		ids[m.ID] = true
	}
	equal(s, "ids", len(ids), 5)
	batch[3].Body = []byte(strings.Repeat("x", 5<<20))
	var wrong *mq.BatchError
	if err := p.SendBatch(s.ctx, batch); !errors.As(err, &wrong) || !errors.Is(err, message.ErrNotSent) {
		s.Errorf("a batch that is too large: %v", err)
	}
	total := s.offset(remoting.RequestGetMaxOffset, topic, 0) + s.offset(remoting.RequestGetMaxOffset, topic, 1)
	equal(s, "messages", total, 5)
}

// A key has a queue, and a queue an order.
func producerOrdered(s *scene) {
	const queues, each = 4, 6
	topic := s.typedTopic("FIFO", queues)
	p := s.producer(topic)
	keys := []string{"a", "b", "c", "d", "e"}
	var all sync.WaitGroup
	for _, key := range keys {
		all.Go(func() {
			for n := range each {
				if err := p.SendOrdered(s.ctx, text(topic, fmt.Sprint(n)), key); err != nil {
					s.Errorf("send: %v", err)
				}
			}
		})
	}
	all.Wait()
	where := map[string]int{}
	order := map[string][]string{}
	s.until("all messages", func() bool {
		clear(order)
		clear(where)
		count := 0
		for queue := range queues {
			for _, m := range s.queue(topic, queue) {
				key := property(m, "__SHARDINGKEY")
				if at, seen := where[key]; seen && at != queue {
					s.Fatalf("key %s is in the queues %d and %d", key, at, queue)
				}
				where[key] = queue
				order[key] = append(order[key], string(m.Body))
				count++
			}
		}
		return count == len(keys)*each
	})
	for _, key := range keys {
		if got := strings.Join(order[key], ""); got != "012345" {
			s.Errorf("the messages of %s are stored as %s", key, got)
		}
	}
}

func producerAt(s *scene) {
	topic := s.typedTopic("DELAY", 1)
	p := s.producer(topic)
	box := s.consumer(topic, mq.Subscription{})
	at := time.Now().Add(4 * time.Second)
	sent := s.during(func() {
		if err := p.SendAt(s.ctx, text(topic, "later"), at); err != nil {
			s.Fatal(err)
		}
	})
	if err := p.SendAt(s.ctx, text(topic, "past"), time.Now().Add(-time.Hour)); err != nil {
		s.Fatal(err)
	}
	overtakes := time.Now().Before(at) // or the machine is so busy that the time has come
	box.wait(2)
	stored := s.wait(topic, 0, 2)
	later := slices.IndexFunc(stored, func(m remoting.StoredMessage) bool { return string(m.Body) == "later" })
	s.onTime("the later one", stored[later], sent.notBefore(at), 0)
	if got := box.bodies(); overtakes && !slices.Equal(got, []string{"past", "later"}) {
		s.Errorf("they come as %q", got)
	}
	var far *mq.TimerTooFarError
	err := p.SendAt(s.ctx, text(topic, "far"), time.Now().Add(4*24*time.Hour))
	if !errors.As(err, &far) || far.Max != 3*24*time.Hour {
		s.Errorf("in four days: %v", err)
	}
}

// listener decides about half messages by their bodies.
type listener struct {
	checks chan string
}

func (l *listener) ExecuteLocalTransaction(_ context.Context, m message.Message, _ any) (message.TransactionState, error) {
	switch string(m.Body) {
	case "commit":
		return message.StateCommit, nil
	case "roll back":
		return message.StateRollback, errors.New("refused")
	default:
		return message.StateUnknown, errors.New("outcome unknown")
	}
}

// CheckLocalTransaction repeats what was decided: the broker may ask once more
// about what has ended.
func (l *listener) CheckLocalTransaction(_ context.Context, m message.Message) message.TransactionState {
	select {
	case l.checks <- string(m.Body):
	default:
	}
	if string(m.Body) == "roll back" {
		return message.StateRollback
	}
	return message.StateCommit
}

// The same through the wrapper: what is committed arrives, at once or by
// check-back; what is rolled back never does. A message may arrive twice: the real
// broker checks back what was committed a moment before.
func txProducer(s *scene) {
	s.needsStockClient()
	topic := s.typedTopic("TRANSACTION", 1)
	l := &listener{checks: make(chan string, 100)}
	p := start(s, mq.NewTransactionProducer(s.client(), s.fresh("producers"), l, topic))
	box := s.consumer(topic, mq.Subscription{})
	for _, c := range []struct {
		body string
		want message.TransactionState
	}{{"roll back", message.StateRollback}, {"unknown", message.StateUnknown}, {"commit", message.StateCommit}} {
		state, err := p.SendInTransaction(s.ctx, text(topic, c.body), nil)
		if state != c.want || (err == nil) != (c.want == message.StateCommit) {
			s.Errorf("%s: %v, %v", c.body, state, err)
		}
	}
	box.waitFor("commit")
	box.waitFor("unknown")
	for asked := false; !asked; {
		select {
		case body := <-l.checks:
			asked = body == "unknown"
		case <-s.ctx.Done():
			s.Fatal("the broker has not asked about the unknown one")
		}
	}
	if slices.Contains(box.bodies(), "roll back") {
		s.Error("what was rolled back has arrived")
	}
}
