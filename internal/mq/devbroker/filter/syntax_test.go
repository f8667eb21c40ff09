package filter

import (
	"errors"
	"strings"
	"testing"
)

// syntaxCases are expressions that the Java broker refuses, too, with where and
// why they are refused here.
func syntaxCases() []struct {
	expression string
	pos        int
	text       string
	reason     string
} {
	return []struct {
		expression string
		pos        int
		text       string
		reason     string
	}{
		{"", 0, "", "a value expected"},
		{" \n", 2, "", "a value expected"},
		{"a =", 3, "", "a value expected"},
		{"a = = 1", 4, "=", "a value expected"},
		{"= 1", 0, "=", "a value expected"},
		{"a and between 2 and 10", 6, "between", "a value expected"},
		{"a = 1 and", 9, "", "a value expected"},
		{"(a = 1", 6, "", ") expected"},
		{"(a = 1 b", 7, "b", ") expected"},
		{"()", 1, ")", "a value expected"},
		{"a != 1", 2, "!", "no such sign"},
		{"a = 1 @", 6, "@", "no such sign"},
		{"é = 1", 0, "é", "no such sign"},
		{"a = 1 \v", 6, "\v", "no such sign"},
		{"a = \"x\"", 4, "\"", "no such sign"},
		{"a = .", 4, ".", "no such sign"},
		{"a = 'x", 4, "'", "without a closing quote"},
		{"a = 'it''s", 8, "'", "without a closing quote"},
		{"a = 1 'x", 6, "'", "without a closing quote"},
		{"a = 1 /* x", 6, "/", "comment without an end"},
		{"a = 1 /*/", 6, "/", "comment without an end"},
		{"5", 0, "5", "a condition expected"},
		{"'x'", 0, "'x'", "a condition expected"},
		{"-a", 0, "-", "a condition expected"},
		{"a = 1 or 'x'", 9, "'x'", "a condition expected"},
		{"1 and a", 0, "1", "a condition expected"},
		{"not 5", 4, "5", "a condition expected"},
		{"NULL = a", 0, "NULL", "NULL is compared with IS"},
		{"a = null", 4, "null", "NULL is compared with IS"},
		{"a <> (NULL)", 5, "(", "NULL is compared with IS"},
		{"TRUE = 1", 7, "1", "TRUE or FALSE expected"},
		{"a is 1", 5, "1", "NULL expected"},
		{"a is not 1", 9, "1", "NULL expected"},
		{"a is true", 5, "true", "NULL expected"},
		{"a > 'x'", 4, "'x'", "neither a number nor a property"},
		{"'x' > a", 0, "'x'", "neither a number nor a property"},
		{"a > TRUE", 4, "TRUE", "neither a number nor a property"},
		{"a > NULL", 4, "NULL", "neither a number nor a property"},
		{"a > b > 1", 0, "a", "neither a number nor a property"},
		{"(a = 1) < 2", 0, "(", "neither a number nor a property"},
		{"not a > 1", 0, "not", "neither a number nor a property"},
		{"a between 'x' and 'y'", 10, "'x'", "neither a number nor a property"},
		{"a between 1 and 'y'", 16, "'y'", "neither a number nor a property"},
		{"(b is null) between 1 and 2", 0, "(", "neither a number nor a property"},
		{"a between 10 and 0", 2, "between", "above the upper one"},
		{"a between 1.5 and 1", 2, "between", "above the upper one"},
		{"a between 1 or 2", 12, "or", "AND expected"},
		{"a not 1", 6, "1", "expected behind NOT"},
		{"a not null", 6, "null", "expected behind NOT"},
		{"a not > 1", 6, ">", "expected behind NOT"},
		{"a in 'x'", 5, "'x'", "( expected"},
		{"a in ()", 6, ")", "text in quotes expected"},
		{"a in (1)", 6, "1", "text in quotes expected"},
		{"a in ('x' 'y')", 10, "'y'", ", or ) expected"},
		{"a in ('x',)", 10, ")", "text in quotes expected"},
		{"a in ('x'", 9, "", ", or ) expected"},
		{"'a' in ('x')", 0, "'a'", "only a property"},
		{"a contains x", 11, "x", "text in quotes expected"},
		{"a not contains 123", 15, "123", "text in quotes expected"},
		{"a contains", 10, "", "text in quotes expected"},
		{"a > 100000000000000000000000", 4, "100000000000000000000000", "more than 64 bits"},
		{"a > -9223372036854775808", 5, "9223372036854775808", "more than 64 bits"},
		{"a > 1e400", 4, "1e400", "too large"},
		{"a > " + strings.Repeat("1", 400) + ".0", 4, strings.Repeat("1", 400) + ".0", "too large"},
		{"a > 0.0", 4, "0.0", "too small"},
		{"a > 1e-400", 4, "1e-400", "too small"},
		{"a = in", 4, "in", "a value expected"},
		{"between = 1", 0, "between", "a value expected"},
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for _, c := range syntaxCases() {
		_, err := Parse(KindSQL, c.expression)
		var wrong *SyntaxError
		if !errors.As(err, &wrong) {
			t.Errorf("%q: %v, want a *SyntaxError", c.expression, err)
			continue
		}
		if wrong.Pos != c.pos || wrong.Text != c.text || !strings.Contains(wrong.Reason, c.reason) {
			t.Errorf("%q: %+v, want %q at %d: %s", c.expression, *wrong, c.text, c.pos, c.reason)
		}
	}
}

func TestSyntaxErrorText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a = = 1": `filter expression, offset 4, at "=": a value expected`,
		"a =":     `filter expression, offset 3: a value expected`,
	} {
		if _, err := Parse(KindSQL, text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestUnknownKind(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"SQL", "sql92", "tag", " "} {
		if e, err := Parse(kind, "*"); !errors.Is(err, ErrUnknownKind) || e != nil {
			t.Errorf("%q: %v, %v; want ErrUnknownKind", kind, e, err)
		}
	}
}
