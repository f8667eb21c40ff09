package devbroker_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// prepare sends a half message and returns the fields that decide about it.
func (p *peer) prepare(topic, body string, properties ...string) map[string]string {
	p.t.Helper()
	properties = append([]string{"TRAN_MSG", "true", "PGROUP", "producers", "UNIQ_KEY", body}, properties...)
	ext := sending(topic, properties...)
	ext["sysFlag"] = strconv.Itoa(remoting.SysPrepared)
	stored := p.call(remoting.RequestSendMessage, ext, []byte(body)).Ext
	_, physical, err := remoting.ParseOffsetMessageID(stored["msgId"])
	if err != nil {
		p.t.Fatal(err)
	}
	return map[string]string{
		"producerGroup": "producers", "tranStateTableOffset": stored["queueOffset"],
		"commitLogOffset": strconv.FormatInt(physical, 10), "msgId": stored["msgId"], "transactionId": body,
		"fromTransactionCheck": "false",
	}
}

// deciding are the fields of a decision.
func deciding(half map[string]string, decision int) map[string]string {
	half = maps.Clone(half)
	half["commitOrRollback"] = strconv.Itoa(decision)
	return half
}

// answering are the fields of an answer to a check-back.
func answering(check remoting.Command, decision int) map[string]string {
	ext := maps.Clone(check.Ext)
	ext["producerGroup"], ext["fromTransactionCheck"] = "producers", "true"
	return deciding(ext, decision)
}

// beProducer registers the peer for check-backs.
func (p *peer) beProducer(client string) {
	p.t.Helper()
	p.call(remoting.RequestHeartbeat, nil, []byte(`{"clientID":"`+client+`","producerDataSet":[{"groupName":"producers"}]}`))
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	committed, rolledBack := p.prepare("orders", "committed", "KEYS", "k1"), p.prepare("orders", "rolled back")
	if got := bodies(b, "orders"); len(got) != 0 {
		t.Fatalf("%q can be seen before the decision", got)
	}
	halves := b.Inspect().Halves
	want := devbroker.HalfState{
		UniqueKey: "committed", Keys: "k1", Topic: "orders", Group: "producers", NextCheck: start().Add(6 * time.Second),
	}
	if len(halves) != 2 || halves[0] != want || halves[1].UniqueKey != "rolled back" {
		t.Fatalf("half messages %+v, want %+v first", halves, want)
	}
	p.call(remoting.RequestEndTransaction, deciding(committed, remoting.SysCommit), nil)
	p.call(remoting.RequestEndTransaction, deciding(rolledBack, remoting.SysRollback), nil)
	for _, half := range []map[string]string{committed, rolledBack} { // the second time there is nothing to decide
		p.refused(remoting.ResponseSystemError, remoting.RequestEndTransaction, deciding(half, remoting.SysCommit), nil)
	}
	got := b.Messages("orders", 0)
	if len(got) != 1 || string(got[0].Body) != "committed" {
		t.Fatalf("got %+v", got)
	}
	if value, there := got[0].Properties["TRANSACTION_CHECK_TIMES"]; there {
		t.Errorf("the message was asked about %s times", value)
	}
	if got[0].Properties["__transactionId__"] != "committed" || got[0].Keys != "k1" {
		t.Errorf("properties %v", got[0].Properties)
	}
	if left := b.Inspect().Halves; len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestDecisionsThatAreRefused(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	half := p.prepare("orders", "half")
	for _, wrong := range []struct{ field, value string }{
		{"producerGroup", "others"},
		{"tranStateTableOffset", "1"},
		{"commitLogOffset", "1"},
		{"commitLogOffset", "-9223372036854775808"},
		{"commitLogOffset", ""},
		{"tranStateTableOffset", "a"},
	} {
		ext := deciding(half, remoting.SysCommit)
		ext[wrong.field] = wrong.value
		p.refused(remoting.ResponseSystemError, remoting.RequestEndTransaction, ext, nil)
	}
	unknown := p.ask(remoting.RequestEndTransaction, deciding(half, 0), nil)
	p.quiet()
	select {
	case answer := <-unknown:
		t.Errorf("answered with %d", answer.Code)
	default:
	}
	if left := b.Inspect().Halves; len(left) != 1 || len(bodies(b, "orders")) != 0 {
		t.Errorf("half messages %+v, delivered %q", left, bodies(b, "orders"))
	}
	b.RefuseWrites(true)
	p.refused(remoting.ResponseServiceNotAvailable, remoting.RequestEndTransaction, deciding(half, remoting.SysCommit), nil)
	b.RefuseWrites(false)
	p.call(remoting.RequestEndTransaction, deciding(half, remoting.SysCommit), nil)
}

// A producer that asks for immunity has that long to decide by itself; then the
// check-back decides.
func TestImmunity(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	p := dial(t, b)
	p.beProducer("c1")
	immune := []string{"CHECK_IMMUNITY_TIME_IN_SECONDS", "60"}
	early, late := p.prepare("orders", "early", immune...), p.prepare("orders", "late", immune...)
	b.Advance(60 * time.Second)
	if check := p.next(remoting.RequestCheckTransaction); check.Ext["transactionId"] != "early" {
		t.Errorf("asked about %v first", check.Ext)
	}
	asked := p.next(remoting.RequestCheckTransaction)
	p.call(remoting.RequestEndTransaction, deciding(early, remoting.SysCommit), nil)
	b.Advance(time.Millisecond)
	p.refused(remoting.ResponseIllegalOperation, remoting.RequestEndTransaction, deciding(late, remoting.SysCommit), nil)
	p.call(remoting.RequestEndTransaction, answering(asked, remoting.SysCommit), nil)
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"early", "late"}) {
		t.Errorf("got %q", got)
	}
}

