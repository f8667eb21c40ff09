package devbroker_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

func TestRefuseWrites(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "before")
	p.store("orders", "due meanwhile", "DELAY", "1")
	b.RefuseWrites(true)
	p.refused(remoting.ResponseServiceNotAvailable, remoting.RequestSendMessage, sending("orders"), []byte("m"))
	b.Advance(time.Second)
	b.RefuseWrites(false)
	p.store("orders", "after")
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"before", "due meanwhile", "after"}) {
		t.Errorf("got %q", got)
	}
}

func TestForgetHalf(t *testing.T) {
	t.Parallel()
	for _, options := range [][]devbroker.Option{nil, {devbroker.WithRepeatedCommits()}} {
		b, _ := startManual(t, options...)
		b.SetPatience(0, 0, 0, time.Millisecond, 0)
		p := dial(t, b)
		p.beProducer("c1")
		lost := p.prepare("orders", "lost")
		p.prepare("orders", "kept")
		b.Advance(36 * time.Second)
		if b.ForgetHalf("none") {
			t.Error("it knows a half message that there is not")
		}
		if !b.ForgetHalf("lost") || b.ForgetHalf("lost") {
			t.Error("it is not forgotten once")
		}
		p.refused(remoting.ResponseSystemError, remoting.RequestEndTransaction, deciding(lost, remoting.SysCommit), nil)
		if halves := b.Inspect().Halves; len(halves) != 1 || halves[0].UniqueKey != "kept" {
			t.Errorf("half messages %+v", halves)
		}
		if left := len(b.Messages("RMQ_SYS_TRANS_HALF_TOPIC", 0)); len(options) == 0 && left != 1 || len(options) > 0 && left != 3 {
			t.Errorf("%d half messages are stored", left) // with two copies of the one that is kept
		}
	}
}

func TestCheckNow(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithMaxChecks(2))
	p := dial(t, b)
	p.beProducer("c1")
	p.prepare("orders", "first")
	p.prepare("orders", "second", "CHECK_IMMUNITY_TIME_IN_SECONDS", "600")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for _, want := range []string{"first", "second"} {
			check := p.next(remoting.RequestCheckTransaction)
			if got := check.Ext["transactionId"]; got != want {
				t.Errorf("asked about %s, want %s", got, want)
			}
			decision := remoting.SysCommit
			if want == "second" {
				decision = 0
			}
			p.ask(remoting.RequestEndTransaction, answering(check, decision), nil)
		}
	}()
	b.CheckNow() // waits for the answers
	<-answered
	s := b.Inspect()
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"first"}) || len(s.Halves) != 1 {
		t.Fatalf("delivered %q, half messages %+v", got, s.Halves)
	}
	if h := s.Halves[0]; h.Checks != 1 || !h.NextCheck.Equal(start().Add(30*time.Second)) {
		t.Errorf("the other one: %+v", h)
	}
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	b.Advance(6 * time.Second) // when the first check-back was planned before
	p.quiet()
	b.CheckNow()
	p.next(remoting.RequestCheckTransaction)
	b.CheckNow()
	p.quiet()
	if s := b.Inspect(); s.Discarded != 1 || len(s.Halves) != 0 {
		t.Errorf("%d are put aside, undecided %+v", s.Discarded, s.Halves)
	}
	b.CheckNow()
}

func TestCutConnections(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	peers := []*peer{dial(t, b), dial(t, b)}
	for _, p := range peers {
		p.join("c", "g")
	}
	b.CutConnections()
	for _, p := range peers {
		<-p.ended
	}
	dial(t, b).store("orders", "m")
	eventually(t, "the members have gone", func() bool { return len(groupState(t, b, "g").Members) == 0 })
}

// After Wipe a broker is as new but for its connections, also when it is started
// again with what is in its folder.
func TestWipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, manual := startManual(t, devbroker.WithDataDir(dir))
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	p := dial(t, b)
	p.beProducer("c1")
	p.join("c2", "members", "orders")
	p.next(remoting.RequestNotifyConsumers)
	p.store("orders", "m")
	p.store("orders", "later", "DELAY", "1")
	half := p.prepare("orders", "half")
	p.createGroup("alone")
	p.call(remoting.RequestUpdateOffset, map[string]string{"consumerGroup": "alone", "topic": "orders", "queueId": "0", "commitOffset": "1"}, nil)
	answers := p.holdPull(b, pulling("members", "orders", 0, 1))
	b.Wipe()
	if answer := p.await(answers); answer.Code != remoting.ResponsePullNotFound {
		t.Errorf("the pull that was held is answered with code %d", answer.Code)
	}
	p.refused(remoting.ResponseTopicNotExist, remoting.RequestPullMessage, pulling("members", "orders", 0, 1), nil)
	p.refused(remoting.ResponseSystemError, remoting.RequestEndTransaction, deciding(half, remoting.SysCommit), nil)
	b.Advance(time.Hour)
	p.quiet()
	s := b.Inspect()
	if len(s.Timers)+len(s.Halves) != 0 || len(s.Groups) != 1 || !slices.Equal(memberIDs(s.Groups[0]), []string{"c2"}) || len(s.Producers) != 1 {
		t.Errorf("left: %+v", s)
	}
	stored := p.store("orders", "new")
	if stored["queueOffset"] != "0" {
		t.Errorf("stored at %v", stored)
	}
	p.prepare("orders", "another")
	b.Advance(6 * time.Second)
	p.next(remoting.RequestCheckTransaction)
	before := kept(b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := devbroker.RunT(t, devbroker.WithDataDir(dir), devbroker.WithClock(manual), devbroker.WithAutoCreateTopics(true))
	if after := kept(again); !reflect.DeepEqual(after, before) {
		t.Errorf("after a start: %+v\nbefore: %+v", after, before)
	}
}

// kept is what a broker keeps over a restart: all but who is connected.
func kept(b *devbroker.Broker) map[string]any {
	s := b.Inspect()
	s.Addr, s.Now, s.Connections, s.Producers = "", time.Time{}, nil, nil
	stored := map[string]any{}
	for i := range s.Groups {
		g := &s.Groups[i]
		g.Model, g.Members, g.Subscriptions, g.Locks = "", nil, nil, nil
		g.Offsets = slices.DeleteFunc(g.Offsets, func(o devbroker.OffsetState) bool { return o.Offset < 0 }) // by the subscriptions
	}
	for i := range s.Topics {
		for j := range s.Topics[i].Queues {
			s.Topics[i].Queues[j].Held = 0
		}
		stored["messages of "+s.Topics[i].Name] = b.Messages(s.Topics[i].Name, 0)
	}
	stored["state"] = s
	return stored
}
