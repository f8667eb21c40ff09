package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// story is what a program did with a log until its crash, and what it has been
// promised.
type story struct {
	mode     Fsync
	interval time.Duration
	records  [][]byte // appended, or there when the log was opened
	waited   int      // how many of them Wait was called for
	onDisk   int      // how many of them are safe from a power loss
	next     [][]byte // what a Rewrite under way is to leave; nil if there is none
	number   int
}

// play opens the log and works with it until it is done or has crashed. It
// rewrites the log and opens it again on the way.
func (s *story) play(d *memoryDisk) error {
	l, err := s.open(d)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if err := s.append(l, 6); err != nil {
		return err
	}
	for range 2 {
		if err := s.rewrite(l); err != nil {
			return err
		}
		if err := s.append(l, 3); err != nil {
			return err
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	s.onDisk = len(s.records)
	again, err := s.open(d)
	if err != nil {
		return err
	}
	defer func() { _ = again.Close() }()
	return s.append(again, 3)
}

func (s *story) open(d *memoryDisk) (*Log, error) {
	o := quiet(s.mode)
	o.SegmentSize, o.Interval = 1500, s.interval
	l, records, err := openOn(d, o)
	if err == nil {
		err = s.accept(records, s.waited)
	}
	return l, err
}

// accept is a log that was opened: it must have at least so many of the records,
// or what a Rewrite was to leave.
func (s *story) accept(records [][]byte, atLeast int) error {
	whole := len(records) >= atLeast && isPrefix(records, s.records)
	if !whole && (s.next == nil || !sameRecords(records, s.next)) {
		return fmt.Errorf("got %s\nof %s\nat least %d\nor the rewritten %s", brief(records), brief(s.records), atLeast, brief(s.next))
	}
	s.records, s.next = records, nil
	s.waited, s.onDisk = len(records), len(records)
	return nil
}

// append appends a pair of records and waits for both, some times.
func (s *story) append(l *Log, pairs int) error {
	for range pairs {
		for range 2 {
			s.number++
			record := bytes.Repeat(fmt.Appendf(nil, "%d,", s.number), 1+s.number*37%150)
			if _, err := l.Append(record); err != nil {
				return err
			}
			s.records = append(s.records, record)
		}
		if err := l.Wait(l.appended); err != nil {
			return err
		}
		s.waited = len(s.records)
		if s.mode == Always {
			s.onDisk = s.waited
		}
	}
	return nil
}

// rewrite keeps every other record.
func (s *story) rewrite(l *Log) error {
	s.next = [][]byte{}
	for i, record := range s.records {
		if i%2 == 0 {
			s.next = append(s.next, record)
		}
	}
	err := l.Rewrite(func(yield func([]byte) error) error {
		for _, record := range s.next {
			if err := yield(record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.records, s.next = s.next, nil
	s.waited, s.onDisk = len(s.records), len(s.records)
	return nil
}

// loss is what a crash takes.
type loss struct {
	name     string
	outcomes int // how many different ones to try
	after    func(d *memoryDisk, rng *rand.Rand) *memoryDisk
	atLeast  func(s *story) int
}

func losses() []loss {
	return []loss{
		{
			"kill", 1,
			func(d *memoryDisk, _ *rand.Rand) *memoryDisk { return d.afterKill() },
			func(s *story) int { return s.waited },
		},
		{"power", 12, (*memoryDisk).afterPowerLoss, func(s *story) int { return s.onDisk }},
	}
}

// TestCrashAtEveryOperation ends a program at each of its operations on files,
// then opens what is left, and ends that at each operation too.
func TestCrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	for name, mode := range modes() {
		for _, loss := range losses() {
			t.Run(name+"/"+loss.name, func(t *testing.T) {
				t.Parallel()
				rng, op := rand.New(rand.NewPCG(3, 4)), 0
				for finished := false; !finished; op++ {
					d, s := newMemoryDisk(), story{mode: mode}
					d.crashAt(op)
					finished = s.play(d) == nil
					for range loss.outcomes {
						again := s
						checkCrash(t, again, loss, loss.after(d, rng), loss.atLeast(&s), rng)
					}
					if t.Failed() {
						t.Fatalf("after a crash at operation %d", op)
					}
				}
				if op < 60 {
					t.Errorf("only %d operations", op)
				}
			})
		}
	}
}

// checkCrash opens what a crash left, crashes on the way, and opens again, until
// it gets through; then the log must work.
func checkCrash(t *testing.T, s story, loss loss, d *memoryDisk, atLeast int, rng *rand.Rand) {
	t.Helper()
	for op := 0; ; op += 1 + rng.IntN(4) {
		d.crashAt(op)
		l, records, err := openOn(d, quiet(s.mode))
		if err == nil {
			if err := s.accept(records, atLeast); err != nil {
				t.Error(err)
			}
			_ = l.Close() // crashes, or not
			break
		}
		if !errors.Is(err, errCrashed) {
			t.Errorf("open: %v", err)
			return
		}
		d = loss.after(d, rng)
	}
	d = loss.after(d, rng)
	l, records, err := openOn(d, quiet(s.mode))
	if err != nil {
		t.Errorf("open: %v", err)
		return
	}
	if !sameRecords(records, s.records) {
		t.Errorf("opened again: %s\nfirst %s", brief(records), brief(s.records))
	}
	appendAll(t, l, []byte("more"))
	mustClose(t, l)
	l, records = mustOpen(t, loss.after(d, rng), quiet(s.mode))
	mustClose(t, l)
	if !sameRecords(records, append(slices.Clone(s.records), []byte("more"))) {
		t.Errorf("and one more: %s", brief(records))
	}
}

// TestManyLives crashes a program again and again on the same disk, by power
// losses and kills, wherever it is.
func TestManyLives(t *testing.T) {
	t.Parallel()
	for name, mode := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, 5))
				d, s := newMemoryDisk(), story{mode: mode, interval: 20 * time.Microsecond}
				for life := range 15 {
					d.crashAt(rng.IntN(120))
					if err := s.play(d); err != nil && !errors.Is(err, errCrashed) {
						t.Fatalf("seed %d, life %d: %v", seed, life, err)
					}
					loss := losses()[rng.IntN(2)]
					s.waited = loss.atLeast(&s)
					d = loss.after(d, rng)
				}
			}
		})
	}
}
