package filter

import "strings"

// token is a word or a sign of an expression.
type token struct {
	kind tokenKind
	pos  int
	text string // as it was written
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenText  // in quotes
	tokenWhole // number without a point
	tokenFloat
	tokenEqual
	tokenNotEqual
	tokenGreater
	tokenGreaterEqual
	tokenLess
	tokenLessEqual
	tokenOpen
	tokenComma
	tokenClose
	tokenPlus
	tokenMinus
	tokenNot
	tokenAnd
	tokenOr
	tokenBetween
	tokenIn
	tokenTrue
	tokenFalse
	tokenNull
	tokenIs
	tokenContains
	tokenStartsWith
	tokenEndsWith
)

// wordKind returns the kind of a word: a keyword's, or tokenName.
func wordKind(word string) tokenKind {
	switch strings.ToUpper(word) {
	case "NOT":
		return tokenNot
	case "AND":
		return tokenAnd
	case "OR":
		return tokenOr
	case "BETWEEN":
		return tokenBetween
	case "IN":
		return tokenIn
	case "TRUE":
		return tokenTrue
	case "FALSE":
		return tokenFalse
	case "NULL":
		return tokenNull
	case "IS":
		return tokenIs
	case "CONTAINS":
		return tokenContains
	case "STARTSWITH":
		return tokenStartsWith
	case "ENDSWITH":
		return tokenEndsWith
	}
	return tokenName
}

// signKind returns the kind of the sign that s begins with and its length, which
// is 0 if there is none.
func signKind(s string) (tokenKind, int) {
	switch {
	case strings.HasPrefix(s, "<>"):
		return tokenNotEqual, 2
	case strings.HasPrefix(s, "<="):
		return tokenLessEqual, 2
	case strings.HasPrefix(s, ">="):
		return tokenGreaterEqual, 2
	}
	switch s[0] {
	case '=':
		return tokenEqual, 1
	case '<':
		return tokenLess, 1
	case '>':
		return tokenGreater, 1
	case '(':
		return tokenOpen, 1
	case ',':
		return tokenComma, 1
	case ')':
		return tokenClose, 1
	case '+':
		return tokenPlus, 1
	case '-':
		return tokenMinus, 1
	}
	return tokenEnd, 0
}
