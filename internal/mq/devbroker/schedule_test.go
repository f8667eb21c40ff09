package devbroker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// One Advance over many due things does each at its time, and in the order of
// their times; what is due at the same time keeps the order in which it came.
// Check-backs leave a trace in the log, for they renew their half messages.
func TestAdvanceKeepsTheOrder(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithRepeatedCommits(), devbroker.WithDelayLevels("1s 2s 3s"), devbroker.WithMaxChecks(1))
	p := dial(t, b)
	random := rand.New(rand.NewPCG(5, 3))
	type due struct {
		at   int64
		body string
	}
	var want []due
	for n := range 300 {
		body, at := fmt.Sprint("m", n), start().UnixMilli()
		switch random.IntN(4) {
		case 0:
			level := random.IntN(3) + 1
			p.store("orders", body, "DELAY", strconv.Itoa(level))
			at += int64(level) * 1000
		case 1:
			seconds := random.IntN(4) + 1
			p.store("orders", body, "TIMER_DELAY_SEC", strconv.Itoa(seconds))
			at += int64(seconds) * 1000
		case 2:
			millis := random.IntN(4000) + 1
			p.store("orders", body, "TIMER_DELAY_MS", strconv.Itoa(millis))
			at += int64(millis)
		case 3:
			seconds := random.IntN(4) + 1
			p.prepare("orders", body, "CHECK_IMMUNITY_TIME_IN_SECONDS", strconv.Itoa(seconds))
			at += int64(seconds) * 1000
		}
		want = append(want, due{at, body})
	}
	slices.SortStableFunc(want, func(x, y due) int { return int(x.at - y.at) })

	b.Advance(10 * time.Second)
	all := b.Messages("orders", 0)
	for _, m := range b.Messages("RMQ_SYS_TRANS_HALF_TOPIC", 0) {
		if m.Properties["TRANSACTION_CHECK_TIMES"] == "1" {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(x, y devbroker.Message) int { return int(x.PhysicalOffset - y.PhysicalOffset) })
	var got []due
	for _, m := range all {
		got = append(got, due{m.StoredAt.UnixMilli(), string(m.Body)})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if !b.Clock().Now().Equal(start().Add(10 * time.Second)) {
		t.Errorf("the clock shows %v", b.Clock().Now())
	}
}

func TestAdvanceFromManySides(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for n := range 200 {
		p.store("orders", strconv.Itoa(n), "TIMER_DELAY_SEC", strconv.Itoa(n+1))
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 25 {
				b.Advance(time.Second)
			}
		})
	}
	group.Wait()
	if now := b.Clock().Now(); !now.Equal(start().Add(200 * time.Second)) {
		t.Errorf("the clock shows %v", now)
	}
	got := b.Messages("orders", 0)
	if len(got) != 200 {
		t.Fatalf("%d messages", len(got))
	}
	for n, m := range got {
		if !m.StoredAt.Equal(start().Add(time.Duration(n+1)*time.Second)) || string(m.Body) != strconv.Itoa(n) {
			t.Errorf("message %d is %s, stored at %v", n, m.Body, m.StoredAt)
		}
	}
}

func TestTimePassesByItself(t *testing.T) {
	t.Parallel()
	b := devbroker.RunT(t, devbroker.WithAutoCreateTopics(true), devbroker.WithLogger(strictLog(t)),
		devbroker.WithTransactionTimeout(30*time.Millisecond), devbroker.WithCheckInterval(30*time.Millisecond))
	p := dial(t, b)
	p.beProducer("c1")
	begin := time.Now()
	p.store("orders", "second", "TIMER_DELAY_MS", "60")
	p.store("orders", "first", "TIMER_DELAY_MS", "20") // is due before what the broker waits for
	p.prepare("orders", "half")
	p.next(remoting.RequestCheckTransaction)
	p.next(remoting.RequestCheckTransaction)
	if passed := time.Since(begin); passed < 59*time.Millisecond { // times are whole milliseconds
		t.Errorf("the second check-back came after %v", passed)
	}
	eventually(t, "both have been delivered", func() bool { return len(bodies(b, "orders")) == 2 })
	if passed := time.Since(begin); passed < 59*time.Millisecond {
		t.Errorf("the last one was delivered after %v", passed)
	}
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("got %q", got)
	}
}

// A clock that runs by itself and is pushed: nothing comes before its time on it.
func TestAClockThatRunsAndIsPushed(t *testing.T) {
	t.Parallel()
	ahead := clock.NewAhead()
	b := devbroker.RunT(t, devbroker.WithClock(ahead), devbroker.WithAutoCreateTopics(true), devbroker.WithLogger(strictLog(t)))
	p := dial(t, b)
	before := ahead.Now()
	for n := range 30 {
		p.store("orders", strconv.Itoa(n), "TIMER_DELAY_SEC", strconv.Itoa(60*(n+1)))
	}
	after := ahead.Now()
	b.Advance(30 * time.Minute)
	got := b.Messages("orders", 0)
	if len(got) != 30 {
		t.Fatalf("%d messages after half an hour", len(got))
	}
	for n, m := range got {
		due := time.Duration(n+1) * time.Minute
		if earliest, latest := before.Add(due).Truncate(time.Millisecond), after.Add(due+patience); m.StoredAt.Before(earliest) || m.StoredAt.After(latest) {
			t.Errorf("message %d was stored at %v, want between %v and %v", n, m.StoredAt, earliest, latest)
		}
	}
}

// Restarts and ends do not stop an Advance, nor the other way round.
func TestAdvanceWhileTheBrokerRestarts(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithDataDir(t.TempDir()))
	b.SetPatience(0, 0, 0, 5*time.Millisecond, 0)
	p := dial(t, b)
	p.beProducer("c1")
	for n := range 20 {
		p.prepare("orders", strconv.Itoa(n))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			b.Advance(3 * time.Second)
		}
	}()
	for range 5 {
		if err := b.Restart(); err != nil {
			t.Error(err)
		}
		p := dial(t, b)
		answers := p.ask(remoting.RequestHeartbeat, nil, []byte(`{"clientID":"c1","producerDataSet":[{"groupName":"producers"}]}`))
		p.await(answers)
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Advance did not end")
	}
	if s := b.Inspect(); s.Discarded+len(s.Halves) < 20 {
		t.Errorf("%d half messages were put aside and %d are undecided, want 20", s.Discarded, len(s.Halves))
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	b.Advance(time.Hour)
	if err := b.Restart(); err == nil {
		t.Error("a broker that is closed restarts")
	}
}
