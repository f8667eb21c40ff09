package remoting

import "encoding/binary"

// reader takes big-endian values off a slice. Once something is missing, short
// is set and everything is zero.
type reader struct {
	rest  []byte
	short bool
}

// take takes n bytes.
func (r *reader) take(n int) []byte {
	if r.short || n < 0 || n > len(r.rest) {
		r.short = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// uint takes a number of 1 to 4 bytes.
func (r *reader) uint(size int) uint32 {
	var word [4]byte
	copy(word[4-size:], r.take(size))
	return binary.BigEndian.Uint32(word[:])
}

// int64 takes a number of 8 bytes.
func (r *reader) int64() int64 {
	word := r.take(8)
	if word == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(word))
}

// bytes takes a length of 1, 2 or 4 bytes, all of them signed, and that many
// bytes.
func (r *reader) bytes(size int) []byte {
	length := int(int32(r.uint(size)))
	switch size {
	case 1:
		length = int(int8(length))
	case 2:
		length = int(int16(length))
	}
	return r.take(length)
}
