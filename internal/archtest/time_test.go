package archtest

import (
	"go/ast"
	"slices"
	"testing"
)

// clockFunctions are the functions of package time that read or wait for the
// machine's clock. Until is not one of them: what a context's deadline leaves is
// the machine's time, whatever clock the domain has.
func clockFunctions() []string {
	return []string{"Now", "Since", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}
}

func TestTimeIsInjectedIntoTheDomain(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !within(s.folder(), "internal/order", "internal/inventory", "internal/notify", "internal/event", "internal/parking") {
			continue
		}
		for _, call := range timeCalls(s, clockFunctions()) {
			t.Errorf("%s: the domain takes time from its clock.Clock, so that a test decides what time it is", s.at(call))
		}
	}
}

func TestTestsWaitForConditions(t *testing.T) {
	for _, s := range sources(t) {
		// In a bubble of synctest a sleep is a condition: that all others wait.
		if !s.test || slices.Contains(s.imports, "testing/synctest") {
			continue
		}
		for _, call := range timeCalls(s, []string{"Sleep"}) {
			t.Errorf("%s: a test waits for a condition; a sleep is too long or too short", s.at(call))
		}
	}
}

// timeCalls finds the uses of functions of package time.
func timeCalls(s source, functions []string) []ast.Node {
	var found []ast.Node
	ast.Inspect(s.ast, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := selector.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(functions, selector.Sel.Name) {
			found = append(found, selector)
		}
		return true
	})
	return found
}
