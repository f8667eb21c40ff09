package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestOneSyncForAll: while the disk is busy with the first record a hundred
// others come; they share the next sync, and nobody returns before his.
func TestOneSyncForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newSlow()
		l, _ := mustOpen(t, d, quiet(Always))
		var done sync.WaitGroup
		returned := make(chan Position, 101)
		add := func() {
			p, err := l.Append([]byte("record"))
			if err != nil {
				t.Error(err)
			}
			done.Go(func() {
				if err := l.Wait(p); err != nil {
					t.Error(err)
				}
				returned <- p
			})
		}
		add()
		<-d.arrived
		for range 100 {
			add()
		}
		synctest.Wait()
		if len(returned) > 0 {
			t.Fatal("Wait returned before the sync")
		}
		d.pass <- struct{}{}
		<-d.arrived
		synctest.Wait()
		if len(returned) != 1 || <-returned != 1 {
			t.Fatal("the first sync is for the first record")
		}
		d.pass <- struct{}{}
		done.Wait()
		if syncs := d.count("sync"); syncs != 4+2 { // 2 files and their names were made
			t.Errorf("%d syncs", syncs)
		}
		d.letAll()
		mustClose(t, l)
	})
}

// slow is a disk whose syncs of open segments announce themselves and wait.
type slow struct {
	*memoryDisk
	arrived, pass, all chan struct{}
}

func newSlow() slow {
	return slow{newMemoryDisk(), make(chan struct{}), make(chan struct{}), make(chan struct{})}
}

// letAll ends the waiting of all syncs, those to come included.
func (d slow) letAll() {
	close(d.all)
	select {
	case d.pass <- struct{}{}: // one that has announced itself already
	default:
	}
}

func (d slow) Open(name string, flag int) (file, int64, error) {
	f, size, err := d.memoryDisk.Open(name, flag)
	if _, _, ok := parseSegmentName(name); ok && err == nil {
		f = slowFile{f, d}
	}
	return f, size, err
}

type slowFile struct {
	file
	disk slow
}

func (f slowFile) Sync() error {
	select {
	case f.disk.arrived <- struct{}{}:
		<-f.disk.pass
	case <-f.disk.all:
	}
	return f.file.Sync()
}

// TestWaitWithoutSync: Interval and Never wait for the write only, and Interval
// syncs later, when there is something to sync.
func TestWaitWithoutSync(t *testing.T) {
	t.Parallel()
	for mode, want := range map[Fsync][]int{Interval: {0, 1, 1, 2}, Never: {0, 0, 0, 0}} {
		synctest.Test(t, func(t *testing.T) {
			d, o := newMemoryDisk(), quiet(mode)
			l, _ := mustOpen(t, d, o)
			before := d.count("sync")
			check := func(when int) {
				if got := d.count("sync") - before; got != want[when] {
					t.Errorf("mode %d: %d syncs, want %d", mode, got, want[when])
				}
			}
			appendAll(t, l, []byte("one"), []byte("two"))
			if got := recordsOf(t, d.afterKill()); len(got) != 2 {
				t.Errorf("mode %d: a kill leaves %s", mode, brief(got))
			}
			check(0)
			time.Sleep(defaultInterval + time.Millisecond)
			synctest.Wait()
			check(1)
			time.Sleep(3 * defaultInterval)
			synctest.Wait()
			check(2)
			appendAll(t, l, []byte("three"))
			time.Sleep(defaultInterval)
			synctest.Wait()
			check(3)
			if got := recordsOf(t, d.afterPowerLoss(rand.New(rand.NewPCG(1, 1)))); mode == Interval && len(got) != 3 {
				t.Errorf("after the interval a power loss leaves %s", brief(got))
			}
			mustClose(t, l)
		})
	}
}

// TestMarksSayNoMoreThanIsTrue: what is written while a sync is under way is not
// on disk when it ends. If a power loss takes it then, that is no damage, although
// a later mark is there.
func TestMarksSayNoMoreThanIsTrue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newSlow()
		l, _ := mustOpen(t, d, quiet(Interval))
		appendAll(t, l, []byte("synced"))
		<-d.arrived
		from := l.Size()
		appendAll(t, l, []byte("meanwhile"))
		to := l.Size()
		d.pass <- struct{}{}
		synctest.Wait()
		appendAll(t, l, []byte("behind a mark"))
		after := d.afterKill()
		content := after.content(t, segmentName(1, 1))
		if int64(len(content)) < to+2*frameHead+markLength {
			t.Fatal("there is no mark")
		}
		clear(content[from:to])
		if got := recordsOf(t, after); len(got) != 1 {
			t.Errorf("got %s", brief(got))
		}
		d.letAll()
		mustClose(t, l)
	})
}

