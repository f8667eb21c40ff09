package remoting

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// DefaultMaxFrame is the largest frame that is read unless Limits say otherwise,
// the same as the Java server's.
const DefaultMaxFrame = 16 << 20

// What can be wrong with a frame. After any of them the connection is of no use:
// nobody knows where the next frame begins.
var (
	// ErrTooLarge means that a frame is longer than its limit.
	ErrTooLarge = errors.New("frame too large")
	// ErrMalformed means that a frame contradicts itself.
	ErrMalformed = errors.New("malformed frame")
)

// Limits bound what ReadCommand accepts.
type Limits struct {
	// MaxFrame is the longest frame, counted without its own length field; 0
	// means DefaultMaxFrame.
	MaxFrame int
}

// Header encodings, the first byte of the header's length field.
const (
	codecJSON     = 0
	codecRocketMQ = 1
)

const (
	lengthSize   = 4         // each of the two length fields
	maxHeader    = 1<<24 - 1 // what fits into int24
	bytesAtOnce  = 64 << 10  // memory taken for bytes that are only announced
	initialFrame = 512       // room for a frame without body
)

// WriteCommand writes the command as one frame with one call of w.Write.
func WriteCommand(w io.Writer, c Command) error {
	frame, err := AppendCommand(make([]byte, 0, initialFrame+len(c.Body)), c)
	if err != nil {
		return err
	}
	_, err = w.Write(frame)
	return err
}

// AppendCommand appends the command's frame to dst.
func AppendCommand(dst []byte, c Command) ([]byte, error) {
	start := len(dst)
	dst = append(dst, make([]byte, 2*lengthSize)...)
	dst = appendHeader(dst, c)
	header := len(dst) - start - 2*lengthSize
	frame := lengthSize + header + len(c.Body)
	if header > maxHeader || frame > math.MaxInt32 {
		return nil, fmt.Errorf("%w: header of %d bytes, body of %d", ErrTooLarge, header, len(c.Body))
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(frame))
	binary.BigEndian.PutUint32(dst[start+lengthSize:], uint32(codecJSON<<24|header))
	return append(dst, c.Body...), nil
}

// ReadCommand reads one frame. The error is io.EOF if the stream ends between
// two frames, io.ErrUnexpectedEOF if it ends inside one, and wraps ErrTooLarge
// or ErrMalformed if the frame is not acceptable. The command's strings share
// memory: clone one that is to outlive the others.
func ReadCommand(r *bufio.Reader, limits Limits) (Command, error) {
	frame, err := readFrame(r, limits)
	if err != nil {
		return Command{}, err
	}
	word := binary.BigEndian.Uint32(frame)
	codec, length := word>>24, int(word&maxHeader)
	rest := frame[lengthSize:]
	if length > len(rest) {
		return Command{}, fmt.Errorf("%w: header of %d bytes in a frame of %d", ErrMalformed, length, len(frame))
	}
	header, body := rest[:length], rest[length:]

	var c Command
	switch codec {
	case codecJSON:
		c, err = parseJSONHeader(header)
	case codecRocketMQ:
		c, err = parseBinaryHeader(header)
	default:
		err = fmt.Errorf("%w: header encoding %d", ErrMalformed, codec)
	}
	if err != nil {
		return Command{}, err
	}
	if len(body) > 0 {
		c.Body = body
	}
	return c, nil
}

// readFrame reads a frame behind its length field.
func readFrame(r *bufio.Reader, limits Limits) ([]byte, error) {
	var word [lengthSize]byte
	if _, err := io.ReadFull(r, word[:]); err != nil {
		return nil, err
	}
	limit := limits.MaxFrame
	if limit <= 0 {
		limit = DefaultMaxFrame
	}
	length := int64(int32(binary.BigEndian.Uint32(word[:])))
	switch {
	case length < lengthSize:
		return nil, fmt.Errorf("%w: frame of %d bytes", ErrMalformed, length)
	case length > int64(limit):
		return nil, fmt.Errorf("%w: %d bytes, at most %d are accepted", ErrTooLarge, length, limit)
	}
	return readBytes(r, int(length))
}

// readBytes reads n bytes. It takes memory as they arrive, so that a peer that
// announces much and sends nothing costs little.
func readBytes(r io.Reader, n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, bytesAtOnce))
	for len(buf) < n {
		have := len(buf)
		buf = slices.Grow(buf, min(n-have, max(have, bytesAtOnce)))
		buf = buf[:min(n, cap(buf))]
		if _, err := io.ReadFull(r, buf[have:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}
