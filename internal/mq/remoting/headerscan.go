package remoting

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanHeader reads a JSON header as peers ordinarily write it: without spaces,
// with no field twice and none that is not known, and with strings, whole
// numbers, booleans and null as extension fields. Anything else, an error too,
// is not ok and left to encoding/json, which takes much longer. What it
// does read, it reads as encoding/json would. The command's strings are parts
// of the text where they can be.
func scanHeader(text string) (c Command, ok bool) {
	c.Language = Other // unless it is said
	s := scanner{text: text}
	seen := 0
	s.expect('{')
	for {
		key := s.string()
		s.expect(':')
		field := s.field(&c, key)
		if s.failed || seen&field != 0 {
			return Command{}, false
		}
		seen |= field
		if !s.more() {
			break
		}
	}
	return c, !s.failed && s.at == len(text)
}

// Bits for the fields of a header.
const (
	seenCode = 1 << iota
	seenLanguage
	seenVersion
	seenOpaque
	seenFlag
	seenRemark
	seenExt
	seenEncoding
)

// scanner walks through a header. Once something is not as scanHeader wants it,
// failed is set, and what it returns means nothing.
type scanner struct {
	text   string
	at     int
	failed bool
}

// field reads the value of a field into the command.
func (s *scanner) field(c *Command, key string) (seen int) {
	switch key {
	case "code":
		c.Code = int(s.integer(strconv.IntSize))
		return seenCode
	case "language":
		c.Language = parseLanguage(s.string())
		return seenLanguage
	case "version":
		c.Version = int(s.integer(strconv.IntSize))
		return seenVersion
	case "opaque":
		c.Opaque = int32(s.integer(32))
		return seenOpaque
	case "flag":
		c.Flag = int(s.integer(strconv.IntSize))
		return seenFlag
	case "remark":
		if !s.literal("null") {
			c.Remark = s.string()
		}
		return seenRemark
	case "extFields":
		if !s.literal("null") {
			c.Ext = s.ext()
		}
		return seenExt
	case "serializeTypeCurrentRPC":
		s.string()
		return seenEncoding
	default:
		s.failed = true
		return 0
	}
}

// ext reads the extension fields.
func (s *scanner) ext() map[string]string {
	s.expect('{')
	if s.peek() == '}' {
		s.at++
		return nil
	}
	const most = 32 // a text of colons must not take much memory
	ext := make(map[string]string, min(most, strings.Count(s.text[s.at:], ":")))
	for {
		key := s.string()
		s.expect(':')
		switch {
		case s.peek() == '"':
			ext[key] = s.string()
		case s.literal("null"):
			delete(ext, key)
		case s.literal("true"):
			ext[key] = "true"
		case s.literal("false"):
			ext[key] = "false"
		default:
			ext[key] = s.number()
		}
		if !s.more() {
			break
		}
	}
	if len(ext) == 0 {
		return nil
	}
	return ext
}

// peek returns the next byte, and 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) expect(b byte) {
	if s.peek() != b {
		s.failed = true
		return
	}
	s.at++
}

// more takes the comma or bracket behind a value and tells which one it was.
func (s *scanner) more() bool {
	if !s.failed && s.peek() == ',' {
		s.at++
		return true
	}
	s.expect('}')
	return false
}

// literal takes the word if it is next.
func (s *scanner) literal(word string) bool {
	if !strings.HasPrefix(s.text[s.at:], word) {
		return false
	}
	s.at += len(word)
	return true
}

// number takes a whole number.
func (s *scanner) number() string {
	begin := s.at
	if s.peek() == '-' {
		s.at++
	}
	digits := s.at
	for b := s.peek(); b >= '0' && b <= '9'; b = s.peek() {
		s.at++
	}
	if n := s.at - digits; n == 0 || n > 1 && s.text[digits] == '0' {
		s.failed = true
	}
	return s.text[begin:s.at]
}

// integer takes a whole number of at most so many bits.
func (s *scanner) integer(bits int) int64 {
	n, err := strconv.ParseInt(s.number(), 10, bits)
	if err != nil {
		s.failed = true
	}
	return n
}

// string takes a string.
func (s *scanner) string() string {
	s.expect('"')
	begin := s.at
	escaped, ascii := false, true
	for ; s.at < len(s.text); s.at++ {
		switch b := s.text[s.at]; {
		case b == '"':
			value := s.text[begin:s.at]
			s.at++
			if !ascii && !utf8.ValidString(value) {
				s.failed = true
			}
			if escaped {
				return s.unescape(value)
			}
			return value
		case b == '\\':
			escaped = true
			s.at++ // a quote may follow
		case b < ' ':
			s.failed = true
			return ""
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	s.failed = true
	return ""
}

// unescape resolves the escapes of a string.
func (s *scanner) unescape(value string) string {
	const usual = 512 // properties, above all: they are separated by \u0001 and \u0002
	plain := make([]byte, 0, usual)
	for {
		i := strings.IndexByte(value, '\\')
		if i < 0 {
			return string(append(plain, value...))
		}
		plain = append(plain, value[:i]...)
		r, size := escape(value[i+1:])
		if size == 0 {
			s.failed = true
			return ""
		}
		plain = utf8.AppendRune(plain, r)
		value = value[i+1+size:]
	}
}

// escape resolves an escape behind its backslash. The size is 0 if it is none,
// or the half of a character.
func escape(s string) (r rune, size int) {
	if s == "" {
		return 0, 0
	}
	switch s[0] {
	case '"', '\\', '/':
		return rune(s[0]), 1
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'u':
		if len(s) < 5 {
			return 0, 0
		}
		code, err := strconv.ParseUint(s[1:5], 16, 32)
		if err != nil || code >= 0xD800 && code < 0xE000 {
			return 0, 0
		}
		return rune(code), 5
	default:
		return 0, 0
	}
}
