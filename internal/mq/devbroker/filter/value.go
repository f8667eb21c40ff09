package filter

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"
)

// value is what a part of an expression comes to. The zero value is unknown.
type value struct {
	kind  valueKind
	truth bool
	whole int64
	float float64
	text  string
}

type valueKind int

const (
	valueUnknown valueKind = iota
	valueFailed            // the whole expression has no answer
	valueTruth
	valueWhole32
	valueWhole64
	valueFloat
	valueText
)

func truthOf(b bool) value { return value{kind: valueTruth, truth: b} }

// number reports whether v is one; text that can be read as one is not.
func (v value) number() bool {
	return v.kind == valueWhole32 || v.kind == valueWhole64 || v.kind == valueFloat
}

// known reports whether v can be compared.
func (v value) known() bool { return v.kind != valueUnknown && v.kind != valueFailed }

// negative returns -v. What is not a number has none.
func (v value) negative() value {
	switch v.kind {
	case valueWhole32, valueWhole64:
		v.whole = -v.whole
	case valueFloat:
		v.float = -v.float
	case valueFailed:
	default:
		return value{}
	}
	return v
}

// equal compares two values with =. It is not symmetric, see the package's doc.
func equal(l, r value) value {
	switch {
	case l.kind == valueFailed || r.kind == valueFailed:
		return value{kind: valueFailed}
	case l.kind == valueUnknown && r.kind == valueUnknown:
		return truthOf(true)
	case l.kind == valueUnknown:
		return l
	case r.kind == valueUnknown:
		return truthOf(false)
	case l.kind == valueTruth || r.kind == valueTruth:
		return equalTruth(l, r)
	case l.kind == valueText && r.kind == valueText:
		return truthOf(l.text == r.text)
	}
	order, ok := compare(l, r)
	if !ok {
		return value{kind: valueFailed}
	}
	return truthOf(order == 0)
}

// equalTruth compares two values of which one is a truth at least.
func equalTruth(l, r value) value {
	switch {
	case l.kind == valueTruth && r.kind == valueTruth:
		return truthOf(l.truth == r.truth)
	case l.kind == valueText:
		return truthOf(strings.EqualFold(l.text, "true") == r.truth)
	case r.kind == valueText:
		return value{kind: valueFailed}
	}
	return truthOf(false)
}

// compare returns how l stands to r, numbers or texts that are read as such:
// -1, 0 or 1. It is not ok if a text cannot be read.
func compare(l, r value) (order int, ok bool) {
	likeL, likeR := l.kind, r.kind
	if l, ok = l.read(likeR); !ok {
		return 0, false
	}
	if r, ok = r.read(likeL); !ok {
		return 0, false
	}
	if l.kind == valueFloat || r.kind == valueFloat {
		return compareFloats(l.asFloat(), r.asFloat()), true
	}
	return cmp.Compare(l.whole, r.whole), true
}

// read returns v itself or, if it is text, the number in it: one of the given
// kind, or a float next to another text.
func (v value) read(like valueKind) (value, bool) {
	if v.kind != valueText {
		return v, true
	}
	bits := 64
	switch like {
	case valueWhole32:
		bits = 32
	case valueWhole64:
	default:
		f, ok := parseFloat(v.text)
		return value{kind: valueFloat, float: f}, ok
	}
	n, err := strconv.ParseInt(v.text, 10, bits)
	return value{kind: like, whole: n}, err == nil
}

func (v value) asFloat() float64 {
	if v.kind == valueFloat {
		return v.float
	}
	return float64(v.whole)
}

// compareFloats has an order for all floats, Java's: -0 is less than 0, and NaN
// more than anything else.
func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return cmp.Compare(int64(math.Float64bits(a)), int64(math.Float64bits(b)))
}

// parseFloat reads a number as Java's Double.valueOf does: blanks around it do
// not count, an f or d may end it, and one out of range is an infinity or 0.
func parseFloat(s string) (float64, bool) {
	s = trim(s)
	unsigned := s
	if s != "" && (s[0] == '+' || s[0] == '-') {
		unsigned = s[1:]
	}
	switch unsigned {
	case "":
		return 0, false
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		if s[0] == '-' {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	}
	// Go knows more: other names of these, and underscores between digits.
	if !isDigit(unsigned[0]) && unsigned[0] != '.' || strings.Contains(s, "_") {
		return 0, false
	}
	if strings.IndexByte("fFdD", s[len(s)-1]) >= 0 {
		s = s[:len(s)-1]
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}
