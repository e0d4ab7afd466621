// Package codes finds the codes of errors in the source of the product, and
// writes the page about them. Numbers are in shared/fault/codes.txt; this package
// says which codes need one, of which kinds they are, and what advice goes with
// them, so that the page cannot say other things than the program.
//
// The tests and the command of this package use it; the product does not.
package codes

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Code is one code as the source makes it.
type Code struct {
	Name string
	// Where it is made, as "hub/api/body.go:12", the first places.
	Where []string
	// Dirs are the packages that make it.
	Dirs []string
	// Kinds that it is made with; empty: a condition or an answer that is no
	// error.
	Kinds []fault.Kind
	// Messages are what is said, with … where something is filled in.
	Messages []string
	// Fixes are the texts of advice, with … where something is filled in.
	Fixes []string
}

// halves are where the product's source is.
var halves = []string{"hub", "agent", "cli", "shared"}

// codeText is what a code looks like.
var codeText = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// kinds by the name of their constant.
var kinds = map[string]fault.Kind{
	"Invalid": fault.Invalid, "NotFound": fault.NotFound, "Conflict": fault.Conflict, "Denied": fault.Denied,
	"Unauthorized": fault.Unauthorized, "Precondition": fault.Precondition, "Unprocessable": fault.Unprocessable,
	"Upstream": fault.Upstream, "Unavailable": fault.Unavailable, "TooLarge": fault.TooLarge,
	"RateLimited": fault.RateLimited, "Internal": fault.Internal,
}

// Scan finds the codes below root, by name.
func Scan(root string) ([]Code, error) {
	found := map[string]*Code{}
	for _, half := range halves {
		err := filepath.WalkDir(filepath.Join(root, half), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return scanPackage(root, path, found)
		})
		if err != nil {
			return nil, err
		}
	}
	var out []Code
	for _, name := range slices.Sorted(maps.Keys(found)) {
		c := found[name]
		slices.Sort(c.Kinds)
		slices.Sort(c.Fixes)
		slices.Sort(c.Dirs)
		slices.Sort(c.Where)
		slices.Sort(c.Messages)
		c.Kinds, c.Fixes, c.Dirs = slices.Compact(c.Kinds), slices.Compact(c.Fixes), slices.Compact(c.Dirs)
		c.Messages = slices.Compact(c.Messages)
		out = append(out, *c)
	}
	return out, nil
}

// maker is a function that makes errors: where it takes the code, and the kind
// when that is always the same.
type maker struct {
	code, kind int // places of the arguments; -1 for none
	fixed      []fault.Kind
}

func scanPackage(root, dir string, found map[string]*Code) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".gen.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return err
	}
	p := &packageScan{
		dir: filepath.ToSlash(rel), set: set, found: found,
		makers: map[string]maker{"fault.New": {code: 1, kind: 0}, "fault.Wrap": {code: 2, kind: 1}, "w.Warn": {code: 0, kind: -1}},
		texts:  map[string]string{},
	}
	for _, f := range files {
		ast.Inspect(f, p.declarations)
	}
	for _, f := range files {
		ast.Inspect(f, p.uses)
	}
	return nil
}

type packageScan struct {
	dir    string
	set    *token.FileSet
	makers map[string]maker
	// texts are the constants of the package whose names begin with "code".
	texts map[string]string
	found map[string]*Code
}

func (p *packageScan) declarations(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		p.maker(n.Name.Name, n.Type, n.Body)
	case *ast.AssignStmt:
		for i, right := range n.Rhs {
			if lit, ok := right.(*ast.FuncLit); ok {
				if name, named := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident); named {
					p.maker(name.Name, lit.Type, lit.Body)
				}
			}
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if strings.HasPrefix(strings.ToLower(name.Name), "code") && i < len(n.Values) {
				if s, ok := literal(n.Values[i]); ok {
					p.texts[name.Name] = s
				}
			}
		}
	}
	return true
}

// maker notes a function that takes a code.
func (p *packageScan) maker(name string, t *ast.FuncType, body *ast.BlockStmt) {
	at, code := 0, -1
	for _, field := range t.Params.List {
		for _, x := range field.Names {
			kind, ok := field.Type.(*ast.Ident)
			if ok && kind.Name == "string" && (x.Name == "code" || x.Name == "id" && strings.HasPrefix(p.dir, "hub/render/jinja")) {
				code = at
			}
			at++
		}
		if len(field.Names) == 0 {
			at++
		}
	}
	if code < 0 {
		return
	}
	m := maker{code: code, kind: -1}
	if body != nil {
		ast.Inspect(body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if inner, ok := map[string]int{"fault.New": 0, "fault.Wrap": 1}[called(call.Fun)]; ok && inner < len(call.Args) {
					if k, ok := kindOf(call.Args[inner]); ok {
						m.fixed = append(m.fixed, k)
					}
				}
			}
			return true
		})
	}
	p.makers[name] = m
}

