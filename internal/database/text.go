package database

import (
	"strings"
	"unicode/utf8"
)

// Cut makes a text of foreign origin fit for a column: valid UTF-8 of at most limit
// bytes. (A VARCHAR counts characters, of which there are never more.)
func Cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
