package jinja

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/flosch/pongo2/v6"

	"github.com/hawser-dev/hawser/shared/nearest"
)

// unit is a template: what it says, and the nodes that pongo2 made of it.
type unit struct {
	path     string
	text     string
	stmts    []any // by the number that the tags of source have
	source   string
	template *pongo2.Template
	blocks   []*blockNode
}

// Statements. A tag of the translated source names one by its number.
type (
	textStmt struct {
		text string
		line int
	}
	exprStmt struct { // {{ e }} and {% do e %}
		e    expr
		line int
	}
	forStmt struct {
		target    target
		in, cond  expr // cond may be nil
		recursive bool
		line      int
	}
	setStmt struct {
		target target
		value  expr // of a block: what is done with its text, from bodyVariable
		line   int
	}
	withStmt struct {
		targets []target
		values  []expr
		line    int
	}
	macroStmt struct {
		name     string
		params   []string
		defaults []expr // of the last parameters
		// what the body uses beside its parameters
		varargs, kwargs, caller bool
		line                    int
	}
	callStmt struct {
		call expr // *callExpr
		body macroStmt
		line int
	}
	blockStmt struct {
		name             string
		scoped, required bool
		line             int
	}
	includeStmt struct {
		name                       expr
		ignoreMissing, withContext bool
		line                       int
	}
	importStmt struct {
		name        expr
		as          string // of {% import %}
		names       [][2]string
		withContext bool
		line        int
	}
)

// target is what is assigned to: a name, ns.name, or several.
type target struct {
	name  string
	attr  string // of a namespace
	parts []target
}

// bodyVariable holds the text of a filter block while its filters are applied.
const bodyVariable = "\x00body"

// translator turns a template of Jinja2 into one of pongo2 that consists of the
// tags of this package and nothing else: {% j_for 3 %}. pongo2 sees no text, no
// expression and no name of the template.
type translator struct {
	u     *unit
	out   strings.Builder
	open  []opened
	names []string // variables that were read
}

// opened is a tag that is not closed yet.
type opened struct {
	tag   string
	line  int
	names int // length of names at its start
	stmt  *macroStmt
	elsed bool
}

// translate makes nodes of a template.
func (m *machine) translate(u *unit) error {
	parts, err := lex(u.path, u.text)
	if err != nil {
		return err
	}
	t := &translator{u: u}
	for _, p := range parts {
		switch p.kind {
		case 't':
			t.tag("text", &textStmt{p.text, p.line})
		case 'v':
			err = t.print(p)
		default:
			err = t.block(p)
		}
		if err != nil {
			return err
		}
	}
	if n := len(t.open); n > 0 {
		o := t.open[n-1]
		return problem(codeError, u.path, o.line, "{%% %s %%} is not closed: {%% end%s %%} is missing", o.tag, o.tag)
	}
	u.source = t.out.String()
	return m.parse(u)
}

func (t *translator) tag(name string, stmt any) {
	fmt.Fprintf(&t.out, "{%% %s%s %d %%}", tagPrefix, name, len(t.u.stmts))
	t.u.stmts = append(t.u.stmts, stmt)
}

func (t *translator) plain(name string) {
	fmt.Fprintf(&t.out, "{%% %s%s %%}", tagPrefix, name)
}

func (t *translator) reader(p part) *reader {
	return &reader{file: t.u.path, toks: p.toks, names: &t.names}
}

func (t *translator) print(p part) error {
	r := t.reader(p)
	e, err := r.tuple(r.expression)
	if err != nil {
		return err
	}
	t.tag("out", &exprStmt{e, p.line})
	return r.end()
}

// blockTags are closed by a tag of their name with "end" before it.
var blockTags = map[string]bool{"if": true, "for": true, "macro": true, "call": true, "filter": true, "block": true, "with": true, "set": true}

// elsewhere are tags of Django, pongo2, Ansible and Jinja2's extensions, and
// what to write instead.
var elsewhere = map[string]string{
	"break": "filter the loop: {% for x in list if … %}", "continue": "filter the loop: {% for x in list if … %}, or use {% if %}",
	"autoescape": "nothing is escaped here; leave it out", "endautoescape": "nothing is escaped here; leave it out",
	"trans": "translations do not exist here; write the text", "pluralize": "translations do not exist here; write the text",
	"debug": "print what you want to see with {{ … |tojson }}", "verbatim": "write {% raw %} … {% endraw %}",
	"comment": "write {# … #}", "load": "all filters are there without it", "ifequal": "write {% if a == b %}", "ifnotequal": "write {% if a != b %}",
	"ifchanged": "write {% if loop.changed(x) %}", "firstof": "write {{ a or b }}", "cycle": "write {{ loop.cycle(\"a\", \"b\") }}", "regroup": "write {% for x in list|groupby(\"attribute\") %}",
	"spaceless": "use {%- and -%}", "templatetag": "write {{ \"{{\" }}", "widthratio": "calculate: {{ a / b * c }}", "empty": "write {% else %}", "url": "there are no URLs here", "csrf_token": "there are no forms here",
	"export": "macros are imported without it", "elseif": "write {% elif %}", "elsif": "write {% elif %}",
}

