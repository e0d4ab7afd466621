package jinja

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flosch/pongo2/v6"

	"github.com/hawser-dev/hawser/shared/fault"
)

// tagPrefix begins the names of this package's tags, so that no tag of pongo2
// can be meant.
const tagPrefix = "j_"

// banned are the tags and filters of pongo2 v6.0.0: all of them. Translated
// templates use none, and a set that refuses them stays closed when the
// translation has a mistake. A test compares the lists with what pongo2
// registers.
var (
	bannedTags = []string{
		"autoescape", "block", "comment", "cycle", "extends", "filter", "firstof", "for", "if", "ifchanged", "ifequal", "ifnotequal",
		"import", "include", "lorem", "macro", "now", "set", "spaceless", "ssi", "templatetag", "widthratio", "with",
	}
	bannedFilters = []string{
		"add", "addslashes", "capfirst", "center", "cut", "date", "default", "default_if_none", "divisibleby", "e", "escape", "escapejs", "first",
		"float", "floatformat", "get_digit", "integer", "iriencode", "join", "last", "length", "length_is", "linebreaks", "linebreaksbr",
		"linenumbers", "ljust", "lower", "make_list", "phone2numeric", "pluralize", "random", "removetags", "rjust", "safe", "slice", "split",
		"stringformat", "striptags", "time", "title", "truncatechars", "truncatechars_html", "truncatewords", "truncatewords_html", "upper",
		"urlencode", "urlize", "urlizetrunc", "wordcount", "wordwrap", "yesno",
	}
)

func init() {
	// A global of the process; nothing but this package uses pongo2. YAML is not
	// HTML.
	pongo2.SetAutoescape(false)
	for name, parse := range tagParsers {
		if err := pongo2.RegisterTag(tagPrefix+name, parse); err != nil {
			panic(err) // two tags of one name in the table below
		}
	}
}

var tagParsers = map[string]pongo2.TagParser{
	"text":     leaf(func(s *textStmt) pongo2.INodeTag { return &textNode{s} }),
	"out":      leaf(func(s *exprStmt) pongo2.INodeTag { return &outNode{s} }),
	"do":       leaf(func(s *exprStmt) pongo2.INodeTag { return &doNode{s} }),
	"set":      leaf(func(s *setStmt) pongo2.INodeTag { return &setNode{s} }),
	"extends":  leaf(func(s *exprStmt) pongo2.INodeTag { return &extendsNode{s} }),
	"include":  leaf(func(s *includeStmt) pongo2.INodeTag { return &includeNode{s} }),
	"import":   leaf(func(s *importStmt) pongo2.INodeTag { return &importNode{s} }),
	"from":     leaf(func(s *importStmt) pongo2.INodeTag { return &importNode{s} }),
	"if":       parseIf,
	"for":      parseFor,
	"setblock": wrapped("set", func(u *unit, s *setStmt, body *pongo2.NodeWrapper) pongo2.INodeTag { return &setBlockNode{s, body} }),
	"filter":   wrapped("filter", func(u *unit, s *setStmt, body *pongo2.NodeWrapper) pongo2.INodeTag { return &filterNode{s, body} }),
	"with":     wrapped("with", func(u *unit, s *withStmt, body *pongo2.NodeWrapper) pongo2.INodeTag { return &withNode{s, body} }),
	"macro":    wrapped("macro", func(u *unit, s *macroStmt, body *pongo2.NodeWrapper) pongo2.INodeTag { return &macroNode{u, s, body} }),
	"call":     wrapped("call", func(u *unit, s *callStmt, body *pongo2.NodeWrapper) pongo2.INodeTag { return &callNode{u, s, body} }),
	"block": wrapped("block", func(u *unit, s *blockStmt, body *pongo2.NodeWrapper) pongo2.INodeTag {
		n := &blockNode{u, s, body}
		u.blocks = append(u.blocks, n)
		return n
	}),
}

// parsing holds the units that pongo2 is parsing, by the name that it knows them
// by: its tag parsers are functions of the process.
var (
	parsing     sync.Map // string → *unit
	parsingName atomic.Int64
)

