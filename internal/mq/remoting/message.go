package remoting

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"net/netip"
)

// StoredMessage is a message as brokers keep it and send it in answers to pulls,
// check-backs and queries.
type StoredMessage struct {
	Topic          string
	QueueID        int            // fits into int32
	Flag           int32          // the producer's own; nothing depends on it
	SysFlag        int32          // bits, see SysCompressed and the others
	QueueOffset    int64          // place in the queue
	PhysicalOffset int64          // place in the broker's log
	BornAt         int64          // ms since 1970, by the producer's clock
	StoredAt       int64          // ms since 1970, by the broker's clock
	BornHost       netip.AddrPort // the producer; the zero value is written as 0.0.0.0:0
	StoreHost      netip.AddrPort // the broker; likewise
	Attempts       int32          // how often it was redelivered
	PreparedOffset int64          // where its half message is, if it had one
	Body           []byte         // nil if there is none
	Properties     string         // encoded, see ParseProperties and Property
}

// Bits of StoredMessage.SysFlag.
const (
	SysCompressed      = 1 << 0 // the body is packed as SysCompressionMask says
	SysMultiTags       = 1 << 1
	SysPrepared        = 1 << 2 // a half message
	SysCommit          = 2 << 2 // a half message that was committed
	SysRollback        = 3 << 2 // a half message that was rolled back
	SysTransactionMask = 3 << 2
	SysBornHostV6      = 1 << 4 // set by AppendMessage
	SysStoreHostV6     = 1 << 5 // set by AppendMessage
	SysNeedUnwrap      = 1 << 6 // the body is a batch that consumers take apart
	SysInnerBatch      = 1 << 7
	SysCompressionLZ4  = 1 << 8
	SysCompressionZstd = 2 << 8
	SysCompressionZlib = 3 << 8 // what is meant without any of the three, too
	SysCompressionMask = 7 << 8
)

// Magic numbers of stored messages. The second version has two bytes for the
// length of the topic. The stock Go client reads only the first.
const (
	messageMagic   = 0xDAA320A7
	messageMagicV2 = 0xDAA320AB
)

// Where the fields of a stored message are that do not move.
const (
	magicAt       = 4
	queueOffsetAt = 20
	sysFlagAt     = 36
	bornHostAt    = 48
	fixedSize     = 76 // all fields of a fixed size but the two addresses
	addressesV4   = 4 + 4
	addressV6More = 16 - 4
)

const (
	maxTopicV1    = math.MaxInt8 // Java reads the length as a signed byte
	maxTopicV2    = math.MaxInt16
	maxProperties = math.MaxInt16
)

// MessageSize returns the number of bytes that AppendMessage appends.
func MessageSize(m StoredMessage) int {
	size := fixedSize + addressesV4 + 4 + len(m.Body) + 1 + len(m.Topic) + 2 + len(m.Properties)
	if len(m.Topic) > maxTopicV1 {
		size++
	}
	if isV6(m.BornHost) {
		size += addressV6More
	}
	if isV6(m.StoreHost) {
		size += addressV6More
	}
	return size
}

// AppendMessage appends the message's stored form to dst. It sets the two bits
// of the system flag that say what kind of addresses the hosts have; zones are
// lost. A topic of more than 127 bytes makes a message of the second version,
// as brokers make it. The error wraps ErrTooLarge and names the field.
func AppendMessage(dst []byte, m StoredMessage) ([]byte, error) {
	size := MessageSize(m)
	switch {
	case len(m.Topic) > maxTopicV2:
		return nil, fmt.Errorf("%w: topic of %d bytes", ErrTooLarge, len(m.Topic))
	case len(m.Properties) > maxProperties:
		return nil, fmt.Errorf("%w: properties of %d bytes", ErrTooLarge, len(m.Properties))
	case m.QueueID != int(int32(m.QueueID)):
		return nil, fmt.Errorf("%w: queue id %d", ErrTooLarge, m.QueueID)
	case size > math.MaxInt32:
		return nil, fmt.Errorf("%w: body of %d bytes", ErrTooLarge, len(m.Body))
	}
	magic := uint32(messageMagic)
	if len(m.Topic) > maxTopicV1 {
		magic = messageMagicV2
	}
	be := binary.BigEndian
	dst = be.AppendUint32(dst, uint32(size))
	dst = be.AppendUint32(dst, magic)
	dst = be.AppendUint32(dst, crc32.ChecksumIEEE(m.Body)&math.MaxInt32) // as Java computes it
	dst = be.AppendUint32(dst, uint32(m.QueueID))
	dst = be.AppendUint32(dst, uint32(m.Flag))
	dst = be.AppendUint64(dst, uint64(m.QueueOffset))
	dst = be.AppendUint64(dst, uint64(m.PhysicalOffset))
	dst = be.AppendUint32(dst, uint32(hostFlags(m)))
	dst = be.AppendUint64(dst, uint64(m.BornAt))
	dst = appendHost(dst, m.BornHost)
	dst = be.AppendUint64(dst, uint64(m.StoredAt))
	dst = appendHost(dst, m.StoreHost)
	dst = be.AppendUint32(dst, uint32(m.Attempts))
	dst = be.AppendUint64(dst, uint64(m.PreparedOffset))
	dst = be.AppendUint32(dst, uint32(len(m.Body)))
	dst = append(dst, m.Body...)
	if magic == messageMagicV2 {
		dst = be.AppendUint16(dst, uint16(len(m.Topic)))
	} else {
		dst = append(dst, byte(len(m.Topic)))
	}
	dst = append(dst, m.Topic...)
	dst = be.AppendUint16(dst, uint16(len(m.Properties)))
	return append(dst, m.Properties...), nil
}

