package devbroker_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

func TestADelayIsExact(t *testing.T) {
	t.Parallel()
	levels := devbroker.WithDelayLevels("1s 5s 2h")
	at := func(d time.Duration) string { return strconv.FormatInt(start().Add(d).UnixMilli(), 10) }
	for _, tt := range []struct {
		name       string
		properties []string
		want       time.Duration
	}{
		{"first level", []string{"DELAY", "1"}, time.Second},
		{"last level", []string{"DELAY", "3"}, 2 * time.Hour},
		{"level above the table", []string{"DELAY", "99"}, 2 * time.Hour},
		{"level above all numbers", []string{"DELAY", "2147483647"}, 2 * time.Hour},
		{"timer in milliseconds", []string{"TIMER_DELAY_MS", "1234"}, 1234 * time.Millisecond},
		{"timer in seconds", []string{"TIMER_DELAY_SEC", "7"}, 7 * time.Second},
		{"timer at a time", []string{"TIMER_DELIVER_MS", at(90061 * time.Millisecond)}, 90061 * time.Millisecond},
		{"longest timer", []string{"TIMER_DELAY_SEC", "259200"}, 72 * time.Hour},
		{"seconds before milliseconds", []string{"TIMER_DELAY_SEC", "1", "TIMER_DELAY_MS", "5"}, time.Second},
		{"level before timer", []string{"DELAY", "2", "TIMER_DELAY_SEC", "1"}, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, _ := startManual(t, levels)
			p := dial(t, b)
			p.store("orders", "later", tt.properties...)
			b.Advance(tt.want - time.Millisecond)
			if got := bodies(b, "orders"); len(got) != 0 {
				t.Fatalf("%q came a millisecond early", got)
			}
			b.Advance(time.Millisecond)
			got := b.Messages("orders", 0)
			if len(got) != 1 || string(got[0].Body) != "later" || !got[0].StoredAt.Equal(start().Add(tt.want)) {
				t.Fatalf("got %+v, want it stored after %v", got, tt.want)
			}
			if left := b.Inspect().Timers; len(left) != 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

func TestWhatIsNoDelay(t *testing.T) {
	t.Parallel()
	for _, properties := range [][]string{
		{"DELAY", "0"},
		{"DELAY", "-3"},
		{"TIMER_DELIVER_MS", "1"},
		{"TIMER_DELAY_MS", "0"},
		{"TIMER_DELAY_SEC", "-5"},
		{"TIMER_DELAY_SEC", "-9223372036854775808"},
		{"TIMER_DELAY_MS", "60000", "TIMER_OUT_MS", "1"}, // as if it had been a timer already
		{"REAL_TOPIC", "other", "REAL_QID", "7"},
	} {
		b, _ := startManual(t)
		dial(t, b).store("orders", "now", properties...)
		if got := bodies(b, "orders"); !slices.Equal(got, []string{"now"}) {
			t.Errorf("%q: got %q at once", properties, got)
		}
		b.Advance(time.Hour)
		if got := bodies(b, "orders"); len(got) != 1 || len(bodies(b, "other")) != 0 {
			t.Errorf("%q: got %q later, and %q elsewhere", properties, got, bodies(b, "other"))
		}
	}
}

func TestTimersThatAreRefused(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	p.store("orders", "creates the topic")
	for _, properties := range [][]string{
		{"TIMER_DELAY_SEC", "259201"},
		{"TIMER_DELAY_MS", "259200001"},
		{"TIMER_DELIVER_MS", strconv.FormatInt(start().Add(72*time.Hour).UnixMilli()+1, 10)},
		{"TIMER_DELAY_SEC", "9223372036854775807"},
		{"TIMER_DELAY_MS", "a while"},
	} {
		p.refused(remoting.ResponseMessageIllegal, remoting.RequestSendMessage, sending("orders", properties...), []byte("x"))
	}
	if got := b.Inspect().Timers; len(got) != 0 {
		t.Errorf("timers: %+v", got)
	}
}

// Who is delayed does not decide where it is delivered: a client cannot use the
// properties by which the broker remembers the place.
func TestADelayedMessageGoesWhereItWasSent(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for _, delay := range []string{"DELAY", "TIMER_DELAY_SEC"} {
		p.store("orders", delay, delay, "1", "REAL_TOPIC", "stolen", "REAL_QID", "3", "UNIQ_KEY", delay, "KEYS", "k1 k2")
	}
	timers := b.Inspect().Timers
	want := []devbroker.TimerState{
		{UniqueKey: "DELAY", Keys: "k1 k2", Topic: "orders", Kind: "level", Due: start().Add(time.Second)},
		{UniqueKey: "TIMER_DELAY_SEC", Keys: "k1 k2", Topic: "orders", Kind: "timer", Due: start().Add(time.Second)},
	}
	if !slices.Equal(timers, want) {
		t.Errorf("timers %+v, want %+v", timers, want)
	}
	b.Advance(time.Second)
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"DELAY", "TIMER_DELAY_SEC"}) || len(bodies(b, "stolen")) != 0 {
		t.Errorf("got %q, and elsewhere %q", got, bodies(b, "stolen"))
	}
	for _, m := range b.Messages("orders", 0) {
		if m.Queue != 0 || m.Keys != "k1 k2" {
			t.Errorf("got %+v", m)
		}
	}
}

// The broker adds properties of its own. What does not fit is refused before
// anything is stored.
func TestPropertiesThatAreNearlyTooLong(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithRepeatedCommits(), devbroker.WithMaxChecks(20))
	p := dial(t, b)
	p.store("orders", "creates the topic")
	for _, kind := range []string{"plain", "DELAY", "TIMER_DELAY_SEC", "TRAN_MSG"} {
		properties := []string{"UNIQ_KEY", "k", "PGROUP", "producers"}
		switch kind {
		case "plain":
		case "TRAN_MSG":
			properties = append(properties, "TRAN_MSG", "true", "TIMER_DELAY_SEC", "1")
		default:
			properties = append(properties, kind, "1")
		}
		stored, refused := 0, 0
		for length := 32_300; length < 32_767; length += 4 {
			fill := append(slices.Clone(properties), "x", string(make([]byte, length)))
			switch answer := p.try(remoting.RequestSendMessage, sending("orders", fill...), []byte(kind)); answer.Code {
			case remoting.ResponseSuccess:
				stored++
			case remoting.ResponseMessageIllegal:
				refused++
			default:
				t.Fatalf("%s: code %d, %s", kind, answer.Code, answer.Remark)
			}
		}
		if stored == 0 || refused == 0 {
			t.Fatalf("%s: %d stored, %d refused: the lengths are not at the limit", kind, stored, refused)
		}
		b.Advance(time.Hour)
		s := b.Inspect()
		got := s.Discarded
		for _, body := range bodies(b, "orders") {
			if body == kind {
				got++
			}
		}
		if got != stored || len(s.Timers) != 0 || len(s.Halves) != 0 {
			t.Errorf("%s: %d of %d messages arrived, %d timers and %d half messages are left", kind, got, stored, len(s.Timers), len(s.Halves))
		}
	}
}
