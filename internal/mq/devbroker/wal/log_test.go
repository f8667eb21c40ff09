package wal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecordsComeBack is the whole life of a log in a real directory, in every
// mode, over several segments and openings.
func TestRecordsComeBack(t *testing.T) {
	t.Parallel()
	for name, mode := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "a", "b")
			o := quiet(mode)
			o.SegmentSize = 300
			var want [][]byte
			for range 4 {
				var got [][]byte
				l, err := Open(dir, o, func(record []byte) error { got = append(got, record); return nil })
				if err != nil {
					t.Fatal(err)
				}
				if !sameRecords(got, want) {
					t.Fatalf("got %s\nwant %s", brief(got), brief(want))
				}
				appendAll(t, l, varied(20)...)
				want = append(want, varied(20)...)
				checkSize(t, l, dir)
				mustClose(t, l)
				checkSize(t, l, dir)
			}
			if segments := segmentFiles(t, dir); len(segments) < 8 {
				t.Errorf("only the segments %v", segments)
			}
		})
	}
}

func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkSize compares Size with the files.
func checkSize(t *testing.T, l *Log, dir string) {
	t.Helper()
	var want int64
	for _, name := range segmentFiles(t, dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		want += info.Size()
	}
	if got := l.Size(); got != want {
		t.Errorf("Size = %d, the files have %d", got, want)
	}
}

func TestLargestRecord(t *testing.T) {
	t.Parallel()
	d := newMemoryDisk()
	l, _ := mustOpen(t, d, quiet(Never))
	largest := make([]byte, MaxRecord)
	largest[0], largest[MaxRecord-1] = 1, 2
	if _, err := l.Append(make([]byte, MaxRecord+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	appendAll(t, l, []byte("before"), largest, []byte("behind"))
	mustClose(t, l)
	l, got := mustOpen(t, d, quiet(Never))
	defer mustClose(t, l)
	if want := [][]byte{[]byte("before"), largest, []byte("behind")}; !sameRecords(got, want) {
		t.Errorf("got %s", brief(got))
	}
}

// TestReplayKeepsRecords and Append copies: what the caller does to a slice later
// changes nothing.
func TestSlicesAreNotShared(t *testing.T) {
	t.Parallel()
	d := newMemoryDisk()
	l, _ := mustOpen(t, d, quiet(Always))
	record := []byte("one")
	p, err := l.Append(record)
	copy(record, "two")
	if err = errors.Join(err, l.Wait(p)); err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, record)
	mustClose(t, l)
	l, got := mustOpen(t, d, quiet(Always))
	defer mustClose(t, l)
	copy(got[1], "xxx")
	if string(got[0]) != "one" {
		t.Errorf("the first record is %q", got[0])
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	l, _ := mustOpen(t, newMemoryDisk(), quiet(Always))
	for want := Position(1); want < 4; want++ {
		if p, err := l.Append(nil); p != want || err != nil {
			t.Errorf("Append = %d, %v, want %d", p, err, want)
		}
	}
	for _, p := range []Position{0, 3, 1} {
		if err := l.Wait(p); err != nil {
			t.Errorf("Wait(%d) = %v", p, err)
		}
	}
	if err := l.Wait(4); err == nil || !strings.Contains(err.Error(), "only 3 records") {
		t.Errorf("Wait for what nobody appended = %v", err)
	}
	mustClose(t, l)
	mustClose(t, l)
	if _, err := l.Append(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close = %v", err)
	}
	if err := l.Rewrite(func(func([]byte) error) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Rewrite after Close = %v", err)
	}
	if err := l.Wait(3); err != nil {
		t.Errorf("Wait after Close = %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{
		"fsync":        {Fsync: 3},
		"interval":     {Interval: -1},
		"segment size": {SegmentSize: -1},
	} {
		if _, err := Open(t.TempDir(), o, ignore); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestLock has the directory open twice, and again after the first is closed.
func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Open(dir, quiet(Never), ignore)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, quiet(Never), ignore); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("while it is open: %v", err)
	}
	mustClose(t, first)
	refused := errors.New("refused")
	appendToDirectory(t, dir, "record")
	for range 2 { // an Open that fails unlocks the directory
		if _, err := Open(dir, quiet(Never), func([]byte) error { return refused }); !errors.Is(err, refused) {
			t.Errorf("replay that fails: %v", err)
		}
	}
	appendToDirectory(t, dir, "another")
}

func appendToDirectory(t *testing.T, dir, record string) {
	t.Helper()
	l, err := Open(dir, quiet(Never), ignore)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, []byte(record))
	mustClose(t, l)
}

func TestDirectoryCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := Open(dir, quiet(Never), ignore); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
