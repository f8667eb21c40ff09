package mq

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

// Nobody delivers a broadcast again: it is tried in place, and then parked or left.
func TestBroadcastIsTriedInPlace(t *testing.T) {
	down := errors.New("database down")
	for name, test := range map[string]struct {
		until    int // the attempt that succeeds; 0 for none
		err      error
		parker   *fakeParker
		limit    int
		attempts int
		parked   string // the reason
		dropped  float64
	}{
		"ok":                     {until: 1, attempts: 1},
		"later":                  {until: 4, attempts: 4},
		"never, parked":          {err: down, parker: &fakeParker{}, attempts: 16, parked: ReasonGaveUp},
		"never, dropped":         {err: down, attempts: 16, dropped: 1},
		"own limit":              {err: down, limit: 3, attempts: 3, dropped: 1},
		"one attempt":            {err: down, limit: 1, attempts: 1, dropped: 1},
		"permanent, parked":      {err: message.Permanent("BAD", "bad"), parker: &fakeParker{}, attempts: 1, parked: "BAD"},
		"permanent, no parker":   {err: message.Permanent("BAD", "bad"), attempts: 1, dropped: 1},
		"late, with its parker":  {until: 16, err: down, parker: &fakeParker{}, attempts: 16},
		"permanent at last only": {until: 2, err: down, parker: &fakeParker{}, attempts: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, r := quiet()
				var attempts []int
				s := Subscription{Broadcast: "me", MaxAttempts: test.limit, Handler: func(_ context.Context, m message.Message) error {
					attempts = append(attempts, m.Attempt)
					switch {
					case m.Attempt == test.until:
						return nil
					case test.err == nil:
						return down
					}
					return test.err
				}}
				if test.parker != nil {
					s.Parker = test.parker
				}
				k, _, back := consumerOf(t, c, s)
				begin := time.Now()
				if got := <-call(k, received("1")); got != (answer{consumer.ConsumeSuccess, nil}) {
					t.Errorf("the library is told %v", got)
				}
				if took := time.Since(begin); took > 90*time.Second || test.attempts == 16 && took < 30*time.Second {
					t.Errorf("it took %v", took)
				}
				if len(attempts) != test.attempts || attempts[len(attempts)-1] != test.attempts {
					t.Errorf("attempts %v", attempts)
				}
				if got := telemetrytest.Value(t, r, "mq_messages_dropped_total", "group", "group", "topic", "topic"); got != test.dropped {
					t.Errorf("dropped %v", got)
				}
				if back.count() != 0 {
					t.Error("sent back to the broker")
				}
				reason := ""
				if test.parker != nil {
					for _, p := range test.parker.parked {
						reason += p.Reason
					}
				}
				if reason != test.parked {
					t.Errorf("parked %q", reason)
				}
			})
		})
	}
}

func TestBroadcastIsHeldUntilItIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		recovers := time.Now().Add(time.Hour)
		parker := &fakeParker{park: func() error {
			if time.Now().Before(recovers) {
				return errors.New("database down")
			}
			return nil
		}}
		k, _, _ := consumerOf(t, c, Subscription{Broadcast: "me", Handler: later, Parker: parker})
		if got := <-call(k, received("1")); got.result != consumer.ConsumeSuccess || time.Now().Before(recovers) {
			t.Errorf("the library is told %v", got)
		}
		if len(parker.parked) != 1 || !strings.Contains(parker.parked[0].Detail, "16 attempts") || parker.parked[0].Message.Attempt != 16 {
			t.Errorf("parked %+v", parker.parked)
		}
	})
}

func TestBroadcastStopsAndSuspendsBetweenAttempts(t *testing.T) {
	for name, park := range map[string]bool{"handling": false, "parking": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := quiet()
				tried := 0
				s := Subscription{Broadcast: "me", Handler: func(context.Context, message.Message) error { tried++; return errors.New("later") }}
				if park {
					s.MaxAttempts = 1
					s.Parker = &fakeParker{park: func() error { return errors.New("database down") }}
				}
				k, _, _ := consumerOf(t, c, s)
				held := call(k, received("1"))
				time.Sleep(time.Second) // of the bubble's clock
				synctest.Wait()
				begin, before := time.Now(), tried
				if err := k.Suspend(t.Context()); err != nil || time.Since(begin) != 0 {
					t.Errorf("Suspend after %v: %v", time.Since(begin), err)
				}
				time.Sleep(time.Minute)
				if tried != before {
					t.Errorf("tried %d times while suspended", tried-before)
				}
				if err := k.Stop(t.Context()); err != nil {
					t.Errorf("Stop = %v", err)
				}
				if got := <-held; got != (answer{consumer.ConsumeRetryLater, nil}) {
					t.Errorf("the library is told %v", got)
				}
			})
		})
	}
}

func TestOffsetFolderOfABroadcast(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		home, folder string
		ok           bool
		final        bool
	}{
		"home":       {home: home, ok: true},
		"own folder": {folder: filepath.Join(home, "a", "b"), ok: true},
		"no home":    {final: true},
		"no folder":  {home: file},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", test.home)
			t.Setenv("rocketmq.client.localOffsetStoreDir", test.folder)
			err := checkOffsetFolder()
			if (err == nil) != test.ok || errors.Is(err, errInvalid) != test.final {
				t.Errorf("err = %v", err)
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(home, "*", "*", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
}

func TestBroadcastMembersHaveNamesOfTheirOwn(t *testing.T) {
	c, _ := quiet()
	name := func(group, member string) string {
		return Subscription{Group: group, Broadcast: member}.broadcastInstance(c)
	}
	if again := name("g", "a"); again != name("g", "a") {
		t.Error("a member changes its name")
	}
	if name("g", "a") == name("g", "b") || name("g", "a") == name("h", "a") || name("g-a", "b") == name("g", "a-b") {
		t.Error("two members share a name")
	}
}
