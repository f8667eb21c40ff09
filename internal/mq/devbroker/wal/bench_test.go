package wal

import (
	"strconv"
	"sync"
	"testing"
)

// modes are the names of what Wait may promise.
func modes() map[string]Fsync {
	return map[string]Fsync{"always": Always, "interval": Interval, "never": Never}
}

// ignore is a replay that does not look.
func ignore([]byte) error { return nil }

func benchmarkLog(b *testing.B, mode Fsync) *Log {
	l, err := Open(b.TempDir(), Options{Fsync: mode}, ignore)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	return l
}

// BenchmarkAppendWait is a record of 1 KB until it is as safe as promised, with
// some callers at once.
func BenchmarkAppendWait(b *testing.B) {
	for name, mode := range modes() {
		for _, callers := range []int{1, 32} {
			b.Run(name+"/"+strconv.Itoa(callers), func(b *testing.B) {
				l, record := benchmarkLog(b, mode), make([]byte, 1024)
				b.SetBytes(int64(len(record)))
				b.ReportAllocs()
				var wg sync.WaitGroup
				b.ResetTimer()
				for i := range callers {
					wg.Go(func() {
						for range (b.N + i) / callers {
							p, err := l.Append(record)
							if err == nil {
								err = l.Wait(p)
							}
							if err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkAppend is what a record of 1 KB costs who does not wait for it.
func BenchmarkAppend(b *testing.B) {
	for name, mode := range modes() {
		b.Run(name, func(b *testing.B) {
			l, record := benchmarkLog(b, mode), make([]byte, 1024)
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Append(record); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
