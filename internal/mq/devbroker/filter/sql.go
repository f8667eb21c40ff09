package filter

import "fmt"

// parser reads an SQL92 expression. Each of its methods reads one rule of the
// grammar and leaves the token behind it in tok.
type parser struct {
	lexer  lexer
	tok    token
	nested int // levels that are open
	chains int // comparisons that follow another one
}

func parseSQL(text string) (Expression, error) {
	p := parser{lexer: lexer{text: text}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	at := p.tok
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if n, err = condition(n, at); err != nil {
		return nil, err
	}
	return query{n}, nil
}

func (p *parser) advance() error {
	t, err := p.lexer.next()
	p.tok = t
	return err
}

// take moves over a token of the kind.
func (p *parser) take(kind tokenKind, name string) error {
	if p.tok.kind != kind {
		return refuse(p.tok, name+" expected")
	}
	return p.advance()
}

func refuse(at token, reason string) error {
	return &SyntaxError{Pos: at.pos, Text: at.text, Reason: reason}
}

// or reads p OR q.
func (p *parser) or() (node, error) { return p.junction(tokenOr, p.and) }

// and reads p AND q.
func (p *parser) and() (node, error) { return p.junction(tokenAnd, p.equality) }

// junction reads terms with the word between them. One alone is left as it is.
func (p *parser) junction(word tokenKind, term func() (node, error)) (node, error) {
	at := p.tok
	n, err := term()
	if err != nil || p.tok.kind != word {
		return n, err
	}
	j := junction{stop: word == tokenOr}
	for {
		if n, err = condition(n, at); err != nil {
			return nil, err
		}
		j.terms = append(j.terms, n)
		if p.tok.kind != word {
			return j, nil
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		at = p.tok
		if n, err = term(); err != nil {
			return nil, err
		}
	}
}

// equality reads a = b, a <> b, a IS NULL, a IS NOT NULL.
func (p *parser) equality() (node, error) {
	at := p.tok
	left, err := p.comparison()
	for follows := false; err == nil; follows = true {
		switch p.tok.kind {
		case tokenEqual, tokenNotEqual, tokenIs:
		default:
			return left, nil
		}
		if err = p.chain(follows); err != nil {
			break
		}
		if p.tok.kind == tokenIs {
			left, err = p.isNull(left)
		} else {
			left, err = p.equalTo(left, at)
		}
	}
	return nil, err
}

func (p *parser) isNull(left node) (node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	var n node = equality{left, constant{}}
	if p.tok.kind == tokenNot {
		n = not{n}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return n, p.take(tokenNull, "NULL")
}

func (p *parser) equalTo(left node, at token) (node, error) {
	sign := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	atRight := p.tok
	right, err := p.comparison()
	if err != nil {
		return nil, err
	}
	l, literal := left.(constant)
	r, literalRight := right.(constant)
	switch {
	case literal && !l.value.known():
		return nil, refuse(at, "NULL is compared with IS")
	case literalRight && !r.value.known():
		return nil, refuse(atRight, "NULL is compared with IS")
	case literal && literalRight && l.value.kind == valueTruth && r.value.kind != valueTruth:
		return nil, refuse(atRight, "TRUE or FALSE expected")
	}
	if sign.kind == tokenNotEqual {
		return not{equality{left, right}}, nil
	}
	return equality{left, right}, nil
}

// comparison reads what binds closer than equality does.
func (p *parser) comparison() (node, error) {
	at := p.tok
	left, err := p.unary()
	for follows := false; err == nil; follows = true {
		switch p.tok.kind {
		case tokenGreater, tokenGreaterEqual, tokenLess, tokenLessEqual, tokenNot, tokenBetween,
			tokenIn, tokenContains, tokenStartsWith, tokenEndsWith:
		default:
			return left, nil
		}
		if err = p.chain(follows); err == nil {
			left, err = p.compared(left, at)
		}
	}
	return nil, err
}

func (p *parser) compared(left node, at token) (node, error) {
	negated := p.tok.kind == tokenNot
	if negated {
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	word := p.tok
	switch word.kind {
	case tokenBetween:
		return p.between(left, at, negated)
	case tokenIn:
		return p.in(left, at, negated)
	case tokenContains, tokenStartsWith, tokenEndsWith:
		if err := p.advance(); err != nil {
			return nil, err
		}
		s, err := p.quoted()
		return search{kind: word.kind, operand: left, text: s, absent: negated}, err
	}
	if negated {
		return nil, refuse(word, "BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH expected behind NOT")
	}
	if err := checkOrdered(left, at); err != nil {
		return nil, err
	}
	right, err := p.bound()
	return ordering{word.kind, left, right}, err
}

func (p *parser) between(operand node, at token, outside bool) (node, error) {
	if err := checkOrdered(operand, at); err != nil {
		return nil, err
	}
	word := p.tok
	low, err := p.bound()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenAnd {
		return nil, refuse(p.tok, "AND expected")
	}
	high, err := p.bound()
	if err != nil {
		return nil, err
	}
	l, literal := low.(constant)
	h, literalHigh := high.(constant)
	if literal && literalHigh && !outside {
		if c, _ := compare(l.value, h.value); c > 0 {
			return nil, refuse(word, "the lower bound is above the upper one")
		}
	}
	return between{operand, low, high, outside}, nil
}

// bound moves over a sign or word and reads what something is compared with.
func (p *parser) bound() (node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	at := p.tok
	n, err := p.unary()
	if err != nil {
		return nil, err
	}
	return n, checkOrdered(n, at)
}

func (p *parser) in(operand node, at token, outside bool) (node, error) {
	name, ok := operand.(property)
	if !ok {
		return nil, refuse(at, "only a property can be IN something")
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokenOpen {
		return nil, refuse(p.tok, "( expected")
	}
	n := membership{name: name.name, set: map[string]struct{}{}, outside: outside}
	for {
		if err := p.advance(); err != nil { // over the parenthesis, or a comma
			return nil, err
		}
		s, err := p.quoted()
		if err != nil {
			return nil, err
		}
		n.set[s] = struct{}{}
		if p.tok.kind != tokenComma {
			return n, p.take(tokenClose, ", or )")
		}
	}
}

// chain counts a comparison that follows another one, because its tree is a
// level higher for it.
func (p *parser) chain(follows bool) error {
	if !follows {
		return nil
	}
	if p.chains == MaxDepth {
		return refuse(p.tok, fmt.Sprintf("more than %d comparisons of comparisons", MaxDepth))
	}
	p.chains++
	return nil
}