func recordsOf(t *testing.T, d *memoryDisk) [][]byte {
	t.Helper()
	l, records := mustOpen(t, d, quiet(Never))
	mustClose(t, l)
	return records
}

// TestWrittenWithoutWait: nobody has to wait for a record to be written.
func TestWrittenWithoutWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newMemoryDisk()
		l, _ := mustOpen(t, d, quiet(Never))
		if _, err := l.Append([]byte("one-way")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := recordsOf(t, d.afterKill()); len(got) != 1 {
			t.Errorf("got %s", brief(got))
		}
		mustClose(t, l)
	})
}

// TestBufferIsBounded: when much waits for a slow disk, Append waits too; a record
// that is larger than the bound gets in when nothing else waits, and Close ends
// the waiting.
func TestBufferIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newSlow()
		l, _ := mustOpen(t, d, quiet(Always))
		var appended, refused int
		appender := make(chan struct{})
		go func() {
			defer close(appender)
			for {
				if _, err := l.Append(make([]byte, maxPending/4)); err != nil {
					refused++
					return
				}
				appended++
			}
		}()
		<-d.arrived
		synctest.Wait()
		if appended < 4 || appended > 8 {
			t.Errorf("%d quarters of the bound were taken", appended)
		}
		before := appended
		d.pass <- struct{}{}
		<-d.arrived
		synctest.Wait()
		if appended <= before {
			t.Error("none was taken when there was room")
		}
		closed := make(chan error)
		go func() { closed <- l.Close() }()
		<-appender
		d.letAll()
		if err := <-closed; err != nil || refused != 1 {
			t.Errorf("Close = %v, %d refused", err, refused)
		}
		if got := recordsOf(t, d.memoryDisk); len(got) != appended {
			t.Errorf("%d records of %d are there", len(got), appended)
		}
	})
}

// TestManyCallers append and wait at once, on a real disk, while segments end.
// Each one's records are in his order.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	const callers, each = 16, 150
	for name, mode := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, dir := quiet(mode), t.TempDir()
			o.SegmentSize, o.Interval = 10_000, time.Millisecond
			l, err := Open(dir, o, ignore)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for caller := range callers {
				wg.Go(func() {
					for i := range each {
						record := binary.BigEndian.AppendUint32([]byte{byte(caller)}, uint32(i))
						record = append(record, bytes.Repeat([]byte{byte(caller)}, i)...)
						if err := appendOne(l, record); err != nil {
							t.Error(err)
							return
						}
						_ = l.Size()
					}
				})
			}
			wg.Wait()
			mustClose(t, l)
			var next [callers]uint32
			l, err = Open(dir, o, func(record []byte) error {
				caller, i := record[0], binary.BigEndian.Uint32(record[1:])
				if next[caller] != i || !bytes.Equal(record[5:], bytes.Repeat(record[:1], int(i))) {
					t.Errorf("caller %d: record %d, want %d", caller, i, next[caller])
				}
				next[caller]++
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			mustClose(t, l)
			for caller, n := range next {
				if n != each {
					t.Errorf("caller %d has %d records", caller, n)
				}
			}
		})
	}
}

// TestClosedByOthers closes a log under its callers: each of them is told that it
// is closed, or has his record.
func TestClosedByOthers(t *testing.T) {
	t.Parallel()
	d := newMemoryDisk()
	l, _ := mustOpen(t, d, quiet(Always))
	const callers = 8
	var wg sync.WaitGroup
	var taken [callers]int
	started := make(chan struct{}, callers)
	for caller := range callers {
		wg.Go(func() {
			for {
				err := appendOne(l, []byte{byte(caller)})
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if taken[caller]++; taken[caller] == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	for range callers {
		<-started
	}
	mustClose(t, l)
	wg.Wait()
	var got [callers]int
	for _, record := range recordsOf(t, d) {
		got[record[0]]++
	}
	if got != taken {
		t.Errorf("there are %v, taken were %v", got, taken)
	}
}