// forbidden are tags that read files, the clock, or make up text.
var forbidden = map[string]string{
	"ssi": "it reads files outside of templates: use {% include %}", "now": "the same commit must always render the same: put the date into a value",
	"lorem": "the same commit must always render the same, and no cluster needs filler text",
}

func (t *translator) block(p part) error {
	r := t.reader(p)
	name, err := r.expectName()
	if err != nil {
		return err
	}
	if why, ok := forbidden[name]; ok {
		return problem(codeForbidden, t.u.path, p.line, "{%% %s %%} is not allowed: %s", name, why)
	}
	switch {
	case name == "else" || name == "elif":
		err = t.part(name, r, p.line)
	case strings.HasPrefix(name, "end") && blockTags[name[3:]]:
		err = t.close(name[3:], r, p.line)
	default:
		err = t.statement(name, r, p.line)
	}
	if err != nil {
		return err
	}
	return r.end()
}

func (t *translator) push(tag string, line int, stmt *macroStmt) error {
	if len(t.open) >= maxNesting {
		return problem(codeError, t.u.path, line, "blocks inside blocks, more than %d deep", maxNesting)
	}
	t.open = append(t.open, opened{tag: tag, line: line, names: len(t.names), stmt: stmt})
	return nil
}

// part is {% else %} or {% elif %}.
func (t *translator) part(name string, r *reader, line int) error {
	var o *opened
	if n := len(t.open); n > 0 {
		o = &t.open[n-1]
	}
	if o == nil || o.tag != "if" && (o.tag != "for" || name == "elif") {
		return problem(codeError, t.u.path, line, "{%% %s %%} belongs to no {%% if %%}", name)
	}
	if o.elsed {
		return problem(codeError, t.u.path, line, "{%% %s %%} after {%% else %%} of line %d", name, o.line)
	}
	if name == "else" {
		o.elsed = true
		t.plain("else")
		return nil
	}
	e, err := r.tuple(r.expression)
	t.tag("elif", &exprStmt{e, line})
	return err
}

func (t *translator) close(tag string, r *reader, line int) error {
	if len(t.open) == 0 {
		return problem(codeError, t.u.path, line, "{%% end%s %%} closes nothing", tag)
	}
	o := t.open[len(t.open)-1]
	if o.tag != tag {
		return problem(codeError, t.u.path, line, "{%% end%s %%} is not expected: {%% %s %%} of line %d is open", tag, o.tag, o.line)
	}
	t.open = t.open[:len(t.open)-1]
	if o.stmt != nil {
		for _, n := range t.names[o.names:] {
			switch n {
			case "varargs":
				o.stmt.varargs = true
			case "kwargs":
				o.stmt.kwargs = true
			case "caller":
				o.stmt.caller = true
			}
		}
	}
	if (tag == "block" || tag == "macro") && r.peek().kind == 'n' { // its name may be repeated
		r.next()
	}
	t.plain("end" + tag)
	return nil
}

func (t *translator) statement(name string, r *reader, line int) error {
	switch name {
	case "if":
		e, err := r.tuple(r.expression)
		if err != nil {
			return err
		}
		t.tag("if", &exprStmt{e, line})
		return t.push("if", line, nil)
	case "for":
		return t.forLoop(r, line)
	case "set":
		return t.set(r, line)
	case "do":
		e, err := r.tuple(r.expression)
		t.tag("do", &exprStmt{e, line})
		return err
	case "with":
		return t.with(r, line)
	case "macro":
		return t.macro(r, line)
	case "call":
		return t.call(r, line)
	case "filter":
		var e expr = &nameExpr{bodyVariable, line}
		e, err := r.filter(e)
		if err == nil {
			e, err = r.filters(e)
		}
		if err != nil {
			return err
		}
		t.tag("filter", &setStmt{value: e, line: line})
		return t.push("filter", line, nil)
	case "block":
		return t.namedBlock(r, line)
	case "extends":
		e, err := r.expression()
		t.tag("extends", &exprStmt{e, line})
		return err
	case "include":
		return t.include(r, line)
	case "import", "from":
		return t.imports(name, r, line)
	}
	return t.unknown(name, line)
}

