package filter

import (
	"errors"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, c := range allCases() {
		f.Add(KindSQL, c.expression, "1", "x")
	}
	for _, c := range syntaxCases() {
		f.Add(KindSQL, c.expression, "", "true")
	}
	f.Add(KindTag, "a || b", "a", "")
	f.Fuzz(func(t *testing.T, kind, text, a, b string) {
		e, err := Parse(kind, text)
		if err != nil {
			checkError(t, text, err)
			return
		}
		all := []properties{{}, {"a": a}, {"b": b}, {"a": a, "b": b, "TAGS": b}}
		for _, p := range all {
			e.Match(p)
		}
		if kind != KindSQL || len(text) > MaxDepth-8 || !stands(t, text) {
			return
		}
		for _, p := range all {
			checkLogic(t, text, p, e.Match(p))
		}
	})
}

// checkError checks that an error points at what it names.
func checkError(t *testing.T, text string, err error) {
	t.Helper()
	var wrong *SyntaxError
	switch {
	case errors.Is(err, ErrUnknownKind):
	case !errors.As(err, &wrong):
		t.Fatalf("%q: %v, want a *SyntaxError", text, err)
	case wrong.Pos < 0 || wrong.Pos > len(text) || !strings.HasPrefix(text[wrong.Pos:], wrong.Text):
		t.Fatalf("%q: %+v points elsewhere", text, *wrong)
	}
}

// stands reports whether the text means the same inside another expression:
// nothing of it is left unread, and no minus signs become a comment there.
func stands(t *testing.T, text string) bool {
	t.Helper()
	if strings.Contains(text, "--") {
		return false
	}
	p := parser{lexer: lexer{text: text}}
	if err := p.advance(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.or(); err != nil {
		t.Fatal(err)
	}
	return p.tok.kind == tokenEnd
}

// checkLogic checks what holds for every condition that matches or does not.
func checkLogic(t *testing.T, text string, p properties, matches bool) {
	t.Helper()
	for _, c := range []struct {
		expression string
		want       bool
	}{
		{"(" + text + ")", matches},
		{"/* x */ " + text + "\n", matches},
		{"not (not (" + text + "))", matches},
		{"(" + text + ") and TRUE", matches},
		{"(" + text + ") or FALSE", matches},
		{"(" + text + ") and not (" + text + ")", false},
		{"NULL and (" + text + ")", false},
	} {
		e, err := Parse(KindSQL, c.expression)
		if err != nil {
			t.Fatalf("%q was read, %v", text, err)
		}
		if e.Match(p) != c.want {
			t.Fatalf("%q matches %v: %v; %q: %v", text, p, matches, c.expression, !c.want)
		}
	}
}
