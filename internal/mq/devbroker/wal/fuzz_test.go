package wal

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// FuzzOpen opens a log of two segments with any content. With repair the frames
// in it get the right checksums, or none but the committed ones would get past
// those. Open must not panic, must not return more than there is, and finds the
// same when it opens what it has left.
func FuzzOpen(f *testing.F) {
	id := identity([]byte("an identity of16"))
	mark := make([]byte, markSize)
	putMark(mark, id, headerSize+9, headerSize+9)
	record := appendFrame(nil, kindRecord, []byte("r"))
	f.Add([]byte{}, uint16(0), false)
	f.Add(slices.Concat(record, mark, record), uint16(0), true)
	f.Add(slices.Concat(record, record, record), uint16(9), true)
	f.Add(slices.Concat([]byte("garbage.."), mark, record), uint16(0), true)
	f.Fuzz(func(t *testing.T, content []byte, split uint16, repair bool) {
		before := min(int(split), len(content))
		first, second := slices.Clone(content[:before]), slices.Clone(content[before:])
		d := newMemoryDisk()
		d.put(currentName, currentFile(1))
		for i, frames := range [][]byte{first, second} {
			if repair {
				repairFrames(frames, id.checksum())
			}
			d.put(segmentName(1, uint64(i)+1), append(header(1, uint64(i)+1, id), frames...))
		}
		l, records, err := openOn(d, quiet(Never))
		if err != nil {
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("err = %v", err)
			}
			return
		}
		size := 0
		for _, record := range records {
			size += frameHead + len(record)
		}
		if size > len(content) {
			t.Fatalf("%d bytes of records out of %d", size, len(content))
		}
		mustClose(t, l)
		l, again := mustOpen(t, d, quiet(Never))
		mustClose(t, l)
		if !sameRecords(again, records) {
			t.Fatalf("again %s\nfirst %s", brief(again), brief(records))
		}
	})
}

// FuzzSegment opens a log whose only segment is any bytes at all, and whose
// current file is too.
func FuzzSegment(f *testing.F) {
	d := newMemoryDisk()
	l, err := open(d, quiet(Always), ignore)
	if err == nil {
		err = errors.Join(appendOne(l, []byte("record")), l.Close())
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.content(f, currentName), d.content(f, segmentName(1, 1)))
	f.Fuzz(func(t *testing.T, current, segment []byte) {
		d := newMemoryDisk()
		d.put(currentName, current)
		d.put(segmentName(1, 1), segment)
		l, _, err := openOn(d, quiet(Never))
		if err == nil {
			mustClose(t, l)
			return
		}
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) {
			t.Fatalf("err = %v", err)
		}
	})
}

// repairFrames puts the right checksums into what can be frames.
func repairFrames(content []byte, seed uint32) {
	for len(content) >= frameHead {
		_, length := splitWord(binary.BigEndian.Uint32(content))
		if length > len(content)-frameHead {
			return
		}
		sumFrames(content[:frameHead+length], seed)
		content = content[frameHead+length:]
	}
}