func (p *packageScan) uses(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "WithFix" && len(n.Args) > 0 {
			if s, ok := literal(n.Args[0]); ok {
				p.fix(sel.X, s)
			}
		}
		m, ok := p.makers[called(n.Fun)]
		if !ok || m.code >= len(n.Args) {
			break
		}
		made := slices.Clone(m.fixed)
		if m.kind >= 0 {
			if k, ok := kindOf(n.Args[m.kind]); ok {
				made = append(made, k)
			}
		}
		p.note(n.Args[m.code], made...)
		if m.code+1 < len(n.Args) {
			p.message(n.Args[m.code], n.Args[m.code+1])
		}
	case *ast.CompositeLit:
		var made []fault.Kind
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && keyed(kv, "Kind") {
				if k, ok := kindOf(kv.Value); ok {
					made = append(made, k)
				}
			}
		}
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && keyed(kv, "Code") {
				p.note(kv.Value, made...)
			}
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if strings.HasPrefix(strings.ToLower(name.Name), "code") && i < len(n.Values) {
				p.note(n.Values[i])
			}
		}
	}
	return true
}

func keyed(kv *ast.KeyValueExpr, name string) bool {
	key, ok := kv.Key.(*ast.Ident)
	return ok && key.Name == name
}

func (p *packageScan) note(e ast.Expr, made ...fault.Kind) {
	name, ok := p.text(e)
	if !ok || !codeText.MatchString(name) {
		return
	}
	c := p.found[name]
	if c == nil {
		c = &Code{Name: name}
		p.found[name] = c
	}
	at := p.set.Position(e.Pos())
	if len(c.Where) < 3 {
		c.Where = append(c.Where, p.dir+"/"+filepath.Base(at.Filename)+":"+strconv.Itoa(at.Line))
	}
	c.Dirs = append(c.Dirs, p.dir)
	c.Kinds = append(c.Kinds, made...)
}

// message notes what an error says, where that is written out beside its code.
func (p *packageScan) message(code, format ast.Expr) {
	name, _ := p.text(code)
	said, ok := literal(format)
	c := p.found[name]
	if !ok || c == nil || strings.Contains(p.dir, "/cmd/") { // there are examples, with names
		return
	}
	said = filledIn(said)
	if strings.Trim(said, "…: ") != "" && strings.Contains(said, " ") {
		c.Messages = append(c.Messages, said)
	}
}

// filledIn is a format with … for what is filled in.
func filledIn(format string) string {
	return verb.ReplaceAllString(strings.ReplaceAll(format, "%%", "%"), "…")
}

// text is a code that is written out, or that a constant of the package has.
func (p *packageScan) text(e ast.Expr) (string, bool) {
	if id, ok := e.(*ast.Ident); ok {
		s, ok := p.texts[id.Name]
		return s, ok
	}
	return literal(e)
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// fix notes the advice of the error that e makes, if it says its code.
func (p *packageScan) fix(e ast.Expr, advice string) {
	for {
		call, ok := e.(*ast.CallExpr)
		if !ok {
			return
		}
		if m, ok := p.makers[called(call.Fun)]; ok && m.code < len(call.Args) {
			name, ok := p.text(call.Args[m.code])
			if c := p.found[name]; ok && c != nil {
				advice = filledIn(advice)
				if strings.Trim(advice, "… ") != "" {
					c.Fixes = append(c.Fixes, advice)
				}
			} else if ok && codeText.MatchString(name) {
				p.note(call.Args[m.code])
				p.fix(e, advice)
			}
			return
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		e = sel.X
	}
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

func kindOf(e ast.Expr) (fault.Kind, bool) {
	var name string
	switch e := e.(type) {
	case *ast.SelectorExpr:
		name = e.Sel.Name
	case *ast.Ident:
		name = e.Name
	}
	k, ok := kinds[name]
	return k, ok
}

// called is how a call names its function: "fault.New", "w.Warn" for the
// workspace of a render, "f" for all others.
func called(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		switch x := fun.X.(type) {
		case *ast.Ident:
			switch x.Name {
			case "fault":
				return "fault." + fun.Sel.Name
			case "w", "first":
				if fun.Sel.Name == "Warn" {
					return "w.Warn"
				}
			case "slog", "log":
				return ""
			}
		case *ast.SelectorExpr:
			if x.Sel.Name == "w" && fun.Sel.Name == "Warn" {
				return "w.Warn"
			}
		}
		return fun.Sel.Name
	}
	return ""
}
