package filter

import (
	"errors"
	"strings"
	"testing"
)

func TestTags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expression string
		passes     []string
		stops      []string
	}{
		{"", []string{"TAGS=x", ""}, nil},
		{"*", []string{"TAGS=x", ""}, nil},
		{"a", []string{"TAGS=a"}, []string{"TAGS=b", "TAGS=A", "TAGS= a", "TAGS=ab", "a=a", ""}},
		{"a || b", []string{"TAGS=a", "TAGS=b"}, []string{"TAGS=c", "TAGS=a || b", ""}},
		{"a||b", []string{"TAGS=a", "TAGS=b"}, []string{"TAGS=a||b"}},
		{"\ta ||\n|| b || ", []string{"TAGS=a", "TAGS=b"}, []string{"TAGS=\ta", ""}},
		{"a b", []string{"TAGS=a b"}, []string{"TAGS=a", "TAGS=b"}},
		{"a | b", []string{"TAGS=a | b"}, []string{"TAGS=a", "TAGS=b"}},
		{"a|||b", []string{"TAGS=a", "TAGS=|b"}, []string{"TAGS=b"}},
		{"a || *", []string{"TAGS=a", "TAGS=*"}, []string{"TAGS=b", ""}},
		{" * ", []string{"TAGS=*"}, []string{"TAGS=a", ""}},
		{" ", nil, []string{"TAGS=a", "TAGS= ", ""}},
		{" ||", nil, []string{"TAGS=a", ""}},
		{"Aa", []string{"TAGS=Aa"}, []string{"TAGS=BB"}}, // one hash in Java
	} {
		for _, kind := range []string{"", KindTag} {
			e, err := Parse(kind, c.expression)
			if err != nil {
				t.Errorf("%q: %v", c.expression, err)
				continue
			}
			for _, p := range c.passes {
				if !e.Match(parseProperties(p)) {
					t.Errorf("%q stops %q", c.expression, p)
				}
			}
			for _, p := range c.stops {
				if e.Match(parseProperties(p)) {
					t.Errorf("%q lets %q through", c.expression, p)
				}
			}
		}
	}
}

func TestTagsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"||", "||||", strings.Repeat("x", MaxLength+1)} {
		var wrong *SyntaxError
		if _, err := Parse(KindTag, text); !errors.As(err, &wrong) {
			t.Errorf("%.10q: %v, want a *SyntaxError", text, err)
		}
	}
}
