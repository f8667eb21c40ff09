package wal

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// failing makes operations of one kind on segments fail, from now on or once.
func (d *memoryDisk) failing(op string, times int) error {
	broken := errors.New("no " + op + " any more")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = func(is, name string) error {
		if _, _, ok := parseSegmentName(name); is != op || !ok || times == 0 {
			return nil
		}
		times--
		return broken
	}
	return broken
}

// TestFailureStays: after one operation has failed, every call says so, even if
// the disk would work again.
func TestFailureStays(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"write", "sync"} {
		t.Run(op, func(t *testing.T) {
			d := newMemoryDisk()
			l, _ := mustOpen(t, d, quiet(Always))
			appendAll(t, l, []byte("safe"))
			broken := d.failing(op, 1)
			p, err := l.Append([]byte("lost"))
			if err != nil {
				t.Fatal(err)
			}
			first := l.Wait(p)
			if !errors.Is(first, broken) || !strings.Contains(first.Error(), segmentName(1, 1)) {
				t.Fatalf("Wait = %v", first)
			}
			syncs := d.count("sync")
			if _, err := l.Append([]byte("more")); err != first {
				t.Errorf("Append = %v", err)
			}
			if err := l.Wait(1); err != first {
				t.Errorf("Wait = %v", err)
			}
			if err := l.Rewrite(yielding(nil)); err != first {
				t.Errorf("Rewrite = %v", err)
			}
			for range 2 {
				if err := l.Close(); !errors.Is(err, broken) {
					t.Errorf("Close = %v", err)
				}
			}
			if d.count("sync") != syncs {
				t.Error("a sync was tried again")
			}
			got := recordsOf(t, d.afterPowerLoss(rand.New(rand.NewPCG(1, 1))))
			if len(got) == 0 || string(got[0]) != "safe" {
				t.Errorf("left is %s", brief(got))
			}
		})
	}
}

// TestFailedSyncIsNotForgotten: the system shows what it could not write, and
// counts it as written. Whoever opens the log again sees it, and then it has to
// be on disk.
func TestFailedSyncIsNotForgotten(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		d := newMemoryDisk()
		l, _ := mustOpen(t, d, quiet(Always))
		appendAll(t, l, []byte("safe"))
		d.failing("sync", 1)
		unsafe := make([]byte, 3*sector)
		unsafe[0] = 'x'
		if err := appendOne(l, unsafe); err == nil {
			t.Fatal("the sync did not fail")
		}
		_ = l.Close() // with that error
		l, seen := mustOpen(t, d, quiet(Always))
		if len(seen) != 2 {
			t.Fatalf("seen are %s", brief(seen))
		}
		appendAll(t, l, []byte("behind"))
		rng := rand.New(rand.NewPCG(seed, 1))
		got := recordsOf(t, d.afterPowerLoss(rng))
		if !sameRecords(got, append(seen, []byte("behind"))) {
			t.Errorf("got %s", brief(got))
		}
		mustClose(t, l)
	}
}

// TestIntervalSyncFails: nobody waits for it, and everybody is told.
func TestIntervalSyncFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newMemoryDisk()
		l, _ := mustOpen(t, d, quiet(Interval))
		broken := d.failing("sync", 1)
		appendAll(t, l, []byte("written"))
		time.Sleep(2 * defaultInterval)
		synctest.Wait()
		if _, err := l.Append(nil); !errors.Is(err, broken) {
			t.Errorf("Append = %v", err)
		}
		if err := l.Close(); !errors.Is(err, broken) {
			t.Errorf("Close = %v", err)
		}
	})
}

// TestCloseFails: what Close could not put on disk it does not pass over.
func TestCloseFails(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"write", "sync"} {
		d := newMemoryDisk()
		l, _ := mustOpen(t, d, quiet(Never))
		appendAll(t, l, []byte("written"))
		broken := d.failing(op, 1)
		if err := l.Close(); !errors.Is(err, broken) {
			t.Errorf("Close = %v, want %v", err, broken)
		}
	}
}

// TestOpenWithFailingDisk fails each operation of an Open once: it says so, and
// the next one finds everything.
func TestOpenWithFailingDisk(t *testing.T) {
	t.Parallel()
	k, broken := killed(t, Always), errors.New("broken disk")
	for op, finished := 0, false; !finished; op++ {
		d, left := k.with(append(k.content, 1, 2, 3)), op
		d.put(segmentName(9, 1), nil) // a left-over
		d.before = func(string, string) error {
			if left--; left == -1 {
				return broken
			}
			return nil
		}
		l, _, err := openOn(d, quiet(Always))
		finished = err == nil && left >= 0
		d.before = nil
		if err == nil {
			mustClose(t, l)
		}
		if !finished && !errors.Is(err, broken) || op > 50 {
			t.Fatalf("operation %d: %v", op, err)
		}
		checkRecovered(t, d, Always, k.records)
	}
}

// TestFullDisk writes to a device that is always full.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs /dev/full: ", err)
	}
	dir := t.TempDir()
	l, err := Open(dir, quiet(Never), ignore)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, []byte("before"))
	l.files.Lock()
	real := l.gen.last.file
	l.gen.last.file = diskFile{full}
	l.files.Unlock()
	if err := appendOne(l, []byte("no room")); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("err = %v", err)
	}
	if err := errors.Join(l.Close(), real.Close()); err == nil {
		t.Error("Close says nothing")
	}
	var got []string
	l, err = Open(dir, quiet(Never), func(record []byte) error { got = append(got, string(record)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if len(got) != 1 || got[0] != "before" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, segmentName(1, 2))); err != nil {
		t.Error(err)
	}
}