func (t *translator) unknown(name string, line int) error {
	if instead, ok := elsewhere[name]; ok {
		return problem(codeUnsupported, t.u.path, line, "{%% %.40s %%} is not supported: %s", name, instead)
	}
	all := []string{"if", "elif", "else", "endif", "for", "endfor", "set", "endset", "do", "with", "endwith", "macro", "endmacro", "call", "endcall",
		"filter", "endfilter", "block", "endblock", "extends", "include", "import", "from", "raw", "endraw"}
	e := problem(codeUnsupported, t.u.path, line, "there is no tag {%% %.40s %%}", name)
	if word := nearest.Word(name, all); word != "" {
		return e.WithFix("did you mean {%% %s %%}?", word)
	}
	return e
}

// target reads what is assigned to.
func (t *translator) target(r *reader, namespaces bool) (target, error) {
	one := func() (target, error) {
		if r.skipOp("(") {
			inner, err := t.target(r, false)
			if err == nil {
				err = r.expectOp(")")
			}
			return inner, err
		}
		name, err := r.expectName()
		if err != nil {
			return target{}, err
		}
		switch name {
		case "true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else":
			r.pos--
			return target{}, r.fail("nothing can be assigned to %q", name)
		}
		out := target{name: name}
		if namespaces && r.skipOp(".") {
			out.attr, err = r.expectName()
		}
		return out, err
	}
	if err := r.deeper(); err != nil {
		return target{}, err
	}
	defer func() { r.depth-- }()
	first, err := one()
	if err != nil || !r.isOp(",") {
		return first, err
	}
	all := target{parts: []target{first}}
	for r.skipOp(",") {
		if r.isOp("=") || r.isName("in") || r.isOp(")") {
			break
		}
		next, err := one()
		if err != nil {
			return target{}, err
		}
		all.parts = append(all.parts, next)
	}
	return all, nil
}

func (t *translator) forLoop(r *reader, line int) error {
	s := &forStmt{line: line}
	var err error
	if s.target, err = t.target(r, false); err != nil {
		return err
	}
	if assignsTo(s.target, "loop") {
		return problem(codeError, t.u.path, line, "a loop cannot assign to \"loop\"")
	}
	if !r.skipName("in") {
		return r.fail("\"in\" is expected, got %s", r.peek())
	}
	if s.in, err = r.tuple(r.or); err != nil {
		return err
	}
	if r.skipName("if") {
		if s.cond, err = r.expression(); err != nil {
			return err
		}
	}
	s.recursive = r.skipName("recursive")
	if r.isName("reversed") || r.isName("sorted") {
		return r.unsupported("write |reverse or |sort after the list")
	}
	t.tag("for", s)
	return t.push("for", line, nil)
}

func assignsTo(t target, name string) bool {
	for _, p := range t.parts {
		if assignsTo(p, name) {
			return true
		}
	}
	return t.name == name
}

func (t *translator) set(r *reader, line int) error {
	to, err := t.target(r, true)
	if err != nil {
		return err
	}
	s := &setStmt{target: to, line: line}
	if r.skipOp("=") {
		s.value, err = r.tuple(r.expression)
		t.tag("set", s)
		return err
	}
	if len(to.parts) > 0 {
		return r.fail("\"=\" is expected, got %s", r.peek())
	}
	if s.value, err = r.filters(&nameExpr{bodyVariable, line}); err != nil {
		return err
	}
	t.tag("setblock", s)
	return t.push("set", line, nil)
}

func (t *translator) with(r *reader, line int) error {
	s := &withStmt{line: line}
	for r.peek().kind != 0 {
		if len(s.targets) > 0 {
			if err := r.expectOp(","); err != nil {
				return err
			}
		}
		to, err := t.target1(r)
		if err != nil {
			return err
		}
		if err := r.expectOp("="); err != nil {
			return err
		}
		v, err := r.expression()
		if err != nil {
			return err
		}
		s.targets, s.values = append(s.targets, to), append(s.values, v)
	}
	t.tag("with", s)
	return t.push("with", line, nil)
}

// target1 reads one name.
func (t *translator) target1(r *reader) (target, error) {
	name, err := r.expectName()
	return target{name: name}, err
}

