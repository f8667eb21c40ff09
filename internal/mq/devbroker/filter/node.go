package filter

import "strings"

// node is a part of an SQL92 expression.
type node interface {
	eval(p Properties) value
}

// query lets messages through for which its condition is true, not unknown.
type query struct{ condition node }

func (q query) Match(p Properties) bool {
	v := q.condition.eval(p)
	return v.kind == valueTruth && v.truth
}

// constant is a literal.
type constant struct{ value value }

func (n constant) eval(Properties) value { return n.value }

// property is the value of a property.
type property struct{ name string }

func (n property) eval(p Properties) value {
	if s, ok := p.Property(n.name); ok {
		return value{kind: valueText, text: s}
	}
	return value{}
}

// presence is a property where a condition has to be. Text is never true.
type presence struct{ name string }

func (n presence) eval(p Properties) value {
	if _, ok := p.Property(n.name); ok {
		return truthOf(false)
	}
	return value{}
}

// negation is a minus sign.
type negation struct{ operand node }

func (n negation) eval(p Properties) value { return n.operand.eval(p).negative() }

// not turns a condition around.
type not struct{ condition node }

func (n not) eval(p Properties) value {
	v := n.condition.eval(p)
	if v.kind == valueTruth {
		v.truth = !v.truth
	}
	return v
}

// junction is AND, which stops at the first false term, or OR, which stops at
// the first true one.
type junction struct {
	terms []node
	stop  bool
}

func (n junction) eval(p Properties) value {
	result := truthOf(!n.stop)
	for _, term := range n.terms {
		switch v := term.eval(p); {
		case v.kind == valueUnknown:
			result = v
		case v.kind == valueFailed || v.truth == n.stop:
			return v
		}
	}
	return result
}

// equality is =.
type equality struct{ left, right node }

func (n equality) eval(p Properties) value { return equal(n.left.eval(p), n.right.eval(p)) }

// ordering is one of > >= < <=.
type ordering struct {
	sign        tokenKind
	left, right node
}

func (n ordering) eval(p Properties) value { return order(n.left.eval(p), n.sign, n.right, p) }

// order compares a value with what comes out of a node.
func order(l value, sign tokenKind, right node, p Properties) value {
	if !l.known() {
		return l
	}
	r := right.eval(p)
	if !r.known() {
		return r
	}
	c, ok := compare(l, r)
	if !ok {
		return value{kind: valueFailed}
	}
	switch sign {
	case tokenGreater:
		return truthOf(c > 0)
	case tokenGreaterEqual:
		return truthOf(c >= 0)
	case tokenLess:
		return truthOf(c < 0)
	default:
		return truthOf(c <= 0)
	}
}

// between is BETWEEN, or NOT BETWEEN if it is outside. Its operand is evaluated
// once: twice at every level of a nested one would never come to an end.
type between struct {
	operand, low, high node
	outside            bool
}

func (n between) eval(p Properties) value {
	v := n.operand.eval(p)
	signs := [...]tokenKind{tokenGreaterEqual, tokenLessEqual}
	if n.outside {
		signs = [...]tokenKind{tokenLess, tokenGreater}
	}
	low := order(v, signs[0], n.low, p)
	if low.kind == valueFailed || low.kind == valueTruth && low.truth == n.outside {
		return low
	}
	high := order(v, signs[1], n.high, p)
	if high.kind == valueTruth && high.truth != n.outside && low.kind == valueUnknown {
		return low
	}
	return high
}

// membership is IN, or NOT IN.
type membership struct {
	name    string
	set     map[string]struct{}
	outside bool
}

func (n membership) eval(p Properties) value {
	s, ok := p.Property(n.name)
	if !ok {
		return value{}
	}
	_, in := n.set[s]
	return truthOf(in != n.outside)
}

// search is CONTAINS, STARTSWITH, ENDSWITH, or one of them with NOT.
type search struct {
	kind    tokenKind
	operand node
	text    string
	absent  bool
}

func (n search) eval(p Properties) value {
	if n.text == "" {
		return truthOf(false)
	}
	v := n.operand.eval(p)
	switch v.kind {
	case valueFailed:
		return v
	case valueText:
	default:
		return truthOf(false)
	}
	var found bool
	switch n.kind {
	case tokenContains:
		found = strings.Contains(v.text, n.text)
	case tokenStartsWith:
		found = strings.HasPrefix(v.text, n.text)
	default:
		found = strings.HasSuffix(v.text, n.text)
	}
	return truthOf(found != n.absent)
}
