package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// damaged is a log whose writer was killed, and what is known of its last
// segment.
type damaged struct {
	mode    Fsync
	records [][]byte
	ends    []int // where each record's frame ends
	content []byte
	disk    *memoryDisk
}

// killed makes a log of one segment that nobody closed.
func killed(t *testing.T, mode Fsync) damaged {
	t.Helper()
	d, k := newMemoryDisk(), damaged{mode: mode, records: varied(16)}
	l, _ := mustOpen(t, d, quiet(mode))
	for _, record := range k.records {
		appendAll(t, l, record)
		k.ends = append(k.ends, int(l.Size()))
	}
	k.disk = d.afterKill()
	mustClose(t, l)
	k.content = slices.Clone(k.disk.content(t, segmentName(1, 1)))
	return k
}

// with is the log with another last segment.
func (k damaged) with(content []byte) *memoryDisk {
	d := k.disk.afterKill()
	d.put(segmentName(1, 1), slices.Clone(content))
	return d
}

// whole is how many records end at or before the offset.
func (k damaged) whole(offset int) int {
	n := 0
	for n < len(k.ends) && k.ends[n] <= offset {
		n++
	}
	return n
}

// checkRecovered opens a log, which must have just these records, then and again
// with another one.
func checkRecovered(t *testing.T, d *memoryDisk, mode Fsync, want [][]byte) {
	t.Helper()
	l, got := mustOpen(t, d, quiet(mode))
	if !sameRecords(got, want) {
		t.Errorf("got %s\nwant %s", brief(got), brief(want))
	}
	appendAll(t, l, []byte("one more"))
	mustClose(t, l)
	l, again := mustOpen(t, d, quiet(mode))
	mustClose(t, l)
	if !sameRecords(again, append(slices.Clone(got), []byte("one more"))) {
		t.Errorf("opened again: %s\nafter %s", brief(again), brief(got))
	}
}

// checkCorrupt opens a log that must be refused for the place, and be left as it
// was.
func checkCorrupt(t *testing.T, d *memoryDisk, file string, offset int64) {
	t.Helper()
	before := d.afterKill()
	_, _, err := openOn(d, quiet(Always))
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || corrupt.File != file || corrupt.Offset != offset {
		t.Fatalf("err = %v, want damage of %s at %d", err, file, offset)
	}
	if !strings.Contains(err.Error(), file) {
		t.Errorf("%q does not name %s", err, file)
	}
	for name := range d.names {
		if !bytes.Equal(before.content(t, name), d.content(t, name)) {
			t.Errorf("%s is not what it was", name)
		}
	}
	if len(before.names) != len(d.names) {
		t.Errorf("%d files of %d are left", len(d.names), len(before.names))
	}
}

func TestTruncatedAtEveryByte(t *testing.T) {
	t.Parallel()
	for name, mode := range modes() {
		k := killed(t, mode)
		for size := headerSize; size <= len(k.content); size++ {
			checkRecovered(t, k.with(k.content[:size]), mode, k.records[:k.whole(size)])
			if t.Failed() {
				t.Fatalf("%s, cut at %d", name, size)
			}
		}
		for size := range headerSize {
			checkCorrupt(t, k.with(k.content[:size]), segmentName(1, 1), 0)
		}
	}
}

// TestEveryByteFlipped: under Always what a later batch vouches for is damage,
// and the rest is cut; without a mark all is cut from there on.
func TestEveryByteFlipped(t *testing.T) {
	t.Parallel()
	for name, mode := range modes() {
		k := killed(t, mode)
		for at := headerSize; at < len(k.content); at++ {
			content := slices.Clone(k.content)
			content[at] ^= byte(1 + at%255)
			if whole := k.whole(at); mode == Always && whole < len(k.records)-1 {
				checkCorrupt(t, k.with(content), segmentName(1, 1), k.frameAt(whole, at))
			} else {
				checkRecovered(t, k.with(content), mode, k.records[:whole])
			}
			if t.Failed() {
				t.Fatalf("%s, byte %d", name, at)
			}
		}
		for at := range headerSize {
			content := slices.Clone(k.content)
			content[at] ^= 0x10
			checkCorrupt(t, k.with(content), segmentName(1, 1), 0)
		}
	}
}

