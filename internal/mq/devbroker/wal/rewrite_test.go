package wal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// yielding is a function for Rewrite that yields these records.
func yielding(records [][]byte) func(func([]byte) error) error {
	return func(yield func([]byte) error) error {
		for _, record := range records {
			if err := yield(record); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestRewriteReplacesEverything does it in a real directory, with several
// segments before and behind, and goes on afterwards.
func TestRewriteReplacesEverything(t *testing.T) {
	t.Parallel()
	large := [][]byte{bytes.Repeat([]byte("a"), rewriteBatch-100), bytes.Repeat([]byte("b"), 200), bytes.Repeat([]byte("c"), 2*rewriteBatch)}
	for name, kept := range map[string][][]byte{"nothing": nil, "some": varied(7), "large": large} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, o := t.TempDir(), quiet(Never)
			o.SegmentSize = 400
			l, err := Open(dir, o, ignore)
			if err != nil {
				t.Fatal(err)
			}
			appendAll(t, l, varied(30)...)
			for range 2 {
				if err := l.Rewrite(yielding(kept)); err != nil {
					t.Fatal(err)
				}
				checkSize(t, l, dir)
			}
			appendAll(t, l, varied(3)...)
			mustClose(t, l)
			var got [][]byte
			l, err = Open(dir, o, func(record []byte) error { got = append(got, record); return nil })
			if err != nil {
				t.Fatal(err)
			}
			mustClose(t, l)
			if want := append(slices.Clone(kept), varied(3)...); !sameRecords(got, want) {
				t.Errorf("got %s\nwant %s", brief(got), brief(want))
			}
			for _, file := range segmentFiles(t, dir) {
				if !strings.Contains(file, "00000003-") {
					t.Errorf("%s is still there", file)
				}
			}
		})
	}
}

// TestRewriteThatFails leaves the old log, which goes on, and no files.
func TestRewriteThatFails(t *testing.T) {
	t.Parallel()
	ours := errors.New("ours")
	for name, test := range map[string]struct {
		records func(yield func([]byte) error) error
		want    error
	}{
		"its own error": {func(yield func([]byte) error) error { return errors.Join(yield([]byte("x")), ours) }, ours},
		"too large":     {func(yield func([]byte) error) error { return yield(make([]byte, MaxRecord+1)) }, ErrTooLarge},
		"ignored": {func(yield func([]byte) error) error {
			_ = yield(make([]byte, MaxRecord+1))
			_ = yield([]byte("behind"))
			return nil
		}, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			d := newMemoryDisk()
			l, _ := mustOpen(t, d, quiet(Always))
			appendAll(t, l, varied(4)...)
			before := must(d.Names())
			if err := l.Rewrite(test.records); !errors.Is(err, test.want) {
				t.Errorf("Rewrite = %v, want %v", err, test.want)
			}
			if names := must(d.Names()); !slices.Equal(names, before) {
				t.Errorf("files %v, before %v", names, before)
			}
			appendAll(t, l, []byte("next"))
			mustClose(t, l)
			checkRecovered(t, d, Always, append(varied(4), []byte("next")))
		})
	}
}

// TestRewriteWithFailingDisk fails each operation of a Rewrite once. The log goes
// on, or has failed; in both cases the next Open finds the old records or the new.
func TestRewriteWithFailingDisk(t *testing.T) {
	t.Parallel()
	old, kept, broken := varied(6), varied(3), errors.New("broken disk")
	failed, went := 0, 0
	for op, finished := 0, false; !finished; op++ {
		d := newMemoryDisk()
		o := quiet(Always)
		o.SegmentSize = 100
		l, _ := mustOpen(t, d, o)
		appendAll(t, l, old...)
		left := op
		d.before = func(string, string) error {
			if left--; left == -1 {
				return broken
			}
			return nil
		}
		err := l.Rewrite(yielding(kept))
		finished = left >= 0
		d.before = nil
		want := [][][]byte{old}
		switch appendErr := appendOne(l, []byte("next")); {
		case err == nil && appendErr == nil: // the delete of an old file failed, or nothing
			want = [][][]byte{append(slices.Clone(kept), []byte("next"))}
		case appendErr == nil:
			went++
			want = [][][]byte{append(slices.Clone(old), []byte("next"))}
		case errors.Is(err, broken) && errors.Is(appendErr, broken):
			failed++
			want = append(want, kept)
		default:
			t.Errorf("operation %d: Rewrite = %v, then Append = %v", op, err, appendErr)
		}
		_ = l.Close() // with the error, if the log has failed
		l, got := mustOpen(t, d, o)
		mustClose(t, l)
		if !slices.ContainsFunc(want, func(w [][]byte) bool { return sameRecords(got, w) }) {
			t.Errorf("operation %d: Rewrite = %v, and found is %s", op, err, brief(got))
		}
	}
	if failed != 2 || went < 10 {
		t.Errorf("the log failed %d times and went on %d times: the test no longer looks everywhere", failed, went)
	}
}

// TestRewriteAfterFailure: what a failed attempt could not even delete does not
// get into the next one.
func TestRewriteAfterFailure(t *testing.T) {
	t.Parallel()
	d, broken, o := newMemoryDisk(), errors.New("broken disk"), quiet(Never)
	o.SegmentSize = 1
	l, _ := mustOpen(t, d, o)
	appendAll(t, l, []byte("old"))
	d.before = func(op, _ string) error {
		if op == "remove" {
			return broken
		}
		return nil
	}
	large := bytes.Repeat([]byte("a"), rewriteBatch)
	err := l.Rewrite(func(yield func([]byte) error) error {
		return errors.Join(yield(large), yield(large), yield(large), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("Rewrite = %v", err)
	}
	if err := l.Rewrite(yielding([][]byte{[]byte("new")})); err != nil {
		t.Fatal(err)
	}
	d.before = nil
	mustClose(t, l)
	if names := must(d.Names()); len(names) < 5 {
		t.Fatalf("nothing was left over: %v", names)
	}
	checkRecovered(t, d, Never, [][]byte{[]byte("new")})
	if names := must(d.Names()); len(names) != 4 { // current and the segments of 3 openings
		t.Errorf("left over: %v", names)
	}
}

// TestRewriteTellsWaiters: a Rewrite does not overtake those who wait for what it
// replaces.
func TestRewriteTellsWaiters(t *testing.T) {
	t.Parallel()
	d := newMemoryDisk()
	l, _ := mustOpen(t, d, quiet(Always))
	waited := make(chan error, 20)
	var want [][]byte
	for i := range 20 {
		p, err := l.Append(fmt.Append(nil, i))
		if err != nil {
			t.Fatal(err)
		}
		go func() { waited <- l.Wait(p) }()
		if i%2 == 0 {
			want = append(want, fmt.Append(nil, i))
		}
	}
	if err := l.Rewrite(yielding(want)); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := <-waited; err != nil {
			t.Error(err)
		}
	}
	mustClose(t, l)
	checkRecovered(t, d, Always, want)
}
