package jinja

import (
	"strconv"
	"strings"
)

// maxNesting is how deep expressions and blocks may be inside each other.
const maxNesting = 100

// expr is an expression of Jinja2. line is where it stands, for messages.
type expr interface {
	eval(m *machine, s *scope) (any, error)
}

type (
	constExpr struct{ value any }
	nameExpr  struct {
		name string
		line int
	}
	// attrExpr is of.name.
	attrExpr struct {
		of   expr
		name string
		line int
	}
	// itemExpr is of[index].
	itemExpr struct {
		of, index expr
		line      int
	}
	sliceExpr struct {
		of             expr
		from, to, step expr // nil: not given
		line           int
	}
	callExpr struct {
		of   expr
		args arguments
		line int
	}
	filterExpr struct {
		of   expr
		name string
		args arguments
		line int
	}
	testExpr struct {
		of   expr
		name string
		args arguments
		not  bool
		line int
	}
	listExpr struct {
		items []expr
		tuple bool
	}
	dictExpr struct {
		keys, values []expr
		line         int
	}
	unaryExpr struct {
		op   string // - + not
		of   expr
		line int
	}
	// binaryExpr has the operators + - * / // % ** ~.
	binaryExpr struct {
		op          string
		left, right expr
		line        int
	}
	logicExpr struct {
		or          bool
		left, right expr
	}
	compareExpr struct {
		first expr
		ops   []string // == != < > <= >= in, not in
		rest  []expr
		line  int
	}
	condExpr struct {
		test, yes, no expr // no may be nil
		line          int
	}
)

// arguments of a call.
type arguments struct {
	pos    []expr
	names  []string // of named
	named  []expr
	star   expr // *list
	double expr // **dict
}

// reader reads the tokens of one tag.
type reader struct {
	file  string
	toks  []token // ends with the token of kind 0
	pos   int
	depth int
	// names collects all variables that were read.
	names *[]string
}

func (r *reader) peek() token { return r.toks[min(r.pos, len(r.toks)-1)] }

func (r *reader) after() token { return r.toks[min(r.pos+1, len(r.toks)-1)] }

func (r *reader) next() token {
	t := r.peek()
	r.pos++
	return t
}

func (r *reader) isOp(op string) bool { t := r.peek(); return t.kind == 'o' && t.text == op }

func (r *reader) isName(name string) bool { t := r.peek(); return t.kind == 'n' && t.text == name }

func (r *reader) skipOp(op string) bool {
	if r.isOp(op) {
		r.pos++
		return true
	}
	return false
}

func (r *reader) skipName(name string) bool {
	if r.isName(name) {
		r.pos++
		return true
	}
	return false
}

func (r *reader) fail(format string, args ...any) error {
	return problem(codeError, r.file, r.peek().line, format, args...)
}

func (r *reader) unsupported(format string, args ...any) error {
	return problem(codeUnsupported, r.file, r.peek().line, format, args...)
}

func (r *reader) expectOp(op string) error {
	if !r.skipOp(op) {
		return r.fail("%q is expected, got %s", op, r.peek())
	}
	return nil
}

func (r *reader) expectName() (string, error) {
	t := r.peek()
	if t.kind != 'n' {
		return "", r.fail("a name is expected, got %s", t)
	}
	r.pos++
	return t.text, nil
}

// end says that nothing may follow.
func (r *reader) end() error {
	if t := r.peek(); t.kind != 0 {
		if t.kind == 'o' && t.text == ":" {
			return r.unsupported("filters take their arguments in parentheses: write |name(argument) and not |name:argument")
		}
		return r.fail("unexpected %s", t)
	}
	return nil
}

func (r *reader) deeper() error {
	if r.depth++; r.depth > 3*maxNesting {
		return r.fail("expressions inside expressions, more than %d deep", maxNesting)
	}
	return nil
}

// expression reads one, with a condition (a if b else c) where that is allowed.
func (r *reader) expression() (expr, error) {
	if err := r.deeper(); err != nil {
		return nil, err
	}
	defer func() { r.depth-- }()
	e, err := r.or()
	if err != nil {
		return nil, err
	}
	for n := 0; r.isName("if"); n++ {
		if n > maxNesting {
			return nil, r.fail("conditions inside conditions, more than %d deep", maxNesting)
		}
		c := &condExpr{yes: e, line: r.next().line}
		if c.test, err = r.or(); err != nil {
			return nil, err
		}
		if r.skipName("else") {
			if c.no, err = r.expression(); err != nil {
				return nil, err
			}
		}
		e = c
	}
	return e, nil
}

// chain reads left-associative operators; more than maxChain of them would be a
// tree that is too deep to walk.
const maxChain = 2000

