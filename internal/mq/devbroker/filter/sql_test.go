package filter

import (
	"errors"
	"strings"
	"testing"
)

// sqlCase is an expression with the properties that it lets through and those
// that it does not. Every one of them was also put to the filter of the Java
// broker 5.3.3.
type sqlCase struct {
	expression string
	passes     []string
	stops      []string
}

func comparisonCases() []sqlCase {
	return []sqlCase{
		{"a = 'x'", []string{"a=x"}, []string{"a=X", "a= x", "b=x", ""}},
		{"a = 3", []string{"a=3", "a=+3", "a=03"}, []string{"a=4", "a=3.0", "a=x", "a= 3", "a=3L", ""}},
		{"a = 3L", []string{"a=3"}, []string{"a=3L"}},
		{"a = 3.5", []string{"a=3.5", "a=3.50", "a= 35e-1 ", "a=3.5f", "a=0x1.cp1"}, []string{"a=3", "a=x", "a=3_0", ""}},
		{"a = -3", []string{"a=-3"}, []string{"a=3", ""}},
		{"a = - -3", []string{"a=3"}, []string{"a=-3"}},
		{"a = +3", []string{"a=3"}, nil},
		{"a = 2147483648", []string{"a=2147483648"}, []string{"a=2147483647"}},
		{"a = -9223372036854775807", []string{"a=-9223372036854775807"}, nil},
		{"a <> 'x'", []string{"a=y"}, []string{"a=x", ""}},
		{"a <> 3", []string{"a=4"}, []string{"a=3", "a=x", ""}},
		{"3 <> a", []string{"a=4", ""}, []string{"a=3", "a=x"}},
		{"3 = a", []string{"a=3"}, []string{"a=4", ""}},
		{"a = b", []string{"a=x;b=x", ""}, []string{"a=1;b=1.0", "a=x", "b=x"}},
		{"a <> b", []string{"a=1;b=1.0", "a=x"}, []string{"a=x;b=x", "b=x", ""}},
		{"a > 3", []string{"a=4"}, []string{"a=3", "a=-4", "a=4.5", "a=x", ""}},
		{"a >= 3", []string{"a=3", "a=4"}, []string{"a=2", ""}},
		{"a < 3", []string{"a=2"}, []string{"a=3", "a=4294967294", "a=-2147483649", ""}},
		{"a <= 3", []string{"a=3", "a=2"}, []string{"a=4", ""}},
		{"3 < a", []string{"a=4"}, []string{"a=3", ""}},
		{"a < 4294967295", []string{"a=4294967294", "a=-1"}, []string{"a=4294967295"}},
		{"a > 3.14", []string{"a=3.1415", "a=4", "a=Infinity", "a=NaN", "a=1e999"}, []string{"a=3", "a=inf", "a=nan", "a=-Infinity", "a=."}},
		{"a > 3.1E10", []string{"a=3.1415E10"}, []string{"a=31000000000"}},
		{"a > b", []string{"a=20;b=10", "a=1.5;b=1", "a=0;b=-0.0", "a=NaN;b=Infinity"}, []string{"a=10;b=20", "a=y;b=x", "a=1;b=x", "a=1", "b=1"}},
		{"a >= b", []string{"a=1;b=1.0", "a=NaN;b=NaN"}, []string{"a=x;b=x", "a=-0.0;b=0"}},
		{"1 = 1", []string{"", "a=x"}, nil},
		{"1 = 1.0", []string{""}, nil},
		{"2 > 1.5", []string{""}, nil},
		{"'1' = 1", []string{""}, nil},
		{"'x' = 1", nil, []string{""}},
		{"1 = TRUE", nil, []string{""}},
		{"A = 1", []string{"A=1"}, []string{"a=1"}},
		{"$a_1 = 1", []string{"$a_1=1"}, nil},
	}
}

