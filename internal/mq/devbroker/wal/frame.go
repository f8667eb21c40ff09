package wal

import (
	"encoding/binary"
	"hash/crc32"
)

// MaxRecord is the length of the longest record: one byte less than 32 MiB.
const MaxRecord = 1<<lengthBits - 1

// The layout of a frame; see the package comment.
const (
	lengthBits = 25 // of the first word; the kind is above them
	kindRecord = 1
	kindMark   = 2
	frameHead  = 8
	markLength = 32
	markSize   = frameHead + markLength
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// identity is the random name of a segment. Its checksums begin with it, so that
// nothing from another segment is ever taken for a part of this one.
type identity [16]byte

func (id identity) checksum() uint32 { return crc32.Checksum(id[:], castagnoli) }

// appendFrame appends a frame without its checksum.
func appendFrame(dst []byte, kind uint32, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, kind<<lengthBits|uint32(len(payload)))
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, payload...)
}

// splitWord takes a frame's first word apart.
func splitWord(word uint32) (kind uint32, length int) {
	return word >> lengthBits, int(word & MaxRecord)
}

// frameSum is the checksum of a frame: of everything in it but the checksum
// itself, begun with that of its segment's identity.
func frameSum(seed uint32, word, payload []byte) uint32 {
	return crc32.Update(crc32.Update(seed, castagnoli, word), castagnoli, payload)
}

// sumFrames puts the checksums into frames that lie one behind the other.
func sumFrames(frames []byte, seed uint32) {
	for len(frames) > 0 {
		_, length := splitWord(binary.BigEndian.Uint32(frames))
		end := frameHead + length
		binary.BigEndian.PutUint32(frames[4:], frameSum(seed, frames[:4], frames[frameHead:end]))
		frames = frames[end:]
	}
}

// putMark writes a mark without its checksum. It will lie at the offset and says
// that all bytes below synced are on disk.
func putMark(dst []byte, id identity, offset, synced int64) {
	payload := append(make([]byte, 0, markLength), id[:]...)
	payload = binary.BigEndian.AppendUint64(payload, uint64(offset))
	payload = binary.BigEndian.AppendUint64(payload, uint64(synced))
	appendFrame(dst[:0], kindMark, payload)
}

// parseMark reads a mark's payload, found behind a head at the offset.
func parseMark(payload []byte, id identity, offset int64) (synced int64, ok bool) {
	if len(payload) != markLength || identity(payload) != id {
		return 0, false
	}
	at, claim := binary.BigEndian.Uint64(payload[16:]), binary.BigEndian.Uint64(payload[24:])
	return int64(claim), at == uint64(offset) && claim >= headerSize && claim <= at
}
