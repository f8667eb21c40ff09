package filter

import (
	"strings"
	"unicode/utf8"
)

// lexer cuts an expression into tokens.
type lexer struct {
	text string
	pos  int // where the next token is looked for
}

// next returns the token at the lexer's place and moves behind it.
func (l *lexer) next() (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	rest := l.text[l.pos:]
	if rest == "" {
		return token{kind: tokenEnd, pos: l.pos}, nil
	}
	var kind tokenKind
	var size int
	switch first := rest[0]; {
	case isNameStart(first):
		for size < len(rest) && (isNameStart(rest[size]) || isDigit(rest[size])) {
			size++
		}
		kind = wordKind(rest[:size])
	case isDigit(first), first == '.' && digits(rest[1:]) > 0:
		kind, size = number(rest)
	case first == '\'':
		kind, size = tokenText, quoted(rest)
		if size == 0 {
			return token{}, l.refuse("text without a closing quote")
		}
	default:
		kind, size = signKind(rest)
		if size == 0 {
			return token{}, l.refuse("no such sign")
		}
	}
	t := token{kind: kind, pos: l.pos, text: rest[:size]}
	l.pos += size
	return t, nil
}

// refuse is the error for the character at the lexer's place.
func (l *lexer) refuse(reason string) error {
	_, size := utf8.DecodeRuneInString(l.text[l.pos:])
	return &SyntaxError{Pos: l.pos, Text: l.text[l.pos : l.pos+size], Reason: reason}
}

// skip moves over blanks and comments.
func (l *lexer) skip() error {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case strings.IndexByte(" \t\n\r\f", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexAny(rest, "\n\r")
			if end < 0 {
				return nil // two signs: a comment ends with its line
			}
			l.pos += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return l.refuse("comment without an end")
			}
			l.pos += end + 4
		default:
			return nil
		}
	}
	return nil
}

// quoted returns the length of the text in quotes that s begins with, or 0 if it
// is not closed. Two quotes in it are one and do not close it, unless nothing
// else does.
func quoted(s string) int {
	size := 0
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		size = i + 1
		if size == len(s) || s[size] != '\'' {
			return size
		}
		i++
	}
	return size
}

// number returns the kind and the length of the number that s begins with. No
// whole number but 0 begins with a 0: 007 are three.
func number(s string) (tokenKind, int) {
	size := digits(s)
	if size < len(s) && s[size] == '.' {
		size++
		size += digits(s[size:])
		return tokenFloat, size + exponent(s[size:])
	}
	if e := exponent(s[size:]); e > 0 {
		return tokenFloat, size + e
	}
	switch {
	case s[0] == '0':
		return tokenWhole, 1
	case size < len(s) && (s[size] == 'l' || s[size] == 'L'):
		return tokenWhole, size + 1
	}
	return tokenWhole, size
}

// exponent returns the length of the exponent that s begins with, or 0.
func exponent(s string) int {
	if s == "" || s[0] != 'e' && s[0] != 'E' {
		return 0
	}
	size := 1
	if len(s) > 1 && (s[1] == '+' || s[1] == '-') {
		size++
	}
	if n := digits(s[size:]); n > 0 {
		return size + n
	}
	return 0
}

// digits returns how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '$'
}
