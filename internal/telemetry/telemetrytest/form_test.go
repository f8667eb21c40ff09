package telemetrytest

import (
	"strings"
	"testing"
)

// traceOf is a trace with the tree of names.
func traceOf(tree string) Trace {
	t := Trace{children: map[string][]Span{}}
	number := 0
	var grow func(b branch) Span
	grow = func(b branch) Span {
		number++
		s := Span{Name: b.name, ID: strings.Repeat("i", number)}
		for _, below := range b.below {
			t.children[s.ID] = append(t.children[s.ID], grow(below))
		}
		return s
	}
	t.Root = grow(parse(tree)[0])
	return t
}

func TestForm(t *testing.T) {
	const tree = "call\n  send a\n    process a\n      reserve\n  settle\n"
	alike := map[string]string{"repeat": "reserve", "confirm": ""}
	for name, c := range map[string]struct {
		got          string
		fits, strict bool // whether it fits with copies, and without
	}{
		"the same":                 {got: tree, fits: true, strict: true},
		"in another order":         {got: "call\n  settle\n  send a\n    process a\n      reserve\n", fits: true, strict: true},
		"another name":             {got: "call\n  send a\n    process a\n      repeat\n  settle\n", fits: true, strict: true},
		"one that does not count":  {got: tree + "  confirm\n    more\n", fits: true, strict: true},
		"a copy":                   {got: "call\n  send a\n    process a\n    process a\n      reserve\n  settle\n", fits: true},
		"a copy that does more":    {got: "call\n  send a\n    process a\n      reserve\n    process a\n      call\n  settle\n", fits: true},
		"a copy at another parent": {got: tree + "  process a\n      reserve\n"},
		"a copy of something else": {got: "call\n  send a\n    process a\n      reserve\n    process b\n  settle\n"},
		"sent twice":               {got: tree + "  send a\n    process a\n      reserve\n"},
		"nothing is done":          {got: "call\n  send a\n    process a\n  settle\n"},
		"nothing is settled":       {got: "call\n  send a\n    process a\n      reserve\n"},
		"another root":             {got: strings.Replace(tree, "call", "sweep", 1)},
	} {
		for copies, want := range map[bool]bool{true: c.fits, false: c.strict} {
			lacks := Form{Tree: tree, Alike: alike, Copies: copies}.Lacks(traceOf(c.got))
			if (lacks == "") != want {
				t.Errorf("%s, copies %v: fits is %v, want %v: %s", name, copies, lacks == "", want, lacks)
			}
		}
	}
}