// An immunity that is shorter than the timeout hastens the check-back, but a
// producer may decide as long as without one.
func TestShortImmunity(t *testing.T) {
	t.Parallel()
	for immunity, asked := range map[string]time.Duration{
		"0": 0, "-5": 0, "2": 2 * time.Second, "-1": 6 * time.Second, "x": 6 * time.Second,
	} {
		t.Run(immunity, func(t *testing.T) {
			t.Parallel()
			b, _ := startManual(t)
			b.SetPatience(0, 0, 0, time.Millisecond, 0)
			p := dial(t, b)
			half := p.prepare("orders", "half", "CHECK_IMMUNITY_TIME_IN_SECONDS", immunity)
			late := p.prepare("orders", "late", "CHECK_IMMUNITY_TIME_IN_SECONDS", immunity)
			if asked > 0 {
				b.Advance(asked - time.Millisecond)
				if first := b.Inspect().Halves[0]; first.Checks != 0 {
					t.Errorf("asked before %v: %+v", asked, first)
				}
				b.Advance(time.Millisecond)
			}
			b.Advance(0) // what is due at once
			if first := b.Inspect().Halves[0]; first.Checks != 1 {
				t.Errorf("not asked after %v: %+v", asked, first)
			}
			b.Advance(6*time.Second - asked)
			p.call(remoting.RequestEndTransaction, deciding(half, remoting.SysCommit), nil)
			b.Advance(time.Millisecond)
			p.refused(remoting.ResponseIllegalOperation, remoting.RequestEndTransaction, deciding(late, remoting.SysCommit), nil)
		})
	}
}

func TestACheckBackTellsAllAboutTheMessage(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	p := dial(t, b)
	p.beProducer("c1")
	half := p.prepare("orders", "half", "KEYS", "k1")
	b.Advance(6 * time.Second)
	check := p.next(remoting.RequestCheckTransaction)
	if !check.IsOneWay() || check.Ext["commitLogOffset"] != half["commitLogOffset"] ||
		check.Ext["tranStateTableOffset"] != half["tranStateTableOffset"] || check.Ext["transactionId"] != "half" ||
		check.Ext["offsetMsgId"] != half["msgId"] {
		t.Errorf("check-back %+v for %v", check, half)
	}
	m := messages(t, check)[0]
	if m.Topic != "orders" || string(m.Body) != "half" || remoting.Property(m.Properties, "KEYS") != "k1" ||
		remoting.Property(m.Properties, "TRANSACTION_CHECK_TIMES") != "1" {
		t.Errorf("about %+v", m)
	}
	p.call(remoting.RequestEndTransaction, answering(check, remoting.SysCommit), nil)
	if got := b.Messages("orders", 0); len(got) != 1 || got[0].Properties["TRANSACTION_CHECK_TIMES"] != "1" {
		t.Errorf("got %+v", got)
	}
}

// Each client of the group is asked in turn, and nobody once all have gone.
func TestCheckBacksGoAround(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	first, second := dial(t, b), dial(t, b)
	first.beProducer("c1")
	second.beProducer("c2")
	first.prepare("orders", "half")
	b.Advance(6*time.Second + 3*30*time.Second)
	for _, p := range []*peer{first, second} {
		p.next(remoting.RequestCheckTransaction)
		p.next(remoting.RequestCheckTransaction)
		p.quiet()
	}
	first.close()
	eventually(t, "the first one has gone", func() bool { return len(b.Inspect().Producers[0].Clients) == 1 })
	b.Advance(30 * time.Second)
	second.next(remoting.RequestCheckTransaction)
	second.call(remoting.RequestUnregisterClient, map[string]string{"clientID": "c2", "producerGroup": "producers"}, nil)
	b.Advance(30 * time.Second)
	second.quiet()
	if checks := b.Inspect().Halves[0].Checks; checks != 6 {
		t.Errorf("%d checks are counted, want 6", checks)
	}
}

