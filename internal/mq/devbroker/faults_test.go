package devbroker_test

import (
	"slices"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// silent fails if there is an answer already; the peer must have had one to a later
// request.
func silent(t testing.TB, answers <-chan remoting.Command) {
	t.Helper()
	select {
	case answer := <-answers:
		t.Errorf("answered with code %d", answer.Code)
	default:
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		action devbroker.Action
		check  func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command)
	}{
		{"nothing", devbroker.Action{}, func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			p.await(answers)
		}},
		{"drop", devbroker.Drop(), func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			p.quiet()
			silent(t, answers)
		}},
		{"answer", devbroker.Answer(remoting.ResponseSystemBusy, "busy"), func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			if got := p.await(answers); got.Code != remoting.ResponseSystemBusy || got.Remark != "busy" {
				t.Errorf("answered with code %d, %s", got.Code, got.Remark)
			}
		}},
		{"cut", devbroker.Cut(), func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			<-p.ended
			silent(t, answers)
		}},
		{"cut after", devbroker.CutAfter(), func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			<-p.ended
			silent(t, answers)
		}},
		{"lose reply", devbroker.LoseReply(), func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			p.quiet()
			silent(t, answers)
		}},
		{"duplicate", devbroker.Duplicate(), func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			if got := p.await(answers); got.Ext["queueOffset"] != "0" {
				t.Errorf("answered with %v", got.Ext)
			}
			p.quiet()
			silent(t, answers)
		}},
		{"delay", devbroker.Delay(50 * time.Millisecond), func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			p.quiet() // others pass it
			p.await(answers)
		}},
		{"reorder", devbroker.Reorder(), func(t *testing.T, b *devbroker.Broker, p *peer, answers <-chan remoting.Command) {
			p.await(answers) // without another request of its code
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := []string{"m"}
			switch tt.name {
			case "drop", "answer", "cut":
				want = []string{}
			case "duplicate":
				want = []string{"m", "m"}
			}
			b, _ := startManual(t)
			p := dial(t, b)
			injected := b.Inject(devbroker.Fault{Code: remoting.RequestSendMessage, Times: 1, Action: tt.action})
			begin := time.Now()
			tt.check(t, b, p, p.ask(remoting.RequestSendMessage, sending("orders"), []byte("m")))
			if tt.name == "delay" && time.Since(begin) < 50*time.Millisecond || tt.name == "reorder" && time.Since(begin) < devbroker.ReorderTime {
				t.Errorf("it took %v", time.Since(begin))
			}
			if got := bodies(b, "orders"); !slices.Equal(got, want) || injected.Fired() != 1 {
				t.Errorf("stored %q, want %q; fired %d times", got, want, injected.Fired())
			}
			p = dial(t, b)
			p.store("orders", "next") // the fault is over
			if got := bodies(b, "orders"); !slices.Equal(got, append(want, "next")) {
				t.Errorf("stored %q", got)
			}
		})
	}
}

func TestWhatAFaultApplies(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	send := func(topic, group string) int {
		ext := sending(topic)
		ext["producerGroup"] = group
		return p.try(remoting.RequestSendMessage, ext, []byte("m")).Code
	}
	fault := devbroker.Fault{Topic: "orders", Group: "g", Skip: 1, Times: 2, Action: devbroker.Answer(99, "")}
	injected := b.Inject(fault)
	got := []int{}
	for _, request := range []struct{ topic, group string }{
		{"orders", "g"}, {"orders", "other"}, {"other", "g"}, {"orders", "g"}, {"orders", "g"}, {"orders", "g"},
	} {
		got = append(got, send(request.topic, request.group))
	}
	if want := []int{0, 0, 0, 99, 99, 0}; !slices.Equal(got, want) || injected.Fired() != 2 {
		t.Errorf("codes %v, want %v; fired %d times", got, want, injected.Fired())
	}

	fault.Skip, fault.Times = 0, 0
	injected = b.Inject(fault)
	long := map[string]string{"a": "g", "b": "orders", "e": "0", "f": "0", "g": "0", "h": "0"}
	for name, ext := range map[string]map[string]string{
		"SendMessageV2": long, "PullMessage": pulling("g", "orders", 0, 0), "SendBack": {"group": "g", "originTopic": "orders"},
	} {
		code := map[string]int{
			"SendMessageV2": remoting.RequestSendMessageV2, "PullMessage": remoting.RequestPullMessage, "SendBack": remoting.RequestSendBack,
		}[name]
		if answer := p.try(code, ext, nil); answer.Code != 99 {
			t.Errorf("%s: code %d", name, answer.Code)
		}
	}
	injected.Cancel()
	injected.Cancel()
	if code := send("orders", "g"); code != 0 || injected.Fired() != 3 {
		t.Errorf("code %d after Cancel; fired %d times", code, injected.Fired())
	}
}

// Of faults that match the first one applies; the others come later.
func TestFaultsOneBehindTheOther(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for code := 90; code < 93; code++ {
		b.Inject(devbroker.Fault{Times: 1, Action: devbroker.Answer(code, "")})
	}
	for code := 90; code < 93; code++ {
		p.refused(code, remoting.RequestSendMessage, sending("orders"), []byte("m"))
	}
	p.store("orders", "m")
}

