package remoting

import (
	"encoding/binary"
	"fmt"
	"math"
)

// BatchEntry is one message in the body of RequestSendBatch. The topic and the
// queue of all of them are in the request's fields.
type BatchEntry struct {
	Flag       int32  // the producer's own; nothing depends on it
	Body       []byte // nil if there is none
	Properties string // encoded, see ParseProperties
}

// batchEntrySize is the length of an entry that has neither body nor properties.
const batchEntrySize = 22

// AppendBatchEntry appends an entry to the body of a RequestSendBatch. The error
// wraps ErrTooLarge and names the field.
func AppendBatchEntry(dst []byte, e BatchEntry) ([]byte, error) {
	size := batchEntrySize + len(e.Body) + len(e.Properties)
	switch {
	case len(e.Properties) > maxProperties:
		return nil, fmt.Errorf("%w: properties of %d bytes", ErrTooLarge, len(e.Properties))
	case size > math.MaxInt32:
		return nil, fmt.Errorf("%w: body of %d bytes", ErrTooLarge, len(e.Body))
	}
	be := binary.BigEndian
	dst = be.AppendUint32(dst, uint32(size))
	dst = be.AppendUint64(dst, 0) // magic and checksum, which nobody reads
	dst = be.AppendUint32(dst, uint32(e.Flag))
	dst = be.AppendUint32(dst, uint32(len(e.Body)))
	dst = append(dst, e.Body...)
	dst = be.AppendUint16(dst, uint16(len(e.Properties)))
	return append(dst, e.Properties...), nil
}

// ReadBatch takes the body of a RequestSendBatch apart. The entries' bodies are
// parts of it, not copies. The error wraps ErrMalformed and names the entry,
// counted from 0, and the field.
func ReadBatch(body []byte) ([]BatchEntry, error) {
	var entries []BatchEntry
	for len(body) > 0 {
		e, rest, err := readBatchEntry(body)
		if err != nil {
			return nil, fmt.Errorf("%w of batch entry %d", err, len(entries))
		}
		entries = append(entries, e)
		body = rest
	}
	return entries, nil
}

func readBatchEntry(data []byte) (e BatchEntry, rest []byte, err error) {
	if len(data) < batchEntrySize {
		return e, nil, fmt.Errorf("%w: length", ErrMalformed)
	}
	size := int(int32(binary.BigEndian.Uint32(data)))
	if size < batchEntrySize || size > len(data) {
		return e, nil, fmt.Errorf("%w: length", ErrMalformed)
	}
	r := reader{rest: data[lengthSize:size]}
	r.take(8) // magic and checksum
	e.Flag = int32(r.uint(4))
	if body := r.bytes(4); r.short {
		return e, nil, fmt.Errorf("%w: body", ErrMalformed)
	} else if len(body) > 0 {
		e.Body = body[:len(body):len(body)]
	}
	if e.Properties = string(r.bytes(2)); r.short || len(r.rest) > 0 {
		return e, nil, fmt.Errorf("%w: properties", ErrMalformed)
	}
	return e, data[size:], nil
}