// Whether they are answered or not, check-backs come at their intervals, and after
// the last one the message is put aside.
func TestCheckBacksEnd(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"answering", "silent", "nobody", "repeated commits"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := []devbroker.Option{devbroker.WithCheckInterval(10 * time.Second)}
			if name == "repeated commits" {
				options = append(options, devbroker.WithRepeatedCommits())
			}
			b, _ := startManual(t, options...)
			b.SetPatience(0, 0, 0, time.Millisecond, 0)
			p := dial(t, b)
			if name != "nobody" {
				p.beProducer("c1")
			}
			p.prepare("orders", "half")
			for round := 1; round <= 15; round++ {
				b.Advance(6 * time.Second)
				if name != "nobody" {
					check := p.next(remoting.RequestCheckTransaction)
					if got := remoting.Property(messages(t, check)[0].Properties, "TRANSACTION_CHECK_TIMES"); got != strconv.Itoa(round) {
						t.Errorf("round %d says it is %s", round, got)
					}
					if name == "answering" {
						p.ask(remoting.RequestEndTransaction, answering(check, 0), nil)
					}
				}
				if state := b.Inspect().Halves[0]; state.Checks != round || !state.NextCheck.Equal(b.Clock().Now().Add(10*time.Second)) {
					t.Errorf("round %d at %v: %+v", round, b.Clock().Now(), state)
				}
				b.Advance(4 * time.Second)
			}
			b.Advance(6 * time.Second)
			p.quiet()
			s, discarded := b.Inspect(), b.Messages("TRANS_CHECK_MAX_TIME_TOPIC", 0)
			if len(s.Halves) != 0 || s.Discarded != 1 || len(bodies(b, "orders")) != 0 {
				t.Errorf("half messages %+v, %d put aside", s.Halves, s.Discarded)
			}
			if p := discarded[0].Properties; p["TRANSACTION_CHECK_TIMES"] != "15" || p["REAL_TOPIC"] != "orders" {
				t.Errorf("put aside with %v", p)
			}
		})
	}
}

// With copies for check-backs, the commit of the old one and that of the new one
// each deliver, in any order, also if the other one is rolled back. Another message with the same id has nothing to do with them.
func TestRepeatedCommits(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithRepeatedCommits())
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	p := dial(t, b)
	p.beProducer("c1")
	old := p.prepare("orders", "twice")
	p.prepare("orders", "other", "UNIQ_KEY", "twice", "CHECK_IMMUNITY_TIME_IN_SECONDS", "600")
	b.Advance(6 * time.Second)
	check := p.next(remoting.RequestCheckTransaction)
	p.call(remoting.RequestEndTransaction, deciding(old, remoting.SysCommit), nil)
	if n := len(b.Inspect().Halves); n != 2 {
		t.Errorf("%d half messages are left, want the copy and the other one", n)
	}
	p.call(remoting.RequestEndTransaction, answering(check, remoting.SysCommit), nil)
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"twice", "twice"}) {
		t.Errorf("got %q", got)
	}
	if left := b.Inspect().Halves; len(left) != 1 || left[0].Checks != 0 {
		t.Errorf("left: %+v, want the other one", left)
	}

	old = p.prepare("orders", "late")
	b.Advance(6 * time.Second)
	p.call(remoting.RequestEndTransaction, answering(p.next(remoting.RequestCheckTransaction), remoting.SysRollback), nil)
	p.call(remoting.RequestEndTransaction, deciding(old, remoting.SysCommit), nil)
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"twice", "twice", "late"}) {
		t.Errorf("a late decision is about the message that it names; got %q", got)
	}
}

// A commit may ask for a delay, as any message may.
func TestACommitWithADelay(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	half := p.prepare("orders", "later", "TIMER_DELAY_SEC", "5")
	b.Advance(3 * time.Second)
	p.call(remoting.RequestEndTransaction, deciding(half, remoting.SysCommit), nil)
	b.Advance(5*time.Second - time.Millisecond)
	if got := bodies(b, "orders"); len(got) != 0 {
		t.Errorf("early: %q", got)
	}
	b.Advance(time.Millisecond)
	if got := bodies(b, "orders"); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}