func TestReorder(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	b.SetReorderTime(patience)
	p, other := dial(t, b), dial(t, b)
	b.Inject(devbroker.Fault{Code: remoting.RequestSendMessage, Times: 1, Action: devbroker.Reorder()})
	first := p.ask(remoting.RequestSendMessage, sending("orders"), []byte("first"))
	p.quiet() // another code does not count
	other.store("orders", "second")
	p.await(first)
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"second", "first"}) {
		t.Errorf("got %q", got)
	}

	b.SetReorderTime(time.Millisecond)
	b.Inject(devbroker.Fault{Code: remoting.RequestSendMessage, Times: 1, Action: devbroker.Reorder()})
	p.store("orders", "alone")
	if n := b.Reordered(); n != 0 {
		t.Errorf("%d requests wait that have been done", n)
	}
}

// A pull whose reply is lost is not answered later, either.
func TestLostReplyOfAHeldPull(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "old")
	b.Inject(devbroker.Fault{Code: remoting.RequestPullMessage, Times: 1, Action: devbroker.LoseReply()})
	lost := p.holdPull(b, pulling("g", "orders", 0, 1))
	kept := p.holdPull(b, pulling("g", "orders", 0, 1))
	p.store("orders", "new")
	p.await(kept)
	silent(t, lost)
}

func TestFaultsOfWhatTheBrokerSends(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithCheckInterval(time.Second))
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	b.SetReorderTime(patience)
	p := dial(t, b)
	p.beProducer("c1")
	p.prepare("orders", "half")
	b.Advance(5 * time.Second)
	inject := func(f devbroker.Fault) *devbroker.Injected {
		f.Code, f.Times = remoting.RequestCheckTransaction, 1
		return b.Inject(f)
	}
	for _, matching := range []devbroker.Fault{{Topic: "orders"}, {Group: "producers"}} {
		matching.Action = devbroker.Drop()
		dropped := inject(matching)
		b.Advance(time.Second)
		p.quiet()
		if dropped.Fired() != 1 {
			t.Errorf("%+v was not applied", matching)
		}
	}
	for _, other := range []devbroker.Fault{{Topic: "payments"}, {Group: "consumers"}} {
		other.Action = devbroker.Drop()
		injected := inject(other)
		b.Advance(time.Second)
		p.next(remoting.RequestCheckTransaction)
		if injected.Fired() != 0 {
			t.Errorf("%+v was applied", other)
		}
		injected.Cancel()
	}
	inject(devbroker.Fault{Action: devbroker.Delay(30 * time.Millisecond)})
	begin := time.Now()
	b.Advance(time.Second)
	p.next(remoting.RequestCheckTransaction)
	if passed := time.Since(begin); passed < 30*time.Millisecond {
		t.Errorf("the check-back came after %v", passed)
	}
	inject(devbroker.Fault{Action: devbroker.Duplicate()})
	b.Advance(time.Second)
	p.next(remoting.RequestCheckTransaction)
	p.next(remoting.RequestCheckTransaction)
	if checks := b.Inspect().Halves[0].Checks; checks != 6 {
		t.Errorf("%d checks are counted, want 6", checks)
	}
	inject(devbroker.Fault{Action: devbroker.Reorder()})
	b.Advance(time.Second)
	b.Advance(time.Second)
	late := []string{}
	for range 2 {
		check := p.next(remoting.RequestCheckTransaction)
		late = append(late, remoting.Property(messages(t, check)[0].Properties, "TRANSACTION_CHECK_TIMES"))
	}
	if !slices.Equal(late, []string{"8", "7"}) {
		t.Errorf("check-backs %q", late)
	}
	inject(devbroker.Fault{Action: devbroker.CutAfter()})
	b.Advance(time.Second)
	<-p.ended

	member := dial(t, b)
	told := b.Inject(devbroker.Fault{Code: remoting.RequestNotifyConsumers, Group: "g", Action: devbroker.Drop()})
	member.join("c1", "g", "orders")
	member.quiet()
	if told.Fired() != 1 {
		t.Errorf("fired %d times", told.Fired())
	}
}

// What a fault holds up ends with the broker, or with its connection: a client that
// has gone is nobody's member.
func TestDelayedRequestsEnd(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p, other := dial(t, b), dial(t, b)
	b.Inject(devbroker.Fault{Code: remoting.RequestHeartbeat, Times: 1, Action: devbroker.Reorder()})
	p.ask(remoting.RequestHeartbeat, nil, beat(t, "late", "g", remoting.ModelClustering))
	p.quiet()
	p.close()
	eventually(t, "it has gone", func() bool { return len(b.Inspect().Connections) == 1 })
	other.join("c1", "g")
	b.Inject(devbroker.Fault{Code: remoting.RequestSendMessage, Action: devbroker.Delay(time.Hour)})
	for range 10 {
		other.ask(remoting.RequestSendMessage, sending("orders"), []byte("m"))
	}
	other.refused(remoting.ResponseNotSupported, 9999, nil, nil) // all have come
	if got := memberIDs(groupState(t, b, "g")); !slices.Equal(got, []string{"c1"}) {
		t.Errorf("members %v", got)
	}
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := bodies(b, "orders"); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
	dial(t, b).ask(remoting.RequestSendMessage, sending("orders"), []byte("m"))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
