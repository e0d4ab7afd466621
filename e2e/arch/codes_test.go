package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// codesPage describes every code that an application's author can meet while
// sources are read and rendered; codesOf are the packages that make them.
const codesPage = "docs/sources.md"

var codesOf = []string{"hub/source", "hub/render", "hub/plugin", "hub/delivery"}

// codeText is what a code looks like.
var codeText = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// TestEveryCodeOfASourceIsExplained fails for a code in the text of these
// packages that no table of the page has in its first column.
func TestEveryCodeOfASourceIsExplained(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(codesPage)))
	if err != nil {
		t.Fatal(err)
	}
	explained := rowsOf(string(page))
	emitted := map[string]string{}
	for _, dir := range codesOf {
		err := filepath.WalkDir(filepath.Join("..", "..", filepath.FromSlash(dir)), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			return codesIn(path, emitted)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// That the search finds codes in each of the ways that they are written.
	for _, known := range []string{"path_not_found", "git_auth_failed", "jinja_undefined", "kustomize_error", "render_not_deterministic", "repeated_resource", "repository_auth_failed"} {
		if emitted[known] == "" {
			t.Errorf("%s is not found in the code: the search of this test is broken", known)
		}
	}
	for code, where := range emitted {
		if !slices.Contains(explained, code) {
			t.Errorf("%s: code %s has no row in the table of %s", where, code, codesPage)
		}
	}
}

// rowsOf lists the codes in the first cells of the page's tables.
func rowsOf(page string) []string {
	var out []string
	quoted := regexp.MustCompile("`([a-z_]+)`")
	for line := range strings.SplitSeq(page, "\n") {
		cell, ok := strings.CutPrefix(line, "| ")
		if !ok {
			continue
		}
		cell, _, _ = strings.Cut(cell, " |")
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// codesIn adds the codes of one package, with a place where each is.
func codesIn(dir string, out map[string]string) error {
	set := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	note := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		if text, err := strconv.Unquote(lit.Value); err == nil && codeText.MatchString(text) {
			out[text] = set.Position(lit.Pos()).String()
		}
	}
	// takes has where the functions of this package take a code.
	takes := map[string]int{"fault.New": 1, "fault.Wrap": 2, "w.Warn": 0}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if i := codeParameter(n.Type); i >= 0 {
					takes[n.Name.Name] = i
				}
			case *ast.AssignStmt:
				for i, right := range n.Rhs {
					lit, ok := right.(*ast.FuncLit)
					if name, named := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident); ok && named {
						if at := codeParameter(lit.Type); at >= 0 {
							takes[name.Name] = at
						}
					}
				}
			}
			return true
		})
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if i, ok := takes[called(n.Fun)]; ok && i < len(n.Args) {
					note(n.Args[i])
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if strings.HasPrefix(name.Name, "code") && i < len(n.Values) {
						note(n.Values[i])
					}
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
					note(n.Value)
				}
			}
			return true
		})
	}
	return nil
}

// codeParameter is the place of a parameter for a code, -1 when there is none.
func codeParameter(f *ast.FuncType) int {
	at := 0
	for _, field := range f.Params.List {
		for _, name := range field.Names {
			kind, ok := field.Type.(*ast.Ident)
			if ok && kind.Name == "string" && (name.Name == "code" || name.Name == "id") {
				return at
			}
			at++
		}
		if len(field.Names) == 0 {
			at++
		}
	}
	return -1
}

// called is how a call names its function: "f", or "x.f" for fault and for the
// workspace, whose methods are of other packages; a method of this package is "f".
func called(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		switch x := fun.X.(type) {
		case *ast.Ident:
			if x.Name == "fault" || x.Name == "w" || x.Name == "first" {
				return strings.Replace(x.Name, "first", "w", 1) + "." + fun.Sel.Name
			}
		case *ast.SelectorExpr:
			if x.Sel.Name == "w" {
				return "w." + fun.Sel.Name
			}
		}
		return fun.Sel.Name
	}
	return ""
}