// frameAt is the offset of the frame that a byte is in: a record's, or the mark's
// before it.
func (k damaged) frameAt(record, at int) int64 {
	start := k.ends[record] - frameHead - len(k.records[record])
	if at >= start {
		return int64(start)
	}
	return int64(start - markSize)
}

// TestClosedLogIsNeverCut: behind a log that was closed or rewritten is a mark, so
// that damage to its last record is not taken for a torn tail. Only the mark
// itself can go.
func TestClosedLogIsNeverCut(t *testing.T) {
	t.Parallel()
	for name, mode := range modes() {
		d := newMemoryDisk()
		l, _ := mustOpen(t, d, quiet(mode))
		appendAll(t, l, varied(8)...)
		mustClose(t, l)
		checkNeverCut(t, name+", closed", d.afterKill(), segmentName(1, 1))
		l, _ = mustOpen(t, d, quiet(mode))
		if err := l.Rewrite(yielding(varied(8))); err != nil {
			t.Fatal(err)
		}
		checkNeverCut(t, name+", rewritten", d.afterKill(), segmentName(2, 1))
		mustClose(t, l)
	}
}

// checkNeverCut flips every byte of a segment that has varied(8) and a mark.
func checkNeverCut(t *testing.T, name string, d *memoryDisk, segment string) {
	t.Helper()
	whole := d.content(t, segment)
	for at := headerSize; at < len(whole); at++ {
		content, d := slices.Clone(whole), d.afterKill()
		content[at] ^= 0x04
		d.put(segment, content)
		if at >= len(whole)-markSize {
			checkRecovered(t, d, Never, varied(8))
			continue
		}
		var corrupt *CorruptError
		if _, _, err := openOn(d, quiet(Never)); !errors.As(err, &corrupt) || corrupt.Offset > int64(at) {
			t.Fatalf("%s, byte %d: %v", name, at, err)
		}
	}
}

// TestTornTails puts behind a log what a power loss may leave there.
func TestTornTails(t *testing.T) {
	t.Parallel()
	k := killed(t, Never)
	last := k.content[headerSize:k.ends[5]]
	garbage := make([]byte, 3*sector)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range garbage {
		garbage[i] = byte(rng.Uint32())
	}
	longest := binary.BigEndian.AppendUint32(nil, kindRecord<<lengthBits|MaxRecord)
	for name, tail := range map[string][]byte{
		"one byte":                      {1},
		"a page of zeros":               make([]byte, 4096),
		"garbage":                       garbage,
		"zeros, then records":           append(make([]byte, 600), last...),
		"garbage, then records":         append(slices.Clone(garbage), last...),
		"a record's head":               k.content[headerSize+frameHead : headerSize+2*frameHead],
		"a length beyond the file":      append(longest, garbage...),
		"a length beyond all lengths":   bytes.Repeat([]byte{0x07, 0xff, 0xff, 0xff}, 40),
		"a mark of another place":       markFrame(t, k.content, 4096, headerSize+1),
		"a mark that vouches for later": markFrame(t, k.content, int64(len(k.content)), int64(len(k.content)+1)),
		"a mark that is too short":      shortMark(t, k.content),
		"a mark with another name":      namelessMark(t, k.content),
		"garbage, then a mark of another place": append(slices.Clone(garbage),
			markFrame(t, k.content, int64(len(k.content)), int64(len(k.content)+1))...),
		"garbage, then a mark that vouches for what is kept": append(slices.Clone(garbage),
			markFrame(t, k.content, int64(len(k.content)+len(garbage)), int64(len(k.content)))...),
	} {
		t.Run(name, func(t *testing.T) {
			d := k.with(append(slices.Clone(k.content), tail...))
			checkRecovered(t, d, Never, k.records)
			if left := d.content(t, segmentName(1, 1)); !bytes.Equal(left, k.content) {
				t.Errorf("%d bytes are left of %d", len(left), len(k.content))
			}
		})
	}
}

