package remoting

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// appendHeader appends the JSON form of the command's header. All fields of
// extFields are strings, because the stock Go client drops a frame with a number
// there, and they are sorted, so that equal commands are equal bytes.
func appendHeader(dst []byte, c Command) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(c.Code), 10)
	dst = append(dst, `,"language":"`...)
	dst = append(dst, c.Language.String()...)
	dst = append(dst, `","version":`...)
	dst = strconv.AppendInt(dst, int64(c.Version), 10)
	dst = append(dst, `,"opaque":`...)
	dst = strconv.AppendInt(dst, int64(c.Opaque), 10)
	dst = append(dst, `,"flag":`...)
	dst = strconv.AppendInt(dst, int64(c.Flag), 10)
	if c.Remark != "" {
		dst = append(dst, `,"remark":`...)
		dst = appendString(dst, c.Remark)
	}
	if len(c.Ext) > 0 {
		dst = append(dst, `,"extFields":{`...)
		for i, key := range slices.Sorted(maps.Keys(c.Ext)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, key)
			dst = append(dst, ':')
			dst = appendString(dst, c.Ext[key])
		}
		dst = append(dst, '}')
	}
	return append(dst, `,"serializeTypeCurrentRPC":"JSON"}`...)
}

// appendString appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b > '~' || b == '"' || b == '\\' {
			quoted, _ := json.Marshal(s) // a string cannot fail
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// jsonHeader is the JSON form of a header. Java leaves out what is null.
type jsonHeader struct {
	Code     int                        `json:"code"`
	Language string                     `json:"language"`
	Version  int                        `json:"version"`
	Opaque   int32                      `json:"opaque"`
	Flag     int                        `json:"flag"`
	Remark   string                     `json:"remark"`
	Ext      map[string]json.RawMessage `json:"extFields"`
}

func parseJSONHeader(data []byte) (Command, error) {
	var h jsonHeader
	if err := json.Unmarshal(data, &h); err != nil {
		return Command{}, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	c := Command{
		Code: h.Code, Language: parseLanguage(h.Language), Version: h.Version,
		Opaque: h.Opaque, Flag: h.Flag, Remark: h.Remark,
	}
	for key, raw := range h.Ext {
		value, ok := parseScalar(raw)
		if !ok {
			continue
		}
		if c.Ext == nil {
			c.Ext = make(map[string]string, len(h.Ext))
		}
		c.Ext[key] = value
	}
	return c, nil
}

// parseScalar makes a string of an extension field. Peers send strings, and some
// of them numbers or booleans; null is a field that is not there.
func parseScalar(raw json.RawMessage) (value string, ok bool) {
	switch {
	case bytes.Equal(raw, []byte("null")):
		return "", false
	case len(raw) > 0 && raw[0] == '"':
		err := json.Unmarshal(raw, &value)
		return value, err == nil
	default:
		return string(raw), true
	}
}

// parseBinaryHeader reads RocketMQ's binary form: int16 code, byte language,
// int16 version, int32 opaque, int32 flag, then the remark and the fields, each
// behind its length.
func parseBinaryHeader(data []byte) (Command, error) {
	r := reader{rest: data}
	c := Command{
		Code:     int(int16(r.uint(2))),
		Language: Language(r.uint(1)),
		Version:  int(int16(r.uint(2))),
		Opaque:   int32(r.uint(4)),
		Flag:     int(int32(r.uint(4))),
		Remark:   string(r.bytes(4)),
	}
	fields := reader{rest: r.bytes(4)}
	for len(fields.rest) > 0 && !fields.short {
		key := string(fields.bytes(2))
		value := string(fields.bytes(4))
		if c.Ext == nil {
			c.Ext = make(map[string]string)
		}
		c.Ext[key] = value
	}
	if r.short || fields.short || len(r.rest) > 0 {
		return Command{}, fmt.Errorf("%w: binary header of %d bytes", ErrMalformed, len(data))
	}
	return c, nil
}

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