func rangeCases() []sqlCase {
	return []sqlCase{
		{"a between 2 and 10", []string{"a=2", "a=3", "a=10"}, []string{"a=1", "a=11", "a=2.5", "a=x", ""}},
		{"a not between 2 and 10", []string{"a=1", "a=11"}, []string{"a=2", "a=3", "a=10", "a=x", ""}},
		{"a between 2 and 2.5", []string{"a=2"}, []string{"a=3", "a=2.5"}},
		{"a not between 10 and 2", []string{"a=1", "a=5", "a=11"}, []string{""}},
		{"a between -5 and -1", []string{"a=-3"}, []string{"a=3", "a=-6"}},
		{"a between low and high", []string{"a=2;low=1;high=3"}, []string{"a=2;low=1", "a=2;high=3", "a=2;low=x;high=3", "low=1;high=3"}},
		{"not (a between low and high)", []string{"a=2;high=1", "a=2;low=3", "a=2;low=3;high=x"}, []string{"a=2;low=1", "a=2;high=3", "low=3;high=1"}},
		{"a not between low and high", []string{"a=2;high=1", "a=2;low=3", "a=2;low=3;high=x"}, []string{"a=2;low=1", "a=2;high=3", "a=2;low=x;high=1"}},
		{"5 between a and 9", []string{"a=5"}, []string{"a=6", ""}},
		{"a in ('3', '4', '5')", []string{"a=3", "a=4", "a=5"}, []string{"a=8", "a=03", ""}},
		{"a not in ('3', '4', '5')", []string{"a=8", "a=3.0"}, []string{"a=3", "a=4", "a=5", ""}},
		{"a in ('1','2','3','4','5','6')", []string{"a=6"}, []string{"a=7"}},
		{"not (a in ('3'))", []string{"a=4"}, []string{"a=3", ""}},
		{"(a) in ('it''s')", []string{"a=it's"}, []string{"a=it''s"}},
		{"(a not in ('6', '4')) or (b in ('3', '4'))", []string{"a=5", "b=3", "a=6;b=4"}, []string{"a=6;b=5", "b=5", ""}},
	}
}

func searchCases() []sqlCase {
	return []sqlCase{
		{"a contains 'x'", []string{"a=axb", "a=x"}, []string{"a=abb", ""}},
		{"a startswith 'ax'", []string{"a=axb"}, []string{"a=bax", ""}},
		{"a endswith 'xb'", []string{"a=axb"}, []string{"a=xba", ""}},
		{"a not contains 'x'", []string{"a=abb"}, []string{"a=axb", ""}},
		{"a not startswith 'ax'", []string{"a=bax"}, []string{"a=axb", ""}},
		{"a not endswith 'xb'", []string{"a=xba"}, []string{"a=axb", ""}},
		{"not (a contains 'x')", []string{"a=abb", ""}, []string{"a=axb"}},
		{"a contains ''", nil, []string{"a=axb", ""}},
		{"a not contains ''", nil, []string{"a=axb", ""}},
		{"a startswith ''", nil, []string{"a=axb"}},
		{"a not endswith ''", nil, []string{"a=axb"}},
		{"(b = 1) contains ''", nil, []string{"b=x", ""}},
		{"not ((b = 1) contains '')", []string{"b=x", ""}, nil},
		{"not ((b = 1) contains 'x')", []string{"b=1", ""}, []string{"b=x"}},
		{"'axb' contains 'x'", []string{""}, nil},
		{"'s' contains '\\'", nil, []string{""}},
		{"' ' contains ' '", []string{""}, nil},
		{"5 contains '5'", nil, []string{""}},
		{"5 not contains '5'", nil, []string{""}},
		{"a contains 'é'", []string{"a=café"}, []string{"a=cafe"}},
		{"a contains 'x' contains 'x'", nil, []string{"a=x"}},
	}
}