func (r *reader) chain(n int) error {
	if n > maxChain {
		return r.fail("more than %d operators in one expression", maxChain)
	}
	return nil
}

func (r *reader) or() (expr, error) {
	left, err := r.and()
	for n := 0; err == nil && r.skipName("or"); n++ {
		var right expr
		if right, err = r.and(); err == nil {
			left, err = &logicExpr{or: true, left: left, right: right}, r.chain(n)
		}
	}
	return left, err
}

func (r *reader) and() (expr, error) {
	left, err := r.not()
	for n := 0; err == nil && r.skipName("and"); n++ {
		var right expr
		if right, err = r.not(); err == nil {
			left, err = &logicExpr{left: left, right: right}, r.chain(n)
		}
	}
	return left, err
}

func (r *reader) not() (expr, error) {
	if t := r.peek(); r.skipName("not") {
		if err := r.deeper(); err != nil {
			return nil, err
		}
		defer func() { r.depth-- }()
		e, err := r.not()
		return &unaryExpr{op: "not", of: e, line: t.line}, err
	}
	return r.compare()
}

func (r *reader) compare() (expr, error) {
	first, err := r.sum()
	if err != nil {
		return nil, err
	}
	c := &compareExpr{first: first, line: r.peek().line}
	for {
		t := r.peek()
		op := ""
		switch {
		case t.kind == 'o':
			switch t.text {
			case "==", "!=", "<", ">", "<=", ">=":
				op = t.text
				r.pos++
			}
		case r.skipName("in"):
			op = "in"
		case t.kind == 'n' && t.text == "not" && r.after().kind == 'n' && r.after().text == "in":
			r.pos += 2
			op = "not in"
		}
		if op == "" {
			break
		}
		e, err := r.sum()
		if err != nil {
			return nil, err
		}
		c.ops, c.rest = append(c.ops, op), append(c.rest, e)
	}
	if len(c.ops) == 0 {
		return first, nil
	}
	return c, nil
}

// binary reads left-associative operators of one rank.
func (r *reader) binary(below func() (expr, error), ops ...string) (expr, error) {
	left, err := below()
	for n := 0; err == nil; n++ {
		t := r.peek()
		if t.kind != 'o' || !contains(ops, t.text) {
			return left, nil
		}
		r.pos++
		var right expr
		if right, err = below(); err == nil {
			left, err = &binaryExpr{op: t.text, left: left, right: right, line: t.line}, r.chain(n)
		}
	}
	return left, err
}

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}

func (r *reader) sum() (expr, error)     { return r.binary(r.concat, "+", "-") }
func (r *reader) concat() (expr, error)  { return r.binary(r.product, "~") }
func (r *reader) product() (expr, error) { return r.binary(r.power, "*", "/", "//", "%") }
func (r *reader) power() (expr, error) {
	return r.binary(func() (expr, error) { return r.unary(true) }, "**")
}

func (r *reader) unary(filters bool) (expr, error) {
	if err := r.deeper(); err != nil {
		return nil, err
	}
	defer func() { r.depth-- }()
	var e expr
	var err error
	t := r.peek()
	if t.kind == 'o' && (t.text == "-" || t.text == "+") {
		r.pos++
		if e, err = r.unary(false); err == nil {
			e = &unaryExpr{op: t.text, of: e, line: t.line}
		}
	} else {
		e, err = r.primary()
	}
	if err == nil {
		e, err = r.postfix(e)
	}
	if err == nil && filters {
		e, err = r.filters(e)
	}
	return e, err
}

func (r *reader) primary() (expr, error) {
	t := r.next()
	switch t.kind {
	case 'n':
		switch t.text {
		case "true", "True":
			return &constExpr{true}, nil
		case "false", "False":
			return &constExpr{false}, nil
		case "none", "None":
			return &constExpr{nil}, nil
		case "not", "and", "or", "in", "is", "if", "else":
			r.pos--
			return nil, r.fail("unexpected %q", t.text)
		}
		*r.names = append(*r.names, t.text)
		return &nameExpr{t.text, t.line}, nil
	case 's':
		s := t.text
		for r.peek().kind == 's' {
			s += r.next().text
		}
		return &constExpr{s}, nil
	case 'i':
		return &constExpr{t.i}, nil
	case 'f':
		return &constExpr{t.f}, nil
	case 'o':
		switch t.text {
		case "(":
			return r.parenthesis()
		case "[":
			items, err := r.items("]")
			return &listExpr{items: items}, err
		case "{":
			return r.dict(t.line)
		}
	}
	r.pos--
	return nil, r.fail("an expression is expected, got %s", t)
}

