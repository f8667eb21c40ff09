package remoting

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// Lengths of an offset message id: address, port and offset as hexadecimal
// digits.
const (
	offsetIDV4 = 2 * (4 + 4 + 8)
	offsetIDV6 = 2 * (16 + 4 + 8)
)

// OffsetMessageID is the message id that a broker gives: its own address and the
// message's place in its log, 32 digits for IPv4 and 56 for IPv6.
func OffsetMessageID(storeHost netip.AddrPort, physicalOffset int64) string {
	id := appendHost(make([]byte, 0, offsetIDV6/2), storeHost)
	id = binary.BigEndian.AppendUint64(id, uint64(physicalOffset))
	return strings.ToUpper(hex.EncodeToString(id))
}

// ParseOffsetMessageID is the reverse of OffsetMessageID. The error wraps
// ErrMalformed.
func ParseOffsetMessageID(id string) (storeHost netip.AddrPort, physicalOffset int64, err error) {
	if len(id) != offsetIDV4 && len(id) != offsetIDV6 {
		return netip.AddrPort{}, 0, fmt.Errorf("%w: message id of %d bytes", ErrMalformed, len(id))
	}
	data, err := hex.DecodeString(id)
	if err != nil {
		return netip.AddrPort{}, 0, fmt.Errorf("%w: message id: %w", ErrMalformed, err)
	}
	ip, rest := data[:len(data)-12], data[len(data)-12:]
	addr, _ := netip.AddrFromSlice(ip) // 4 or 16 bytes
	port := binary.BigEndian.Uint32(rest)
	if port > math.MaxUint16 {
		return netip.AddrPort{}, 0, fmt.Errorf("%w: message id: port %d", ErrMalformed, port)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), int64(binary.BigEndian.Uint64(rest[4:])), nil
}
