package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// quiet are options that keep what recovery says to themselves.
func quiet(mode Fsync) Options {
	return Options{Fsync: mode, Logger: slog.New(slog.DiscardHandler)}
}

// openOn opens the log on a disk of a test and returns what is in it.
func openOn(d directory, o Options) (*Log, [][]byte, error) {
	var records [][]byte
	l, err := open(d, o, func(record []byte) error {
		records = append(records, record)
		return nil
	})
	return l, records, err
}

// mustOpen is openOn where nothing may go wrong.
func mustOpen(t testing.TB, d directory, o Options) (*Log, [][]byte) {
	t.Helper()
	l, records, err := openOn(d, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l, records
}

// appendAll appends records, each of them safe before the next.
func appendAll(t testing.TB, l *Log, records ...[]byte) {
	t.Helper()
	for _, record := range records {
		if err := appendOne(l, record); err != nil {
			t.Fatal(err)
		}
	}
}

func appendOne(l *Log, record []byte) error {
	p, err := l.Append(record)
	if err != nil {
		return err
	}
	return l.Wait(p)
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// sameRecords compares records; nil and empty are the same.
func sameRecords(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

func isPrefix(prefix, all [][]byte) bool {
	return len(prefix) <= len(all) && sameRecords(prefix, all[:len(prefix)])
}

// varied makes records of many lengths, with zeros and with each other's content.
func varied(n int) [][]byte {
	records := make([][]byte, n)
	for i := range records {
		switch i % 5 {
		case 0:
			records[i] = nil
		case 1:
			records[i] = fmt.Appendf(nil, "record %d", i)
		case 2:
			records[i] = make([]byte, 1+i)
		case 3:
			records[i] = appendFrame(nil, kindRecord, fmt.Appendf(nil, "within %d", i))
		default:
			records[i] = bytes.Repeat([]byte{byte(i), 0xff}, 20+i)
		}
	}
	return records
}

// brief names records in a failure.
func brief(records [][]byte) string {
	var b bytes.Buffer
	for _, r := range records {
		fmt.Fprintf(&b, " %.12q(%d)", r, len(r))
	}
	return fmt.Sprintf("%d records:%s", len(records), b.String())
}

// resum makes the checksum at the end of a header right.
func resum(b []byte) {
	sum := crc32.Checksum(b[:len(b)-4], castagnoli)
	binary.BigEndian.PutUint32(b[len(b)-4:], sum)
}
