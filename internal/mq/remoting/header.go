package remoting

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// usualFields is how many extension fields a command has at most, as a rule.
const usualFields = 20

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
		dst = appendExt(append(dst, `,"extFields":`...), c.Ext)
	}
	return append(dst, `,"serializeTypeCurrentRPC":"JSON"}`...)
}

func appendExt(dst []byte, ext map[string]string) []byte {
	keys := make([]string, 0, usualFields) // does not leave the stack
	for key := range ext {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, '{')
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, key)
		dst = append(dst, ':')
		dst = appendString(dst, ext[key])
	}
	return append(dst, '}')
}

// appendString appends a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		b, size := s[i], 1
		switch {
		case b >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			if size = n; r != utf8.RuneError || n > 1 {
				break
			}
			dst = append(dst, s[done:i]...)
			dst = append(dst, "\uFFFD"...)
			done = i + 1
		case b == '"' || b == '\\':
			dst = append(dst, s[done:i]...)
			dst = append(dst, '\\', b)
			done = i + 1
		case b < ' ':
			dst = append(dst, s[done:i]...)
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&0xF])
			done = i + 1
		}
		i += size
	}
	dst = append(dst, s[done:]...)
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
	if c, ok := scanHeader(string(data)); ok {
		return c, nil
	}
	return decodeHeader(data)
}

// decodeHeader reads what scanHeader does not.
func decodeHeader(data []byte) (Command, error) {
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