// identityOf reads the identity of a segment.
func identityOf(t *testing.T, segment []byte) identity {
	t.Helper()
	id, reason := parseHeader(segment, segmentName(1, 1))
	if reason != "" {
		t.Fatal(reason)
	}
	return id
}

func markFrame(t *testing.T, segment []byte, offset, synced int64) []byte {
	id, frame := identityOf(t, segment), make([]byte, markSize)
	putMark(frame, id, offset, synced)
	sumFrames(frame, id.checksum())
	return frame
}

func shortMark(t *testing.T, segment []byte) []byte {
	id := identityOf(t, segment)
	frame := appendFrame(nil, kindMark, id[:])
	sumFrames(frame, id.checksum())
	return frame
}

// namelessMark is right in all but the identity within it.
func namelessMark(t *testing.T, segment []byte) []byte {
	frame := make([]byte, markSize)
	putMark(frame, identity{}, int64(len(segment)), int64(len(segment)))
	sumFrames(frame, identityOf(t, segment).checksum())
	return frame
}

// TestRecordOfAnotherSegment: a block with records of an older file, at the right
// place, is no record of this one.
func TestRecordOfAnotherSegment(t *testing.T) {
	t.Parallel()
	older, k := killed(t, Never), killed(t, Never)
	content := slices.Concat(k.content[:k.ends[3]], older.content[k.ends[3]:])
	checkRecovered(t, k.with(content), Never, k.records[:4])
}

// TestMarksAreFoundFarBehind: the damage is followed by more than is searched at
// once, and a mark lies across two such pieces.
func TestMarksAreFoundFarBehind(t *testing.T) {
	t.Parallel()
	k := killed(t, Never)
	for _, gap := range []int{0, 1, 39, 40, 41, 100} {
		for _, behind := range []int{scanBuffer, 2*scanBuffer - markSize} {
			content := append(slices.Clone(k.content), make([]byte, behind-gap)...)
			mark := markFrame(t, k.content, int64(len(content)), int64(len(k.content)+1))
			content = append(append(content, mark...), make([]byte, 77)...)
			checkCorrupt(t, k.with(content), segmentName(1, 1), int64(len(k.content)))
		}
	}
}

// TestDamageBeforeTheLastSegment flips every byte of the first of two segments,
// and cuts it at each.
func TestDamageBeforeTheLastSegment(t *testing.T) {
	t.Parallel()
	k := killed(t, Never)
	d := k.with(k.content)
	l, _ := mustOpen(t, d, quiet(Never)) // begins the second one
	mustClose(t, l)
	d = d.afterKill()
	first := d.content(t, segmentName(1, 1))
	start := func(at int) int64 {
		if whole := k.whole(at); whole > 0 {
			return int64(k.ends[whole-1])
		}
		return headerSize
	}
	for at := headerSize; at < len(first); at++ {
		flipped := slices.Clone(first)
		flipped[at] ^= 0x80
		d.put(segmentName(1, 1), flipped)
		checkCorrupt(t, d, segmentName(1, 1), start(at))
		if start(at) != int64(at) { // not between two records
			d.put(segmentName(1, 1), slices.Clone(first[:at]))
			checkCorrupt(t, d, segmentName(1, 1), start(at))
		}
	}
}

