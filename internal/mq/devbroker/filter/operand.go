package filter

import (
	"fmt"
	"strconv"
	"strings"
)

// unary reads +a, -a, NOT a.
func (p *parser) unary() (node, error) {
	sign := p.tok
	switch sign.kind {
	case tokenPlus, tokenMinus, tokenNot:
	default:
		return p.primary()
	}
	n, at, err := p.inner(p.unary)
	if err != nil || sign.kind == tokenPlus {
		return n, err
	}
	if sign.kind == tokenMinus {
		return negation{n}, nil
	}
	n, err = condition(n, at)
	return not{n}, err
}

// primary reads a literal, a name, or something in parentheses.
func (p *parser) primary() (node, error) {
	t := p.tok
	var n node
	var err error
	switch t.kind {
	case tokenOpen:
		if n, _, err = p.inner(p.or); err != nil {
			return nil, err
		}
		return n, p.take(tokenClose, ")")
	case tokenText:
		s, err := p.quoted()
		return constant{value{kind: valueText, text: s}}, err
	case tokenName:
		n = property{t.text}
	case tokenWhole:
		n, err = whole(t)
	case tokenFloat:
		n, err = floating(t)
	case tokenTrue, tokenFalse:
		n = constant{truthOf(t.kind == tokenTrue)}
	case tokenNull:
		n = constant{}
	default:
		return nil, refuse(t, "a value expected")
	}
	if err != nil {
		return nil, err
	}
	return n, p.advance()
}

// inner moves over a sign or parenthesis and reads what is a level below it. It
// returns the token which that begins with, too.
func (p *parser) inner(rule func() (node, error)) (node, token, error) {
	if p.nested == MaxDepth {
		return nil, token{}, refuse(p.tok, fmt.Sprintf("nested deeper than %d", MaxDepth))
	}
	p.nested++
	defer func() { p.nested-- }()
	if err := p.advance(); err != nil {
		return nil, token{}, err
	}
	at := p.tok
	n, err := rule()
	return n, at, err
}

// quoted reads a text.
func (p *parser) quoted() (string, error) {
	if p.tok.kind != tokenText {
		return "", refuse(p.tok, "text in quotes expected")
	}
	s := p.tok.text
	return strings.ReplaceAll(s[1:len(s)-1], "''", "'"), p.advance()
}

// whole reads a number without a point. It has 32 bits if that is enough.
func whole(t token) (node, error) {
	n, err := strconv.ParseInt(strings.TrimRight(t.text, "lL"), 10, 64)
	if err != nil {
		return nil, refuse(t, "more than 64 bits")
	}
	if int64(int32(n)) == n {
		return constant{value{kind: valueWhole32, whole: n}}, nil
	}
	return constant{value{kind: valueWhole64, whole: n}}, nil
}

// floating reads a number with a point or an exponent.
func floating(t token) (node, error) {
	f, err := strconv.ParseFloat(t.text, 64)
	switch {
	case err != nil:
		return nil, refuse(t, "too large")
	case f == 0:
		return nil, refuse(t, "too small")
	}
	return constant{value{kind: valueFloat, float: f}}, nil
}
