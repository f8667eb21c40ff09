package devbroker_test

import (
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// fill gives a broker some of everything that it keeps.
func fill(t *testing.T, b *devbroker.Broker) {
	t.Helper()
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, map[string]string{
		"topic": "fifo", "readQueueNums": "3", "writeQueueNums": "2", "perm": "6", "topicFilterType": "SINGLE_TAG",
		"attributes": "+message.type=FIFO",
	}, nil)
	p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"configured","retryQueueNums":2,"retryMaxTimes":1}`))
	p.join("c1", "configured", "orders")
	for range 3 {
		p.store("orders", "plain", "TAGS", "t", "KEYS", "k")
	}
	p.store("fifo", "in order")
	p.store("old", "consumed")
	p.createGroup("other")
	p.call(remoting.RequestUpdateOffset, map[string]string{"consumerGroup": "other", "topic": "old", "queueId": "0", "commitOffset": "1"}, nil)
	p.call(remoting.RequestUpdateOffset, map[string]string{"consumerGroup": "configured", "topic": "orders", "queueId": "0", "commitOffset": "2"}, nil)
	poison := newest(t, b, "orders")
	p.call(remoting.RequestSendBack, sendBack("configured", poison, 0, -1), nil)
	poison.Attempts = 1
	p.call(remoting.RequestSendBack, sendBack("configured", poison, -1, -1), nil)
	p.store("orders", "over soon", "DELAY", "1")
	p.store("orders", "in an hour", "DELAY", "17", "KEYS", "k")
	p.store("orders", "tomorrow", "TIMER_DELAY_SEC", "86400")
	p.prepare("orders", "half")
	decided := []map[string]string{p.prepare("orders", "committed"), p.prepare("orders", "rolled back")}
	b.Advance(6 * time.Second) // asked once
	p.call(remoting.RequestEndTransaction, deciding(decided[0], remoting.SysCommit), nil)
	p.call(remoting.RequestEndTransaction, deciding(decided[1], remoting.SysRollback), nil)
	p.prepare("orders", "young half", "CHECK_IMMUNITY_TIME_IN_SECONDS", "100")
	b.ForgetHalf("young half") // the last of its queue
	p.call(remoting.RequestDeleteTopic, map[string]string{"topic": "old"}, nil)
	p.store("deleted", "too")
	p.call(remoting.RequestDeleteTopic, map[string]string{"topic": "deleted"}, nil)
	p.join("c1", "deleted", "orders")
	p.call(remoting.RequestUnregisterClient, map[string]string{"clientID": "c1", "consumerGroup": "deleted"}, nil)
	p.call(remoting.RequestDeleteGroup, map[string]string{"groupName": "deleted"}, nil)
}

func TestRestarts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		folder  bool
		anew    bool // Close and Start instead of Restart
		garbage bool // so that the journal is written anew
		options []devbroker.Option
	}{
		{name: "in memory"},
		{name: "from a folder", folder: true},
		{name: "another broker", folder: true, anew: true},
		{name: "with copies of half messages", folder: true, anew: true, options: []devbroker.Option{devbroker.WithRepeatedCommits()}},
		{name: "after a rewrite", folder: true, anew: true, garbage: true},
		{name: "after a rewrite with copies", folder: true, anew: true, garbage: true, options: []devbroker.Option{devbroker.WithRepeatedCommits()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, manual := t.TempDir(), clock.NewManual(start())
			options := append([]devbroker.Option{
				devbroker.WithClock(manual), devbroker.WithAutoCreateTopics(true), devbroker.WithLogger(strictLog(t)), devbroker.WithFsync(wal.Never),
			}, tt.options...)
			if tt.folder {
				options = append(options, devbroker.WithDataDir(dir))
			}
			b := devbroker.RunT(t, options...)
			fill(t, b)
			if tt.garbage {
				fillWithGarbage(t, b)
			}
			before := kept(b)
			if !slices.Equal(bodies(b, "orders"), []string{"plain", "plain", "plain", "over soon", "committed"}) {
				t.Fatalf("orders are %q", bodies(b, "orders"))
			}
			for range 2 { // the second time after what the first one wrote
				if tt.anew {
					if err := b.Close(); err != nil {
						t.Fatal(err)
					}
					b = devbroker.RunT(t, options...)
				} else if err := b.Restart(); err != nil {
					t.Fatal(err)
				}
				if after := kept(b); !reflect.DeepEqual(after, before) {
					t.Fatalf("after: %+v\nbefore: %+v", after, before)
				}
			}
			if size := folderSize(t, dir); tt.garbage && size > 1<<20 {
				t.Errorf("the journal has %d bytes", size)
			}
			b.Advance(30 * 24 * time.Hour)
			if got := b.Inspect(); len(got.Timers)+len(got.Halves) != 0 || got.Discarded != 0 {
				t.Errorf("left after a month: %+v", got)
			}
			p := dial(t, b)
			if got := p.store("orders", "goes on"); got["queueOffset"] != "7" {
				t.Errorf("stored at %v", got)
			}
		})
	}
}

// fillWithGarbage makes a journal that is worth writing anew.
func fillWithGarbage(t *testing.T, b *devbroker.Broker) {
	t.Helper()
	p := dial(t, b)
	for range 5 {
		p.store("garbage", strings.Repeat("x", 4<<20))
	}
	p.call(remoting.RequestDeleteTopic, map[string]string{"topic": "garbage"}, nil)
}

func folderSize(t *testing.T, dir string) int64 {
	t.Helper()
	var size int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// Messages go when they are older than the retention, consumed or not; what waits
// for its time stays.
func TestRetention(t *testing.T) {
	t.Parallel()
	dir, manual := t.TempDir(), clock.NewManual(start())
	options := []devbroker.Option{
		devbroker.WithClock(manual), devbroker.WithAutoCreateTopics(true), devbroker.WithDataDir(dir),
		devbroker.WithRetention(10 * time.Hour), devbroker.WithMaxChecks(10_000),
	}
	b := devbroker.RunT(t, options...)
	p := dial(t, b)
	p.store("orders", "old")
	p.store("orders", "waits", "TIMER_DELAY_SEC", "86400")
	p.prepare("orders", "half")
	b.Advance(5 * time.Hour)
	p.store("orders", "young")
	b.Advance(5 * time.Hour)
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"old", "young"}) {
		t.Errorf("after ten hours: %q", got)
	}
	b.Advance(time.Hour)
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"young"}) {
		t.Errorf("an hour later: %q", got)
	}
	if answer := p.try(remoting.RequestPullMessage, pulling("g", "orders", 0, 0), nil); answer.Code != remoting.ResponsePullOffsetMoved || answer.Ext["nextBeginOffset"] != "1" {
		t.Errorf("a pull of the old one: code %d, %v", answer.Code, answer.Ext)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	manual.Advance(5 * time.Hour)
	b = devbroker.RunT(t, options...)
	s := b.Inspect()
	if got := bodies(b, "orders"); len(got) != 0 || len(s.Timers) != 1 || len(s.Halves) != 1 {
		t.Errorf("after a start: %q, timers %+v, half messages %+v", got, s.Timers, s.Halves)
	}
	b.Advance(8 * time.Hour)
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"waits"}) {
		t.Errorf("in the end: %q", got)
	}
}

// What is in queues that their topic or the table of levels has no more is kept.
func TestQueuesThatAreNoMore(t *testing.T) {
	t.Parallel()
	dir, manual := t.TempDir(), clock.NewManual(start())
	options := []devbroker.Option{
		devbroker.WithClock(manual), devbroker.WithAutoCreateTopics(true), devbroker.WithDataDir(dir),
		devbroker.WithFsync(wal.Never), devbroker.WithLogger(strictLog(t)),
	}
	b := devbroker.RunT(t, options...)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, settingTopic("orders", 3), nil)
	ext := sending("orders")
	ext["queueId"] = "2"
	p.call(remoting.RequestSendMessage, ext, []byte("last queue"))
	p.call(remoting.RequestUpdateTopic, settingTopic("orders", 1), nil)
	p.store("orders", "in an hour", "DELAY", "17")
	for _, rewrite := range []bool{false, true} {
		if rewrite {
			fillWithGarbage(t, b)
		}
		before := bodies(b, "orders")
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b = devbroker.RunT(t, append(options, devbroker.WithDelayLevels("1s 5s"))...)
		if after := bodies(b, "orders"); !slices.Equal(after, before) || len(b.Inspect().Timers) != 1 {
			t.Errorf("after a start %q, before %q; timers %+v", after, before, b.Inspect().Timers)
		}
	}
	b.Advance(5 * time.Second) // the last level of the table
	if got := bodies(b, "orders"); !slices.Equal(got, []string{"last queue", "in an hour"}) {
		t.Errorf("got %q", got)
	}
}

// A broker whose folder cannot be used does not start, and says what is wrong.
func TestFoldersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := devbroker.RunT(t, devbroker.WithDataDir(dir))
	if _, err := devbroker.Start(devbroker.WithDataDir(dir)); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder in use: %v", err)
	}
	if _, err := devbroker.Start(devbroker.WithDataDir(t.TempDir()), devbroker.WithListen(b.Addr())); err == nil || !strings.Contains(err.Error(), "listen") {
		t.Errorf("an address in use: %v", err)
	}
}