func newSet() (*pongo2.TemplateSet, error) {
	set := pongo2.NewSet("hawser", loader{})
	for _, name := range bannedTags {
		if err := set.BanTag(name); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "internal", "pongo2 is not the version that this hub was made for")
		}
	}
	for _, name := range bannedFilters {
		if err := set.BanFilter(name); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "internal", "pongo2 is not the version that this hub was made for")
		}
	}
	return set, nil
}

// parse has pongo2 make nodes of a translated template.
func (m *machine) parse(u *unit) error {
	name := strconv.FormatInt(parsingName.Add(1), 10)
	parsing.Store(name, u)
	defer parsing.Delete(name)
	t, err := m.set.FromFile(name)
	if err != nil {
		return fault.Wrap(unwrap(err), fault.Internal, "internal", "%s was translated wrongly", u.path)
	}
	u.template = t
	return nil
}

// loader is a pongo2.TemplateLoader: the only templates that there are for
// pongo2 are those that are being parsed.
type loader struct{}

// Abs implements pongo2.TemplateLoader.
func (loader) Abs(_, name string) string { return name }

// Get implements pongo2.TemplateLoader.
func (loader) Get(name string) (io.Reader, error) {
	u, ok := parsing.Load(name)
	if !ok {
		return nil, fmt.Errorf("there is no template %q", name)
	}
	return strings.NewReader(u.(*unit).source), nil
}

// statementOf is the statement that a tag names by its number.
func statementOf[S any](start *pongo2.Token, arguments *pongo2.Parser) (*unit, S, *pongo2.Error) {
	var none S
	v, ok := parsing.Load(start.Filename)
	if !ok {
		return nil, none, arguments.Error("no such template", start)
	}
	u := v.(*unit)
	number := arguments.MatchType(pongo2.TokenNumber)
	if number == nil || arguments.Remaining() > 0 {
		return nil, none, arguments.Error("a number is expected", start)
	}
	i, err := strconv.Atoi(number.Val)
	if err != nil || i >= len(u.stmts) {
		return nil, none, arguments.Error("no such statement", start)
	}
	s, ok := u.stmts[i].(S)
	if !ok {
		return nil, none, arguments.Error(fmt.Sprintf("statement %d is %T", i, u.stmts[i]), start)
	}
	return u, s, nil
}

func leaf[S any](node func(S) pongo2.INodeTag) pongo2.TagParser {
	return func(_ *pongo2.Parser, start *pongo2.Token, arguments *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
		_, s, err := statementOf[S](start, arguments)
		if err != nil {
			return nil, err
		}
		return node(s), nil
	}
}

func wrapped[S any](tag string, node func(*unit, S, *pongo2.NodeWrapper) pongo2.INodeTag) pongo2.TagParser {
	return func(doc *pongo2.Parser, start *pongo2.Token, arguments *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
		u, s, err := statementOf[S](start, arguments)
		if err != nil {
			return nil, err
		}
		body, _, err := doc.WrapUntilTag(tagPrefix + "end" + tag)
		if err != nil {
			return nil, err
		}
		return node(u, s, body), nil
	}
}

func parseIf(doc *pongo2.Parser, start *pongo2.Token, arguments *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
	n := &ifNode{}
	for {
		_, s, err := statementOf[*exprStmt](start, arguments)
		if err != nil {
			return nil, err
		}
		body, next, err := doc.WrapUntilTag(tagPrefix+"elif", tagPrefix+"else", tagPrefix+"endif")
		if err != nil {
			return nil, err
		}
		n.tests, n.bodies = append(n.tests, s), append(n.bodies, body)
		switch strings.TrimPrefix(body.Endtag, tagPrefix) {
		case "endif":
			return n, nil
		case "else":
			n.otherwise, _, err = doc.WrapUntilTag(tagPrefix + "endif")
			return n, err
		}
		arguments = next
	}
}

func parseFor(doc *pongo2.Parser, start *pongo2.Token, arguments *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
	_, s, err := statementOf[*forStmt](start, arguments)
	if err != nil {
		return nil, err
	}
	n := &forNode{stmt: s}
	if n.body, _, err = doc.WrapUntilTag(tagPrefix+"else", tagPrefix+"endfor"); err != nil {
		return nil, err
	}
	if n.body.Endtag == tagPrefix+"else" {
		n.otherwise, _, err = doc.WrapUntilTag(tagPrefix + "endfor")
	}
	return n, err
}
