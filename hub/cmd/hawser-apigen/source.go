package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

const module = "github.com/hawser-dev/hawser/"

// source is what the Go source says beyond what reflection knows: comments, and
// the constants of a type. Packages are read when they are asked for.
type source struct {
	root     string
	packages map[string]*packageSource
}

type packageSource struct {
	types  map[string]string            // comment by type
	fields map[string]map[string]string // comment by type and field
	values map[string][]constant        // constants by type
}

type constant struct{ name, value, doc string }

func newSource(root string) *source {
	return &source{root: root, packages: map[string]*packageSource{}}
}

func (s *source) of(t reflect.Type) *packageSource {
	path, ours := strings.CutPrefix(t.PkgPath(), module)
	if !ours {
		return &packageSource{}
	}
	p := s.packages[path]
	if p == nil {
		p = readPackage(filepath.Join(s.root, filepath.FromSlash(path)))
		s.packages[path] = p
	}
	return p
}

// typeDoc is the comment of a type, "" for none.
func (s *source) typeDoc(t reflect.Type) string { return s.of(t).types[bareName(t)] }

// fieldDoc is the comment of a field.
func (s *source) fieldDoc(t reflect.Type, field string) string {
	return s.of(t).fields[bareName(t)][field]
}

// constants of a type, in the order of the source.
func (s *source) constants(t reflect.Type) []constant {
	if t.Kind() != reflect.String || t.Name() == "" || t.PkgPath() == "" {
		return nil
	}
	return s.of(t).values[t.Name()]
}

// bareName is the name of a type without its type arguments.
func bareName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return name
}

func readPackage(dir string) *packageSource {
	out := &packageSource{types: map[string]string{}, fields: map[string]map[string]string{}, values: map[string][]constant{}}
	names, _ := filepath.Glob(filepath.Join(dir, "*.go")) // only a bad pattern fails
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		// A file that does not parse would not have compiled either.
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, d := range f.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					out.readType(decl, spec)
				case *ast.ValueSpec:
					if decl.Tok == token.CONST {
						out.readConstant(spec)
					}
				}
			}
		}
	}
	return out
}

func (p *packageSource) readType(decl *ast.GenDecl, spec *ast.TypeSpec) {
	doc := text(spec.Doc)
	if doc == "" && len(decl.Specs) == 1 {
		doc = text(decl.Doc)
	}
	p.types[spec.Name.Name] = doc
	st, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	fields := map[string]string{}
	for _, f := range st.Fields.List {
		doc := text(f.Doc)
		if doc == "" {
			doc = text(f.Comment)
		}
		for _, name := range f.Names {
			fields[name.Name] = doc
		}
	}
	p.fields[spec.Name.Name] = fields
}

func (p *packageSource) readConstant(spec *ast.ValueSpec) {
	typ, ok := spec.Type.(*ast.Ident)
	if !ok {
		return
	}
	for i, name := range spec.Names {
		if i >= len(spec.Values) {
			continue
		}
		lit, ok := spec.Values[i].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		value, err := strconv.Unquote(lit.Value)
		if err != nil {
			continue
		}
		doc := text(spec.Doc)
		if doc == "" {
			doc = text(spec.Comment)
		}
		p.values[typ.Name] = append(p.values[typ.Name], constant{name.Name, value, doc})
	}
}

func text(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	return strings.TrimSpace(g.Text())
}
