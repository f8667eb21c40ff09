package filter

import (
	"errors"
	"fmt"
)

// Kinds of expressions, as the protocol calls them.
const (
	KindTag = "TAG"
	KindSQL = "SQL92"
)

// Bounds of an expression.
const (
	// MaxLength is the longest expression in bytes.
	MaxLength = 64 << 10
	// MaxDepth is how deep parentheses, NOT and signs may nest in SQL92, and how
	// many comparisons in all may follow another one, as the second of a = b = c
	// does. AND and OR do not count.
	MaxDepth = 256
)

// ErrUnknownKind means that an expression is neither of tags nor of SQL92.
var ErrUnknownKind = errors.New("unknown kind of expression")

// Expression decides which messages a subscription lets through. It is safe for
// concurrent use.
type Expression interface {
	// Match reports whether a message with these properties is delivered.
	Match(p Properties) bool
}

// Properties are those of one message.
type Properties interface {
	// Property returns the value of a property. A broker has no properties with
	// empty values: what cannot be told from a missing one is a missing one.
	Property(name string) (value string, ok bool)
}

// SyntaxError says what is wrong with an expression.
type SyntaxError struct {
	Pos    int    // offset in bytes
	Text   string // the word or sign that stands there, empty at the end
	Reason string
}

// Error says what, and where.
func (e *SyntaxError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("filter expression, offset %d: %s", e.Pos, e.Reason)
	}
	return fmt.Sprintf("filter expression, offset %d, at %q: %s", e.Pos, e.Text, e.Reason)
}

// Parse reads an expression of the kind, KindTag if that is empty. The error is a
// *SyntaxError if the text is not acceptable, and wraps ErrUnknownKind.
func Parse(kind, text string) (Expression, error) {
	if len(text) > MaxLength {
		return nil, &SyntaxError{Pos: MaxLength, Reason: fmt.Sprintf("longer than %d bytes", MaxLength)}
	}
	switch kind {
	case "", KindTag:
		return parseTags(text)
	case KindSQL:
		return parseSQL(text)
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownKind, kind)
}
