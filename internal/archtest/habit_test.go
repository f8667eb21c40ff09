package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// The budgets: what is longer does not fit into a head.
const (
	maxFileLines        = 400
	maxTestFileLines    = 600
	maxFunctionLines    = 60
	maxInterfaceMethods = 5
)

func TestBudgets(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		most := maxFileLines
		if s.test {
			most = maxTestFileLines
		}
		if s.lines > most {
			t.Errorf("%s has %d lines, more than %d: split it by responsibility", s.path, s.lines, most)
		}
		if !s.test {
			checkFunctions(t, s)
			checkInterfaces(t, s)
		}
	}
}

func checkFunctions(t *testing.T, s source) {
	for _, decl := range s.ast.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && s.height(f) > maxFunctionLines {
			t.Errorf("%s: %s has %d lines, more than %d: name its steps", s.at(f), f.Name.Name, s.height(f), maxFunctionLines)
		}
	}
}

func checkInterfaces(t *testing.T, s source) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if i, ok := n.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxInterfaceMethods {
			t.Errorf("%s: an interface of %d methods, more than %d: ask for less", s.at(i), i.Methods.NumFields(), maxInterfaceMethods)
		}
		return true
	})
}

func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		for _, decl := range s.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init runs in an order that depends on file names: call a function where it is needed", s.at(f))
			}
		}
	}
}

func TestNoGlobalVariables(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated || s.test {
			continue
		}
		for _, decl := range s.ast.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.VAR || group.Doc != nil && slices.ContainsFunc(group.Doc.List, isEmbed) {
				continue
			}
			for _, spec := range group.Specs {
				if v := spec.(*ast.ValueSpec); len(v.Values) == 0 {
					t.Errorf("%s: a variable of a package that begins empty is there to be changed: give it to who needs it", s.at(v))
				}
			}
		}
	}
}

func isEmbed(c *ast.Comment) bool { return len(c.Text) > 8 && c.Text[:8] == "//go:emb" }

func TestNamesSaySomething(t *testing.T) {
	for _, s := range sources(t) {
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc"}, s.ast.Name.Name) {
			t.Errorf("%s: package %s says nothing about what is in it", s.path, s.ast.Name.Name)
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated || s.test {
			continue
		}
		for _, decl := range s.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
					t.Errorf("%s: %s has no comment", s.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, name := range undocumented(d) {
					t.Errorf("%s: %s has no comment", s.at(name), name.Name)
				}
			}
		}
	}
}

// exportedReceiver tells whether a function can be called from outside as far as
// its receiver is concerned.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	receiver := f.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	name, ok := receiver.(*ast.Ident)
	return ok && name.IsExported()
}

// undocumented lists the exported names of a declaration without any comment: on
// the group, above the name, or behind it.
func undocumented(d *ast.GenDecl) []*ast.Ident {
	if d.Doc != nil {
		return nil
	}
	var names []*ast.Ident
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Doc == nil && s.Name.IsExported() {
				names = append(names, s.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if s.Doc == nil && s.Comment == nil && name.IsExported() {
					names = append(names, name)
				}
			}
		}
	}
	return names
}
