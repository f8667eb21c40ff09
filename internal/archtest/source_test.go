package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "orderflow"
)

// source is a Go file of the module.
type source struct {
	path      string // from the root of the module, with slashes
	lines     int
	test      bool
	generated bool
	imports   []string
	fset      *token.FileSet
	ast       *ast.File
}

// folder is the package's path within the module, such as internal/order.
func (s source) folder() string { return path.Dir(s.path) }

// at is the place of a node, to click on.
func (s source) at(node ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.fset.Position(node.Pos()).Line)
}

// height is how many lines a node has.
func (s source) height(node ast.Node) int {
	return s.fset.Position(node.End()).Line - s.fset.Position(node.Pos()).Line + 1
}

// sources reads every Go file of the module, whatever its build tags.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		s, err := read(file)
		if err == nil {
			all = append(all, s)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d Go files were found: the rules are not looking at the module", len(all))
	}
	return all
}

func read(file string) (source, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return source{}, err
	}
	relative, err := filepath.Rel(root, file)
	if err != nil {
		return source{}, err
	}
	s := source{
		path: filepath.ToSlash(relative), fset: token.NewFileSet(),
		lines: strings.Count(string(text), "\n"), test: strings.HasSuffix(file, "_test.go"),
	}
	if s.ast, err = parser.ParseFile(s.fset, file, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return source{}, err
	}
	s.generated = ast.IsGenerated(s.ast)
	for _, spec := range s.ast.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, name)
	}
	return s, nil
}

// within tells whether a slash-separated path is one of the roots or below one.
func within(name string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool {
		return name == r || strings.HasPrefix(name, r+"/")
	})
}
