package failpoint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var wellFormed = regexp.MustCompile(`^[a-z]+(\.[a-z]+)+$`)

// Every name is hit in the source, once, and everything that is hit is a name.
func TestNamesAreTheCallsInTheSource(t *testing.T) {
	at := map[string][]string{}
	for _, half := range []string{"agent", "hub", "cli", "shared"} {
		err := filepath.WalkDir(filepath.Join("..", "..", half), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() && (e.Name() == "testdata" || e.Name() == "node_modules") {
				return fs.SkipDir
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return nil // the compiler says it better
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				f, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || f.Sel.Name != "Hit" && f.Sel.Name != "Error" {
					return true
				}
				if x, ok := f.X.(*ast.Ident); !ok || x.Name != "failpoint" {
					return true
				}
				lit, ok := call.Args[0].(*ast.BasicLit)
				if !ok {
					t.Errorf("%s: the name of a failpoint must be written out", path)
					return true
				}
				name, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				at[name] = append(at[name], path)
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, places := range at {
		if About(name) == "" {
			t.Errorf("%s hits %q, which names.go does not have", places[0], name)
		}
		if len(places) > 1 {
			t.Errorf("%q is hit at %d places: %s", name, len(places), strings.Join(places, ", "))
		}
	}
	for _, name := range Names() {
		if len(at[name]) == 0 {
			t.Errorf("nothing hits %q", name)
		}
		if !wellFormed.MatchString(name) {
			t.Errorf("%q is not words joined by dots", name)
		}
	}
}