// signature reads the parameters of a macro.
func (t *translator) signature(r *reader, s *macroStmt) error {
	if err := r.expectOp("("); err != nil {
		return err
	}
	for !r.skipOp(")") {
		if len(s.params) > 0 {
			if err := r.expectOp(","); err != nil {
				return err
			}
			if r.skipOp(")") {
				break
			}
		}
		name, err := r.expectName()
		if err != nil {
			return err
		}
		if contains(s.params, name) {
			return r.fail("parameter %q is there twice", name)
		}
		s.params = append(s.params, name)
		if r.skipOp("=") {
			e, err := r.expression()
			if err != nil {
				return err
			}
			s.defaults = append(s.defaults, e)
		} else if len(s.defaults) > 0 {
			return r.fail("parameter %q without a default comes after one with", name)
		}
	}
	return nil
}

func (t *translator) macro(r *reader, line int) error {
	s := &macroStmt{line: line}
	var err error
	if s.name, err = r.expectName(); err != nil {
		return err
	}
	if err := t.signature(r, s); err != nil {
		return err
	}
	t.tag("macro", s)
	return t.push("macro", line, s)
}

func (t *translator) call(r *reader, line int) error {
	s := &callStmt{line: line, body: macroStmt{name: "caller", line: line}}
	if r.isOp("(") {
		if err := t.signature(r, &s.body); err != nil {
			return err
		}
	}
	e, err := r.expression()
	if err != nil {
		return err
	}
	if _, ok := e.(*callExpr); !ok {
		return problem(codeError, t.u.path, line, "{%% call %%} needs a call, such as {%% call panel(\"title\") %%}")
	}
	s.call = e
	t.tag("call", s)
	return t.push("call", line, &s.body)
}

func (t *translator) namedBlock(r *reader, line int) error {
	s := &blockStmt{line: line}
	var err error
	if s.name, err = r.expectName(); err != nil {
		return err
	}
	s.scoped = r.skipName("scoped")
	s.required = r.skipName("required")
	if s.required && !s.scoped {
		s.scoped = r.skipName("scoped")
	}
	for _, other := range t.u.stmts {
		if b, ok := other.(*blockStmt); ok && b.name == s.name {
			return problem(codeError, t.u.path, line, "block %q is already defined in line %d", s.name, b.line)
		}
	}
	for _, o := range t.open {
		if o.tag == "macro" || o.tag == "call" {
			return problem(codeUnsupported, t.u.path, line, "a block inside a {%% %s %%}: put it outside", o.tag)
		}
	}
	t.tag("block", s)
	return t.push("block", line, nil)
}

// context reads "with context" or "without context".
func (r *reader) context(otherwise bool) bool {
	if (r.isName("with") || r.isName("without")) && r.after().kind == 'n' && r.after().text == "context" {
		with := r.isName("with")
		r.pos += 2
		return with
	}
	return otherwise
}

func (t *translator) include(r *reader, line int) error {
	s := &includeStmt{line: line}
	var err error
	if s.name, err = r.expression(); err != nil {
		return err
	}
	if r.isName("ignore") && r.after().text == "missing" {
		r.pos += 2
		s.ignoreMissing = true
	}
	s.withContext = r.context(true)
	if r.isName("with") || r.isName("only") {
		return r.unsupported("set variables before it: {%% with a=1 %%}{%% include … %%}{%% endwith %%}")
	}
	t.tag("include", s)
	return nil
}

func (t *translator) imports(tag string, r *reader, line int) error {
	s := &importStmt{line: line}
	var err error
	if s.name, err = r.expression(); err != nil {
		return err
	}
	if tag == "import" {
		if !r.skipName("as") {
			return r.unsupported("a name is needed: {%% import \"file\" as name %%}, or {%% from \"file\" import macro %%}")
		}
		if s.as, err = r.expectName(); err != nil {
			return err
		}
		s.withContext = r.context(false)
		t.tag("import", s)
		return nil
	}
	if !r.skipName("import") {
		return r.fail("\"import\" is expected, got %s", r.peek())
	}
	for {
		if len(s.names) > 0 && r.peek().kind == 0 {
			break
		}
		name, err := r.expectName()
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, "_") {
			return r.fail("names that begin with \"_\" cannot be imported: %s", strconv.Quote(name))
		}
		as := name
		if r.skipName("as") {
			if as, err = r.expectName(); err != nil {
				return err
			}
		}
		s.names = append(s.names, [2]string{name, as})
		if s.withContext = r.context(false); s.withContext || !r.skipOp(",") {
			break
		}
		if s.withContext = r.context(false); s.withContext {
			break
		}
	}
	t.tag("from", s)
	return nil
}