func TestMissingAndForeignFiles(t *testing.T) {
	t.Parallel()
	three := func(t *testing.T) *memoryDisk {
		d := newMemoryDisk()
		for range 3 {
			l, _ := mustOpen(t, d, quiet(Always))
			appendAll(t, l, []byte("record"))
			mustClose(t, l)
		}
		return d.afterKill()
	}
	for name, test := range map[string]struct {
		spoil func(d *memoryDisk)
		file  string
	}{
		"first segment":            {func(d *memoryDisk) { delete(d.names, segmentName(1, 1)) }, segmentName(1, 1)},
		"middle segment":           {func(d *memoryDisk) { delete(d.names, segmentName(1, 2)) }, segmentName(1, 2)},
		"all segments":             {func(d *memoryDisk) { clear3(d) }, segmentName(1, 1)},
		"current":                  {func(d *memoryDisk) { delete(d.names, currentName) }, currentName},
		"current of no generation": {func(d *memoryDisk) { d.put(currentName, currentFile(0)) }, currentName},
		"current is empty":         {func(d *memoryDisk) { d.put(currentName, nil) }, currentName},
		"two change places": {func(d *memoryDisk) {
			d.names[segmentName(1, 1)], d.names[segmentName(1, 2)] = d.names[segmentName(1, 2)], d.names[segmentName(1, 1)]
		}, segmentName(1, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			d := three(t)
			test.spoil(d)
			checkCorrupt(t, d, test.file, 0)
		})
	}
	t.Run("foreign", func(t *testing.T) {
		d := three(t)
		foreign := []string{"lock", "notes.txt", "1-1.log", "00000001-00000004.log.bak", "backup.tmp"}
		for _, name := range foreign {
			d.put(name, []byte("ours"))
		}
		leftOver := []string{segmentName(2, 1), segmentName(7, 3) + scratch, currentName + scratch}
		for _, name := range leftOver {
			d.put(name, []byte("left over"))
		}
		l, got := mustOpen(t, d, quiet(Always))
		mustClose(t, l)
		if len(got) != 3 {
			t.Errorf("got %s", brief(got))
		}
		for _, name := range foreign {
			d.content(t, name)
		}
		for _, name := range leftOver {
			if d.names[name] != nil {
				t.Errorf("%s is still there", name)
			}
		}
	})
}

func clear3(d *memoryDisk) {
	for sequence := range uint64(3) {
		delete(d.names, segmentName(1, sequence+1))
	}
}

func TestEveryByteOfCurrentFlipped(t *testing.T) {
	t.Parallel()
	k := killed(t, Never)
	current := k.disk.content(t, currentName)
	for at := range current {
		flipped := slices.Clone(current)
		flipped[at] ^= 0x01
		k.disk.put(currentName, flipped)
		checkCorrupt(t, k.disk, currentName, 0)
	}
}

// TestOtherFormat is what a later program might write.
func TestOtherFormat(t *testing.T) {
	t.Parallel()
	k := killed(t, Never)
	later := slices.Clone(k.content)
	binary.BigEndian.PutUint32(later[8:], 2)
	resum(later[:headerSize])
	if _, _, err := openOn(k.with(later), quiet(Never)); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("segment: %v", err)
	}
	current := k.disk.content(t, currentName)
	binary.BigEndian.PutUint32(current[8:], 2)
	resum(current)
	if _, _, err := openOn(k.disk, quiet(Never)); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("current: %v", err)
	}
}

// TestCutIsLogged: whoever loses bytes is told how many.
func TestCutIsLogged(t *testing.T) {
	t.Parallel()
	k := killed(t, Never)
	var out bytes.Buffer
	o := Options{Fsync: Never, Logger: slog.New(slog.NewTextHandler(&out, nil))}
	l, _ := mustOpen(t, k.with(append(slices.Clone(k.content), 1, 2, 3)), o)
	mustClose(t, l)
	want := fmt.Sprintf("file=%s offset=%d bytes=3", segmentName(1, 1), len(k.content))
	if !strings.Contains(out.String(), "torn tail") || !strings.Contains(out.String(), want) {
		t.Errorf("logged %q, want %s", out.String(), want)
	}
}

// TestRestartsLeaveNoEmptySegments: a program that only starts and stops does not
// fill its directory.
func TestRestartsLeaveNoEmptySegments(t *testing.T) {
	t.Parallel()
	k := killed(t, Never)
	for range 5 {
		l, _ := mustOpen(t, k.disk, quiet(Never))
		mustClose(t, l)
	}
	if got := segmentsOf(1, must(k.disk.Names())); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("segments %v", got)
	}
}

func must(names []string, _ error) []string { return names }
