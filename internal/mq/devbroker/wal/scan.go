package wal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// scanBuffer is how much of a file is read at once.
const scanBuffer = 256 << 10

// errNoFrame means that what begins here is no whole frame.
var errNoFrame = errors.New("not a record")

// scan reads the frames of a segment.
type scan struct {
	in     *bufio.Reader
	id     identity
	seed   uint32
	offset int64 // where the next frame begins
	size   int64
}

func newScan(f io.ReaderAt, id identity, size int64) *scan {
	return &scan{
		in: bufio.NewReaderSize(io.NewSectionReader(f, headerSize, size-headerSize), int(min(size, scanBuffer))),
		id: id, seed: id.checksum(), offset: headerSize, size: size,
	}
}

// next reads a frame. The error is io.EOF at the end of the file, errNoFrame if
// there is something else than a whole frame, and else the file system's. A
// frame that failed does not move the offset.
func (s *scan) next() (kind uint32, payload []byte, err error) {
	left := s.size - s.offset
	if left == 0 {
		return 0, nil, io.EOF
	}
	if left < frameHead {
		return 0, nil, errNoFrame
	}
	var head [frameHead]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return 0, nil, err
	}
	kind, length := splitWord(binary.BigEndian.Uint32(head[:]))
	if kind != kindRecord && kind != kindMark || int64(length) > left-frameHead {
		return 0, nil, errNoFrame
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(s.in, payload); err != nil {
		return 0, nil, err
	}
	if frameSum(s.seed, head[:4], payload) != binary.BigEndian.Uint32(head[4:]) {
		return 0, nil, errNoFrame
	}
	s.offset += frameHead + int64(length)
	return kind, payload, nil
}

// claimedBeyond looks for a mark behind the offset which says that bytes from
// the offset on had been on disk. It finds marks by the identity in them, since
// where frames begin is not known there.
func claimedBeyond(f io.ReaderAt, id identity, offset, size int64) (bool, error) {
	seed, buf := id.checksum(), make([]byte, min(size-offset, scanBuffer))
	for from := offset; size-from >= markSize; {
		chunk := buf[:min(int64(len(buf)), size-from)]
		if _, err := io.ReadFull(io.NewSectionReader(f, from, int64(len(chunk))), chunk); err != nil {
			return false, err
		}
		for at := frameHead; ; at++ {
			i := bytes.Index(chunk[at:], id[:])
			if i < 0 || at+i+markLength > len(chunk) {
				break
			}
			at += i
			if synced, ok := markAt(chunk[at-frameHead:], id, seed, from+int64(at-frameHead)); ok && synced > offset {
				return true, nil
			}
		}
		from += int64(len(chunk)) - (markSize - 1) // a mark may lie across
	}
	return false, nil
}

// markAt reads the mark that a chunk of the file begins with, if it does.
func markAt(chunk []byte, id identity, seed uint32, offset int64) (synced int64, ok bool) {
	kind, length := splitWord(binary.BigEndian.Uint32(chunk))
	payload := chunk[frameHead:markSize]
	if kind != kindMark || length != markLength || frameSum(seed, chunk[:4], payload) != binary.BigEndian.Uint32(chunk[4:]) {
		return 0, false
	}
	return parseMark(payload, id, offset)
}