// hostFlags is the message's system flag with the bits that its hosts need.
func hostFlags(m StoredMessage) int32 {
	flag := m.SysFlag &^ (SysBornHostV6 | SysStoreHostV6)
	if isV6(m.BornHost) {
		flag |= SysBornHostV6
	}
	if isV6(m.StoreHost) {
		flag |= SysStoreHostV6
	}
	return flag
}

func isV6(host netip.AddrPort) bool { return host.Addr().Unmap().Is6() }

// appendHost appends an address of 4 or 16 bytes and the port in 4 bytes.
func appendHost(dst []byte, host netip.AddrPort) []byte {
	switch addr := host.Addr().Unmap(); {
	case addr.Is4():
		ip := addr.As4()
		dst = append(dst, ip[:]...)
	case addr.Is6():
		ip := addr.As16()
		dst = append(dst, ip[:]...)
	default:
		dst = append(dst, 0, 0, 0, 0)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(host.Port()))
}

// SetOffsets overwrites the two offsets of the stored message that the frame
// begins with. The frame must come from AppendMessage.
func SetOffsets(frame []byte, queueOffset, physicalOffset int64) {
	binary.BigEndian.PutUint64(frame[queueOffsetAt:], uint64(queueOffset))
	binary.BigEndian.PutUint64(frame[queueOffsetAt+8:], uint64(physicalOffset))
}

// FrameLength returns the length of the stored message that the frame begins
// with. The error wraps ErrMalformed if the length cannot be right or there are
// fewer bytes than that.
func FrameLength(frame []byte) (int, error) {
	if len(frame) < lengthSize {
		return 0, fmt.Errorf("%w: message of %d bytes", ErrMalformed, len(frame))
	}
	length := int(int32(binary.BigEndian.Uint32(frame)))
	if length < fixedSize+addressesV4 || length > len(frame) {
		return 0, fmt.Errorf("%w: message of %d bytes in %d", ErrMalformed, length, len(frame))
	}
	return length, nil
}

// ReadMessage reads the stored message that the frame begins with and returns
// what is behind it, the next message or nothing. The body is a part of the
// frame, not a copy. The checksum is not compared. The error wraps ErrMalformed
// and names the field.
func ReadMessage(frame []byte) (m StoredMessage, rest []byte, err error) {
	length, err := FrameLength(frame)
	if err != nil {
		return StoredMessage{}, nil, err
	}
	r := reader{rest: frame[magicAt:length]}
	topicSize := 1
	switch magic := r.uint(4); magic {
	case messageMagic:
	case messageMagicV2:
		topicSize = 2
	default:
		return StoredMessage{}, nil, fmt.Errorf("%w: message with magic %08X", ErrMalformed, magic)
	}
	if m, err = readMessage(&r, topicSize); err != nil {
		return StoredMessage{}, nil, err
	}
	if len(r.rest) > 0 {
		return StoredMessage{}, nil, fmt.Errorf("%w: message has %d bytes too many", ErrMalformed, len(r.rest))
	}
	return m, frame[length:], nil
}

// readMessage reads what is behind the magic number.
func readMessage(r *reader, topicSize int) (m StoredMessage, err error) {
	r.uint(4) // the checksum
	m.QueueID = int(int32(r.uint(4)))
	m.Flag = int32(r.uint(4))
	m.QueueOffset = r.int64()
	m.PhysicalOffset = r.int64()
	m.SysFlag = int32(r.uint(4))
	m.BornAt = r.int64()
	if m.BornHost, err = readHost(r, m.SysFlag&SysBornHostV6 != 0); err != nil {
		return m, fmt.Errorf("%w: born host", err)
	}
	m.StoredAt = r.int64()
	if m.StoreHost, err = readHost(r, m.SysFlag&SysStoreHostV6 != 0); err != nil {
		return m, fmt.Errorf("%w: store host", err)
	}
	m.SysFlag = hostFlags(m) // an IPv4 address may have come in 16 bytes
	m.Attempts = int32(r.uint(4))
	m.PreparedOffset = r.int64()
	if body := r.bytes(4); r.short {
		return m, fmt.Errorf("%w: body", ErrMalformed)
	} else if len(body) > 0 {
		m.Body = body[:len(body):len(body)] // an append must not write into the frame
	}
	if m.Topic = string(r.bytes(topicSize)); r.short {
		return m, fmt.Errorf("%w: topic", ErrMalformed)
	}
	if m.Properties = string(r.bytes(2)); r.short {
		return m, fmt.Errorf("%w: properties", ErrMalformed)
	}
	return m, nil
}

// readHost reads what appendHost wrote.
func readHost(r *reader, v6 bool) (netip.AddrPort, error) {
	size := 4
	if v6 {
		size = 16
	}
	addr, ok := netip.AddrFromSlice(r.take(size))
	port := r.uint(4)
	if !ok || r.short || port > math.MaxUint16 {
		return netip.AddrPort{}, ErrMalformed
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), nil
}