func conditionCases() []sqlCase {
	return []sqlCase{
		{"a is null", []string{"", "b=1"}, []string{"a=1"}},
		{"a is not null", []string{"a=1"}, []string{"", "b=1"}},
		{"a is null is null", nil, []string{"a=1", ""}},
		{"(a = 1) is null", []string{""}, []string{"a=1", "a=2", "a=x"}},
		{"(a = 1) is not null", []string{"a=1", "a=2"}, []string{"", "a=x"}},
		{"NULL is null", []string{""}, nil},
		{"TRUE", []string{""}, nil},
		{"FALSE", nil, []string{""}},
		{"NULL", nil, []string{""}},
		{"not NULL", nil, []string{""}},
		{"a", nil, []string{"a=true", "a=x", ""}},
		{"not a", []string{"a=true", "a=x"}, []string{""}},
		{"not a = 1", nil, []string{"a=1", "a=2", ""}},
		{"not a = false", []string{}, []string{"a=1", ""}},
		{"not (a = 1)", []string{"a=2"}, []string{"a=1", "a=x", ""}},
		{"not not not (a = 1)", []string{"a=2"}, []string{"a=1", ""}},
		{"a = TRUE", []string{"a=true", "a=TRUE", "a=tRuE"}, []string{"a=false", "a=1", "a=yes", ""}},
		{"a = FALSE", []string{"a=false", "a=1", "a=yes"}, []string{"a=true", ""}},
		{"a <> TRUE", []string{"a=false", "a=1"}, []string{"a=true", ""}},
		{"TRUE = a", nil, []string{"a=true", "a=false", ""}},
		{"not (TRUE = a)", []string{""}, []string{"a=true", "a=false"}},
		{"TRUE = TRUE", []string{""}, nil},
		{"a = (b = 1)", []string{"a=true;b=1", "a=false;b=2", ""}, []string{"a=true;b=2", "a=true", "b=1"}},
		{"a = 1 = TRUE", []string{"a=1"}, []string{"a=2", ""}},
		{"a = 1 = b", nil, []string{"a=1;b=true", "a=1"}},
		{"a=TRUE OR b=FALSE", []string{"a=true;b=false", "a=true", "b=false"}, []string{"a=false;b=true", "a=false", ""}},
		{"a is null OR a='hello'", []string{"", "a=hello"}, []string{"a=abc"}},
		{"a is not null and a='hello'", []string{"a=hello"}, []string{"", "a=abc"}},
		{"a=3 and b<>4 And c>5 AND d<=4", []string{"a=3;b=5;c=6;d=1"}, []string{"a=4;b=5;c=6;d=1", "a=3;b=5;c=6", "b=5;c=6;d=1"}},
		{"a=3 or b<>4 Or c>5 OR d<=4", []string{"a=3", "a=4;b=5", "a=4;b=4;c=6", "a=4;b=4;c=3;d=2", "d=2"}, []string{"a=4;b=4;c=3;d=10", ""}},
		{"a=1 or b=1 and c=1", []string{"a=1", "b=1;c=1"}, []string{"b=1", "c=1"}},
		{"(a=1 or b=1) and c=1", []string{"a=1;c=1"}, []string{"a=1"}},
		{"a=1 or b=2", []string{"a=1;b=x", "b=2"}, []string{"a=x;b=2", "a=2;b=x"}},
		{"a=1 and b=2", []string{"a=1;b=2"}, []string{"a=1", "a=x;b=2", "a=2;b=x"}},
		{"not (a=1 and b=2)", []string{"a=2", "b=3", "a=2;b=x"}, []string{"a=1", "b=2", "", "a=1;b=x", "b=x"}},
		{"not (a=1 or b=2)", []string{"a=2;b=3"}, []string{"a=2", "b=3", "", "a=1;b=x"}},
		{"-a = -1", nil, []string{"a=1", "a=-1", ""}},
		{"-a is null", []string{"a=1", ""}, nil},
		{"-(a = 1) is null", []string{"a=1", ""}, []string{"a=x"}},
	}
}

