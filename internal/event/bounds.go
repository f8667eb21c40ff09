package event

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds that both services share; a message from outside them is parked.
const (
	MaxLines     = 100       // lines of an order
	MaxQuantity  = 1_000_000 // units of a line
	MaxSKULength = 64        // characters of a SKU
)

// IsSKU tells whether s can name a stock keeping unit: 1 to 64 characters out of
// letters, digits, "-", "_", "." and ":".
func IsSKU(s string) bool {
	if s == "" || len(s) > MaxSKULength {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}

// IsVisibleASCII tells whether s has 1 to limit characters, all of them visible
// ASCII: the form of the ids that clients choose.
func IsVisibleASCII(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for _, c := range []byte(s) {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

// IsLine tells whether s is a line of text for people: 1 to limit characters of valid
// UTF-8, none of them a control character.
func IsLine(s string, limit int) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit && !strings.ContainsFunc(s, unicode.IsControl)
}