// items reads expressions up to a closing bracket.
func (r *reader) items(end string) ([]expr, error) {
	var items []expr
	for !r.skipOp(end) {
		if len(items) > 0 {
			if err := r.expectOp(","); err != nil {
				return nil, err
			}
			if r.skipOp(end) {
				break
			}
		}
		if r.isName("for") {
			return nil, r.unsupported("Jinja2 has no list comprehensions: use |map, |select and |list")
		}
		e, err := r.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, e)
		if r.isName("for") {
			return nil, r.unsupported("Jinja2 has no list comprehensions: use |map, |select and |list")
		}
	}
	return items, nil
}

func (r *reader) parenthesis() (expr, error) {
	if r.skipOp(")") {
		return &listExpr{tuple: true}, nil
	}
	first, err := r.expression()
	if err != nil {
		return nil, err
	}
	if r.skipOp(")") {
		return first, nil
	}
	if err := r.expectOp(","); err != nil {
		return nil, err
	}
	rest, err := r.items(")")
	return &listExpr{items: append([]expr{first}, rest...), tuple: true}, err
}

func (r *reader) dict(line int) (expr, error) {
	d := &dictExpr{line: line}
	for !r.skipOp("}") {
		if len(d.keys) > 0 {
			if err := r.expectOp(","); err != nil {
				return nil, err
			}
			if r.skipOp("}") {
				break
			}
		}
		k, err := r.expression()
		if err != nil {
			return nil, err
		}
		if r.isOp(",") || r.isOp("}") {
			return nil, r.unsupported("Jinja2 has no sets: write a list, and |unique where it matters")
		}
		if err := r.expectOp(":"); err != nil {
			return nil, err
		}
		v, err := r.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, k), append(d.values, v)
	}
	return d, nil
}

// tuple reads what may be several expressions with commas between them.
func (r *reader) tuple(one func() (expr, error)) (expr, error) {
	first, err := one()
	if err != nil || !r.isOp(",") {
		return first, err
	}
	t := &listExpr{items: []expr{first}, tuple: true}
	for r.skipOp(",") {
		if k := r.peek(); k.kind == 0 || k.kind == 'o' && (k.text == "=" || k.text == ")") || k.kind == 'n' && k.text == "in" {
			break
		}
		e, err := one()
		if err != nil {
			return nil, err
		}
		t.items = append(t.items, e)
	}
	return t, nil
}

func (r *reader) postfix(e expr) (expr, error) {
	for n := 0; ; n++ {
		if err := r.chain(n); err != nil {
			return nil, err
		}
		t := r.peek()
		switch {
		case r.skipOp("."):
			k := r.next()
			switch k.kind {
			case 'n':
				e = &attrExpr{of: e, name: k.text, line: k.line}
			case 'i':
				e = &itemExpr{of: e, index: &constExpr{k.i}, line: k.line}
			default:
				r.pos--
				return nil, r.fail("a name is expected after \".\", got %s", k)
			}
		case r.skipOp("["):
			i, err := r.subscript(e, t.line)
			if err != nil {
				return nil, err
			}
			e = i
		case r.isOp("("):
			args, err := r.arguments()
			if err != nil {
				return nil, err
			}
			e = &callExpr{of: e, args: args, line: t.line}
		default:
			return e, nil
		}
	}
}

// subscript reads an index or a slice after "[".
func (r *reader) subscript(of expr, line int) (expr, error) {
	var parts [3]expr
	n, colons := 0, 0
	for !r.isOp("]") {
		if r.skipOp(":") {
			if colons++; colons > 2 {
				return nil, r.fail("a slice has at most three parts")
			}
			n = colons
			continue
		}
		if parts[n] != nil {
			break
		}
		e, err := r.expression()
		if err != nil {
			return nil, err
		}
		parts[n] = e
	}
	if r.isOp(",") {
		return nil, r.unsupported("only one index can be in brackets")
	}
	if err := r.expectOp("]"); err != nil {
		return nil, err
	}
	switch {
	case colons > 0:
		return &sliceExpr{of: of, from: parts[0], to: parts[1], step: parts[2], line: line}, nil
	case parts[0] == nil:
		r.pos--
		return nil, r.fail("an index is expected in brackets")
	}
	return &itemExpr{of: of, index: parts[0], line: line}, nil
}

