package telemetrytest

import (
	"fmt"
	"slices"
	"strings"
)

// Form is what a trace shall look like.
type Form struct {
	// Tree is the names, a line for each span, indented by two spaces below its parent.
	Tree string
	// Alike are names that count as another one; those that count as "" are not looked at,
	// with all below them.
	Alike map[string]string
	// Copies says that the broker may deliver a message again: where the tree has a
	// "process", the trace may have more of them, whatever comes of those.
	Copies bool
}

// Lacks says how the trace differs from the form; "" if it does not.
func (f Form) Lacks(t Trace) string {
	if want := parse(f.Tree); len(want) == 1 && f.fits(t, t.Root, want[0]) {
		return ""
	}
	return fmt.Sprintf("the trace is\n%swant\n%s", t, f.Tree)
}

// branch is a line of a form with the lines below it.
type branch struct {
	name  string
	below []branch
}

// parse reads a tree of names.
func parse(tree string) (all []branch) {
	const indent = "  "
	var inner strings.Builder
	close := func() {
		if n := len(all); n > 0 {
			all[n-1].below = parse(inner.String())
		}
		inner.Reset()
	}
	for line := range strings.Lines(tree) {
		if rest, deeper := strings.CutPrefix(line, indent); deeper {
			inner.WriteString(rest)
			continue
		}
		close()
		all = append(all, branch{name: strings.TrimSpace(line)})
	}
	close()
	return all
}

// fits tells whether a span and all below it are as wanted. No two branches of one
// parent have the same name.
func (f Form) fits(t Trace, s Span, want branch) bool {
	if f.name(s) != want.name {
		return false
	}
	rest := slices.DeleteFunc(slices.Clone(t.children[s.ID]), func(s Span) bool { return f.name(s) == "" })
	wanted := map[string]bool{"": true}
	for _, w := range want.below {
		if f.name(Span{Name: w.name}) == "" {
			continue
		}
		i := slices.IndexFunc(rest, func(s Span) bool { return f.fits(t, s, w) })
		if i < 0 {
			return false
		}
		rest, wanted[w.name] = slices.Delete(rest, i, i+1), true
	}
	return !slices.ContainsFunc(rest, func(s Span) bool {
		return !f.Copies || !wanted[s.Name] || !strings.HasPrefix(s.Name, "process ")
	})
}

// name is what the span's name counts as.
func (f Form) name(s Span) string {
	if alike, ok := f.Alike[s.Name]; ok {
		return alike
	}
	return s.Name
}
