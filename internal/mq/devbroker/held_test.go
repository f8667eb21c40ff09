package devbroker_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// held is how many pulls wait at the queues of a topic.
func held(b *devbroker.Broker, topic string) int {
	n := 0
	for _, t := range b.Inspect().Topics {
		for _, q := range t.Queues {
			if t.Name == topic {
				n += q.Held
			}
		}
	}
	return n
}

// holdPull makes a pull that waits, and returns when it does.
func (p *peer) holdPull(b *devbroker.Broker, pull map[string]string) <-chan remoting.Command {
	p.t.Helper()
	before := held(b, pull["topic"])
	answers := p.ask(remoting.RequestPullMessage, waiting(pull, time.Minute), nil)
	eventually(p.t, "the pull is held", func() bool { return held(b, pull["topic"]) > before })
	return answers
}

func TestAHeldPullIsAnsweredByTheNextMessage(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	consumer, producer := dial(t, b), dial(t, b)
	producer.store("orders", "old")
	for _, how := range []string{"plain", "delayed", "committed", "batch"} {
		next := int64(len(bodies(b, "orders")))
		answers := consumer.holdPull(b, pulling("g", "orders", 0, next))
		switch how {
		case "plain":
			producer.store("orders", how)
		case "delayed":
			producer.store("orders", how, "DELAY", "1")
			b.Advance(time.Second)
		case "committed":
			producer.call(remoting.RequestEndTransaction, deciding(producer.prepare("orders", how), remoting.SysCommit), nil)
		case "batch":
			body, err := remoting.AppendBatchEntry(nil, remoting.BatchEntry{Body: []byte(how)})
			if err != nil {
				t.Fatal(err)
			}
			ext := sending("orders")
			ext["batch"] = "true"
			producer.call(remoting.RequestSendMessage, ext, body)
		}
		answer := consumer.await(answers)
		got := messages(t, answer)
		if answer.Code != remoting.ResponseSuccess || len(got) != 1 || string(got[0].Body) != how ||
			answer.Ext["nextBeginOffset"] != strconv.FormatInt(next+1, 10) {
			t.Errorf("%s: code %d, %d messages, %v", how, answer.Code, len(got), answer.Ext)
		}
	}
}

// A pull that waits is answered after its time with nothing, and with a filter it
// waits for what the filter lets through.
func TestAHeldPullThatFindsNothing(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "first")
	begin := time.Now()
	answer := p.try(remoting.RequestPullMessage, waiting(pulling("g", "orders", 0, 1), 40*time.Millisecond), nil)
	if answer.Code != remoting.ResponsePullNotFound || answer.Ext["nextBeginOffset"] != "1" {
		t.Errorf("code %d, %v", answer.Code, answer.Ext)
	}
	if passed := time.Since(begin); passed < 40*time.Millisecond {
		t.Errorf("answered after %v", passed)
	}
	filtered := pulling("g", "orders", 0, 1)
	filtered["subscription"] = "paid"
	answers := p.holdPull(b, filtered)
	p.store("orders", "no", "TAGS", "new")
	p.store("orders", "yes", "TAGS", "paid")
	if got := messages(t, p.await(answers)); len(got) != 1 || string(got[0].Body) != "yes" {
		t.Errorf("got %v", got)
	}
}

func TestManyHeldPulls(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	producer := dial(t, b)
	for queue := range 4 {
		ext := sending("orders")
		ext["queueId"] = strconv.Itoa(queue)
		producer.call(remoting.RequestSendMessage, ext, []byte("old"))
	}
	type holder struct {
		peer    *peer
		answers <-chan remoting.Command
	}
	var holders []holder
	for range 10 {
		p := dial(t, b)
		for n := range 400 {
			pull := waiting(pulling(fmt.Sprint("g", n), "orders", n%4, 1), time.Minute)
			holders = append(holders, holder{p, p.ask(remoting.RequestPullMessage, pull, nil)})
		}
	}
	eventually(t, "all are held", func() bool { return held(b, "orders") == len(holders) })
	for queue := range 4 {
		ext := sending("orders")
		ext["queueId"] = strconv.Itoa(queue)
		producer.call(remoting.RequestSendMessage, ext, []byte(strconv.Itoa(queue)))
	}
	for i, h := range holders {
		if got := messages(t, h.peer.await(h.answers)); len(got) != 1 || string(got[0].Body) != strconv.Itoa(i%4) {
			t.Fatalf("pull %d got %v", i, got)
		}
	}
	if n := held(b, "orders"); n != 0 {
		t.Errorf("%d are still held", n)
	}
}

// One connection cannot have more pulls waiting than there is room for: the others
// are answered at once.
func TestTooManyHeldPulls(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "old")
	const most = 4096
	for range most {
		p.ask(remoting.RequestPullMessage, waiting(pulling("g", "orders", 0, 1), time.Minute), nil)
	}
	if answer := p.try(remoting.RequestPullMessage, waiting(pulling("g", "orders", 0, 1), time.Minute), nil); answer.Code != remoting.ResponsePullNotFound {
		t.Errorf("code %d", answer.Code)
	}
	if n := held(b, "orders"); n != most {
		t.Errorf("%d are held, want %d", n, most)
	}
}

func TestHeldPullsEndWithTheirConnection(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	producer := dial(t, b)
	producer.store("orders", "old")
	consumer := dial(t, b)
	consumer.holdPull(b, pulling("g", "orders", 0, 1))
	consumer.close()
	eventually(t, "the pull is forgotten", func() bool { return held(b, "orders") == 0 })
	producer.store("orders", "new")

	consumer = dial(t, b)
	consumer.holdPull(b, pulling("g", "orders", 0, 2))
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	<-consumer.ended
	if n := held(b, "orders"); n != 0 {
		t.Errorf("%d are held after a restart", n)
	}
	consumer = dial(t, b)
	consumer.holdPull(b, pulling("g", "orders", 0, 2))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	<-consumer.ended
}

func TestPullsOutsideTheQueue(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "only one")
	const most = 1<<63 - 1
	for _, tt := range []struct {
		queue      int
		offset     int64
		code       int
		nextOffset string
	}{
		{0, 0, remoting.ResponseSuccess, "1"},
		{0, 1, remoting.ResponsePullNotFound, "1"},
		{0, 2, remoting.ResponsePullOffsetMoved, "1"},
		{0, most, remoting.ResponsePullOffsetMoved, "1"},
		{0, -1, remoting.ResponsePullOffsetMoved, "0"},
		{0, -most - 1, remoting.ResponsePullOffsetMoved, "0"},
		{1, 0, remoting.ResponsePullNotFound, "0"},
		{1, 5, remoting.ResponsePullOffsetMoved, "0"},
		{-1, 0, remoting.ResponseInvalidParameter, ""},
		{4, 0, remoting.ResponseInvalidParameter, ""},
		{1 << 31, 0, remoting.ResponseSystemError, ""},
	} {
		answer := p.try(remoting.RequestPullMessage, pulling("g", "orders", tt.queue, tt.offset), nil)
		if answer.Code != tt.code || answer.Ext["nextBeginOffset"] != tt.nextOffset {
			t.Errorf("queue %d, offset %d: code %d (%s), %v; want %d with %s", tt.queue, tt.offset, answer.Code, answer.Remark, answer.Ext, tt.code, tt.nextOffset)
		}
	}
}