// arguments reads "(…)".
func (r *reader) arguments() (a arguments, err error) {
	if err := r.expectOp("("); err != nil {
		return a, err
	}
	for first := true; !r.skipOp(")"); first = false {
		if !first {
			if err := r.expectOp(","); err != nil {
				return a, err
			}
			if r.skipOp(")") {
				break
			}
		}
		switch t := r.peek(); {
		case r.skipOp("**"):
			if a.double != nil {
				return a, r.unsupported("\"**\" twice in one call")
			}
			if a.double, err = r.expression(); err != nil {
				return a, err
			}
		case r.skipOp("*"):
			if a.star != nil {
				return a, r.unsupported("\"*\" twice in one call")
			}
			if a.star, err = r.expression(); err != nil {
				return a, err
			}
		case t.kind == 'n' && r.after().kind == 'o' && r.after().text == "=":
			r.pos += 2
			v, err := r.expression()
			if err != nil {
				return a, err
			}
			if contains(a.names, t.text) {
				return a, r.fail("argument %q is given twice", t.text)
			}
			a.names, a.named = append(a.names, t.text), append(a.named, v)
		default:
			if len(a.named) > 0 || a.double != nil || a.star != nil {
				return a, r.fail("arguments without a name come first")
			}
			v, err := r.expression()
			if err != nil {
				return a, err
			}
			if r.isName("for") {
				return a, r.unsupported("Jinja2 has no comprehensions: use |map, |select and |list")
			}
			a.pos = append(a.pos, v)
		}
	}
	return a, nil
}

// filters reads "|name(…)" and "is test".
func (r *reader) filters(e expr) (expr, error) {
	var err error
	for n := 0; err == nil; n++ {
		if err := r.chain(n); err != nil {
			return nil, err
		}
		switch {
		case r.skipOp("|"):
			e, err = r.filter(e)
		case r.skipName("is"):
			e, err = r.test(e)
		case r.isOp("("):
			var args arguments
			line := r.peek().line
			if args, err = r.arguments(); err == nil {
				e = &callExpr{of: e, args: args, line: line}
			}
		default:
			return e, nil
		}
	}
	return e, err
}

// filter reads a filter after "|".
func (r *reader) filter(e expr) (expr, error) {
	line := r.peek().line
	name, err := r.dotted()
	if err != nil {
		return nil, err
	}
	if err := knownFilter(name); err != nil {
		return nil, problem(err.code, r.file, line, "%s", err.text)
	}
	f := &filterExpr{of: e, name: name, line: line}
	if r.isOp("(") {
		f.args, err = r.arguments()
	} else if r.isOp(":") {
		return nil, r.unsupported("filters take their arguments in parentheses: write |%s(argument) and not |%s:argument", name, name)
	}
	return f, err
}

func (r *reader) dotted() (string, error) {
	name, err := r.expectName()
	for err == nil && r.skipOp(".") {
		var more string
		more, err = r.expectName()
		name += "." + more
	}
	return name, err
}

// test reads a test after "is".
func (r *reader) test(e expr) (expr, error) {
	t := &testExpr{of: e, line: r.peek().line, not: r.skipName("not")}
	var err error
	if t.name, err = r.dotted(); err != nil {
		return nil, err
	}
	if err := knownTest(t.name); err != nil {
		return nil, problem(err.code, r.file, t.line, "%s", err.text)
	}
	k := r.peek()
	switch {
	case r.isOp("("):
		t.args, err = r.arguments()
	case k.kind == 'n' && k.text == "is":
		return nil, r.fail("tests cannot be chained: write \"… is a and … is b\"")
	case k.kind == 's', k.kind == 'i', k.kind == 'f', k.kind == 'o' && (k.text == "[" || k.text == "{"),
		k.kind == 'n' && !contains([]string{"else", "or", "and", "if", "in", "not", "recursive"}, k.text):
		var arg expr
		if arg, err = r.primary(); err == nil {
			if arg, err = r.postfix(arg); err == nil {
				t.args.pos = []expr{arg}
			}
		}
	}
	return t, err
}

// nameOf spells an expression for messages.
func nameOf(e expr) string {
	switch e := e.(type) {
	case *nameExpr:
		return e.name
	case *attrExpr:
		return nameOf(e.of) + "." + e.name
	case *itemExpr:
		if c, ok := e.index.(*constExpr); ok {
			switch v := c.value.(type) {
			case string:
				return nameOf(e.of) + "[" + strconv.Quote(v) + "]"
			case int64:
				return nameOf(e.of) + "[" + strconv.FormatInt(v, 10) + "]"
			}
		}
		return nameOf(e.of) + "[…]"
	case *callExpr:
		return nameOf(e.of) + "(…)"
	case *filterExpr:
		return nameOf(e.of) + "|" + e.name
	case *constExpr:
		var b strings.Builder
		if writeValue(&b, e.value, true, 0) == nil {
			return b.String()
		}
	}
	return "(…)"
}