func lexicalCases() []sqlCase {
	return []sqlCase{
		{"TAGS is not null and TAGS='''''tag'''''", []string{"TAGS=''tag''"}, []string{"TAGS=tag", ""}},
		{"a = ' '", []string{"a= "}, nil},
		{"a = 'x\ny'", []string{"a=x\ny"}, nil},
		{"a = '-- no /* comment */'", []string{"a=-- no /* comment */"}, nil},
		{"/* one */ a /***/ = /* * / ** */ 1 /* two\n */", []string{"a=1"}, []string{"a=2"}},
		{"-- one\na = -- two\r1 -- three\r\n and b = 2", []string{"a=1;b=2"}, []string{"a=1"}},
		{"a = 1 -- not a comment", []string{"a=1"}, []string{"a=2"}},
		{"\ta\n=\r1\f", []string{"a=1"}, nil},
		{"a=1and b=2", []string{"a=1;b=2"}, []string{"a=1"}},
		{"a>1AND(b)IN('x')", []string{"a=2;b=x"}, nil},
		{"notin = 1", []string{"notin=1"}, nil},
		{"a = 1.", []string{"a=1"}, nil},
		{"a = .5", []string{"a=0.5"}, nil},
		{"a = 5.e1", []string{"a=50"}, nil},
		{"a = 5e+1", []string{"a=50"}, nil},
		{"a = 00.5", []string{"a=0.5"}, nil},
		{"a = 4.9e-324", []string{"a=4.9e-324"}, []string{"a=0"}},
		// What follows a whole expression is not read, but for its first token.
		{"a = 1 b = 2", []string{"a=1"}, []string{"b=2", "a=2;b=2"}},
		{"a = 007", []string{"a=0"}, []string{"a=7"}},
		{"a = 1e", []string{"a=1"}, nil},
		{"a = 0L", []string{"a=0"}, nil},
		{"a = 1 )", []string{"a=1"}, nil},
		{"a = 1 - 1", []string{"a=1"}, []string{"a=0"}},
		{"a = 1 b @", []string{"a=1"}, nil},
		{"(a = 1) 'x'' open", []string{"a=1"}, nil},
	}
}

func allCases() []sqlCase {
	var all []sqlCase
	for _, cases := range [][]sqlCase{comparisonCases(), rangeCases(), searchCases(), conditionCases(), lexicalCases()} {
		all = append(all, cases...)
	}
	return all
}

func TestSQL(t *testing.T) {
	t.Parallel()
	for _, c := range allCases() {
		e, err := Parse(KindSQL, c.expression)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		for _, p := range c.passes {
			if !e.Match(parseProperties(p)) {
				t.Errorf("%s stops %q", c.expression, p)
			}
		}
		for _, p := range c.stops {
			if e.Match(parseProperties(p)) {
				t.Errorf("%s lets %q through", c.expression, p)
			}
		}
	}
}

// TestSQLOnlyOwnDigits has what the Java broker answers in another way.
func TestSQLOnlyOwnDigits(t *testing.T) {
	t.Parallel()
	e, err := Parse(KindSQL, "a = 7")
	if err != nil {
		t.Fatal(err)
	}
	if e.Match(properties{"a": "٧"}) {
		t.Error("a digit of another script was read, and the package's doc denies it")
	}
}

func TestSQLBounds(t *testing.T) {
	t.Parallel()
	repeat := strings.Repeat
	deep := func(n int) []string {
		return []string{
			repeat("(", n) + "a = 1" + repeat(")", n),
			repeat("not ", n) + "a",
			"b = " + repeat("-", n) + "1",
			"b = " + repeat("+", n) + "1",
		}
	}
	for _, text := range deep(MaxDepth) {
		if _, err := Parse(KindSQL, text); err != nil {
			t.Errorf("%.20s…: %v", text, err)
		}
	}
	tooLong := "a = '" + repeat("x", MaxLength) + "'"
	refused := append(deep(MaxDepth+1), tooLong, repeat("(", MaxLength),
		"a"+repeat(" = a", MaxDepth+2), "a"+repeat(" contains 'x'", MaxDepth+2))
	for _, text := range refused {
		var wrong *SyntaxError
		if _, err := Parse(KindSQL, text); !errors.As(err, &wrong) {
			t.Errorf("%.20s…: %v, want a *SyntaxError", text, err)
		}
	}
	wide := "a = 1" + repeat(" or a = 1", 7000)
	e, err := Parse(KindSQL, wide)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Match(properties{"a": "1"}) || e.Match(properties{"a": "2"}) {
		t.Error("a wide expression is wrong")
	}
}

// TestSQLNestedBetween does not end if each level evaluates the one below twice.
func TestSQLNestedBetween(t *testing.T) {
	t.Parallel()
	levels := MaxDepth / 2
	text := "a is null"
	for range levels {
		text = "-(" + text + ") between 1 and 2"
	}
	e, err := Parse(KindSQL, text)
	if err != nil {
		t.Fatal(err)
	}
	if e.Match(properties{}) {
		t.Error("what is unknown was delivered")
	}
}
