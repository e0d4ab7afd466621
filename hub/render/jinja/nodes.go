package jinja

import (
	"fmt"
	"strings"

	"github.com/flosch/pongo2/v6"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Nodes execute statements. pongo2 calls them with its own context and writer;
// all that they need is the machine, and they put out through it.
type (
	textNode    struct{ stmt *textStmt }
	outNode     struct{ stmt *exprStmt }
	doNode      struct{ stmt *exprStmt }
	setNode     struct{ stmt *setStmt }
	extendsNode struct{ stmt *exprStmt }
	includeNode struct{ stmt *includeStmt }
	importNode  struct{ stmt *importStmt }
	ifNode      struct {
		tests     []*exprStmt
		bodies    []*pongo2.NodeWrapper
		otherwise *pongo2.NodeWrapper
	}
	forNode struct {
		stmt            *forStmt
		body, otherwise *pongo2.NodeWrapper
	}
	setBlockNode struct {
		stmt *setStmt
		body *pongo2.NodeWrapper
	}
	filterNode struct {
		stmt *setStmt
		body *pongo2.NodeWrapper
	}
	withNode struct {
		stmt *withStmt
		body *pongo2.NodeWrapper
	}
	macroNode struct {
		unit *unit
		stmt *macroStmt
		body *pongo2.NodeWrapper
	}
	callNode struct {
		unit *unit
		stmt *callStmt
		body *pongo2.NodeWrapper
	}
	blockNode struct {
		unit *unit
		stmt *blockStmt
		body *pongo2.NodeWrapper
	}
)

// at counts the node and notes where it stands.
func (m *machine) at(line int) error {
	m.line = line
	return m.step()
}

// body executes nodes inside a node. The context has nothing but the machine.
func (m *machine) body(n *pongo2.NodeWrapper, ctx *pongo2.ExecutionContext) error {
	if n == nil {
		return nil
	}
	if err := n.Execute(ctx, discarding{}); err != nil {
		return unwrap(err)
	}
	return nil
}

// discarding is the writer that nodes do not use.
type discarding struct{ nowhere }

func (discarding) WriteString(s string) (int, error) { return len(s), nil }

// within executes nodes in a scope of their own.
func (m *machine) within(s *scope, f func() error) error {
	before := m.scope
	m.scope = s
	err := f()
	if err == nil {
		m.scope = before
	}
	return err
}

func (n *textNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	return wrap(m.write(n.stmt.text, true))
}

func (n *outNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	return wrap(n.execute(m))
}

func (n *outNode) execute(m *machine) error {
	if err := m.at(n.stmt.line); err != nil {
		return err
	}
	v, err := n.stmt.e.eval(m, m.scope)
	if err != nil {
		return err
	}
	if _, ok := v.(*undefined); !ok {
		m.line = n.stmt.line
	}
	s, err := m.text(v)
	if err != nil {
		return err
	}
	m.line = n.stmt.line
	return m.write(s, false)
}

func (n *doNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	_, err := n.stmt.e.eval(m, m.scope)
	return wrap(err)
}

func (n *ifNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	for i, test := range n.tests {
		if err := m.at(test.line); err != nil {
			return wrap(err)
		}
		v, err := test.e.eval(m, m.scope)
		if err == nil {
			err = m.defined(v)
		}
		if err != nil {
			return wrap(err)
		}
		if truthOf(v) {
			return wrap(m.body(n.bodies[i], ctx))
		}
	}
	return wrap(m.body(n.otherwise, ctx))
}

// assign sets a target in a scope.
func (m *machine) assign(s *scope, t target, v any) error {
	switch {
	case len(t.parts) > 0:
		items, err := m.iterate(v)
		if err != nil {
			return err
		}
		if len(items) != len(t.parts) {
			return m.fail("%d values for %d names", len(items), len(t.parts))
		}
		for i, p := range t.parts {
			if err := m.assign(s, p, items[i]); err != nil {
				return err
			}
		}
	case t.attr != "":
		to, err := m.lookup(s, t.name)
		if err == nil {
			err = m.defined(to)
		}
		if err != nil {
			return err
		}
		ns, ok := to.(*namespace)
		if !ok {
			return m.problem(codeUnsupported, "only attributes of a namespace can be set, and %s is %s: write {%% set %s = namespace(…) %%} before", t.name, typeName(to), t.name)
		}
		return m.located(ns.attrs.set(t.attr, v))
	default:
		s.set(t.name, v)
	}
	return nil
}

func (n *setNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	v, err := n.stmt.value.eval(m, m.scope)
	if err == nil {
		err = m.assign(m.scope, n.stmt.target, v)
	}
	return wrap(err)
}

// filtered executes a body and applies filters to its text.
func (m *machine) filtered(body *pongo2.NodeWrapper, value expr, ctx *pongo2.ExecutionContext) (any, error) {
	inner := m.scope.child()
	s, err := m.capture(func() error {
		return m.within(inner, func() error { return m.body(body, ctx) })
	})
	if err != nil {
		return nil, err
	}
	applied := m.scope.child()
	applied.put(bodyVariable, s, true)
	return value.eval(m, applied)
}

func (n *setBlockNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	v, err := m.filtered(n.body, n.stmt.value, ctx)
	if err == nil {
		err = m.assign(m.scope, n.stmt.target, v)
	}
	return wrap(err)
}

func (n *filterNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	v, err := m.filtered(n.body, n.stmt.value, ctx)
	if err != nil {
		return wrap(err)
	}
	s, err := m.text(v)
	if err != nil {
		return wrap(err)
	}
	m.line = n.stmt.line
	return wrap(m.write(s, false))
}

func (n *withNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	inner := m.scope.child()
	for i, e := range n.stmt.values {
		v, err := e.eval(m, m.scope)
		if err == nil {
			err = m.assign(inner, n.stmt.targets[i], v)
		}
		if err != nil {
			return wrap(err)
		}
	}
	return wrap(m.within(inner, func() error { return m.body(n.body, ctx) }))
}

// loop is the variable loop of a for loop.
type loop struct {
	node    *forNode
	ctx     *pongo2.ExecutionContext
	items   []any
	i       int
	depth   int
	changed *list // arguments of the last call of changed()
	scope   *scope
}

func (n *forNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	v, err := n.stmt.in.eval(m, m.scope)
	if err != nil {
		return wrap(err)
	}
	return wrap(n.run(m, ctx, v, 0))
}

func (n *forNode) run(m *machine, ctx *pongo2.ExecutionContext, v any, depth int) error {
	if depth > maxIncludes {
		return m.fail("a recursive loop more than %d deep", maxIncludes)
	}
	items, err := m.iterate(v)
	if err != nil {
		return err
	}
	if n.stmt.cond != nil {
		if items, err = n.chosen(m, items); err != nil {
			return err
		}
	}
	l := &loop{node: n, ctx: ctx, items: items, depth: depth, scope: m.scope}
	for i, item := range items {
		if err := m.at(n.stmt.line); err != nil {
			return err
		}
		l.i = i
		inner := m.scope.child()
		inner.vars = make([]variable, 1, 2+len(n.stmt.target.parts))
		inner.vars[0] = variable{"loop", l, true}
		if err := m.assign(inner, n.stmt.target, item); err != nil {
			return err
		}
		if err := m.within(inner, func() error { return m.body(n.body, ctx) }); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		return m.within(m.scope.child(), func() error { return m.body(n.otherwise, ctx) })
	}
	return nil
}

// chosen are the items that the loop's condition takes.
func (n *forNode) chosen(m *machine, items []any) ([]any, error) {
	var out []any
	for _, item := range items {
		if err := m.at(n.stmt.line); err != nil {
			return nil, err
		}
		inner := m.scope.child()
		if err := m.assign(inner, n.stmt.target, item); err != nil {
			return nil, err
		}
		v, err := n.stmt.cond.eval(m, inner)
		if err == nil {
			err = m.defined(v)
		}
		if err != nil {
			return nil, err
		}
		if truthOf(v) {
			out = append(out, item)
		}
	}
	return out, m.chargeItems(len(out))
}

// attr is an attribute of loop.
func (l *loop) attr(m *machine, name string) (any, error) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.i + 1), nil
	case "index0":
		return int64(l.i), nil
	case "revindex":
		return int64(n - l.i), nil
	case "revindex0":
		return int64(n - l.i - 1), nil
	case "first":
		return l.i == 0, nil
	case "last":
		return l.i == n-1, nil
	case "length":
		return int64(n), nil
	case "depth":
		return int64(l.depth + 1), nil
	case "depth0":
		return int64(l.depth), nil
	case "previtem":
		if l.i == 0 {
			return &undefined{text: "loop.previtem is undefined in the first round"}, nil
		}
		return l.items[l.i-1], nil
	case "nextitem":
		if l.i == n-1 {
			return &undefined{text: "loop.nextitem is undefined in the last round"}, nil
		}
		return l.items[l.i+1], nil
	case "cycle":
		return &function{"loop.cycle", func(m *machine, a *args) (any, error) {
			if len(a.pos) == 0 {
				return nil, m.fail("loop.cycle needs values")
			}
			return a.pos[l.i%len(a.pos)], nil
		}}, nil
	case "changed":
		return &function{"loop.changed", func(m *machine, a *args) (any, error) {
			now := newTuple(a.pos...)
			if l.changed != nil {
				same, err := m.equal(l.changed, now, 0)
				if same || err != nil {
					return false, err
				}
			}
			l.changed = now
			return true, nil
		}}, nil
	}
	all := []string{"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem", "nextitem", "cycle", "changed"}
	u := &undefined{text: fmt.Sprintf("%q is undefined (%s)", "loop."+workspace.Clip(name, 60), listed("loop has", all))}
	switch name {
	case "counter", "Counter":
		u.fix = "write loop.index"
	default:
		if word := nearest.Word(name, all); word != "" {
			u.fix = "did you mean loop." + word + "?"
		}
	}
	return u, nil
}

// again runs a recursive loop for other items.
func (l *loop) again(m *machine, a *args) (any, error) {
	if !l.node.stmt.recursive {
		return nil, m.fail("loop(…) calls a loop that is not recursive: write {%% for … recursive %%}")
	}
	if len(a.pos) != 1 || len(a.names) > 0 {
		return nil, m.fail("loop(…) takes one list")
	}
	file, line, before := m.file, m.line, m.scope
	m.scope = l.scope
	s, err := m.capture(func() error { return l.node.run(m, l.ctx, a.pos[0], l.depth+1) })
	m.file, m.line, m.scope = file, line, before
	return s, err
}

// macro is a macro, or the caller() of a {% call %}.
type macro struct {
	name  string
	stmt  *macroStmt
	body  *pongo2.NodeWrapper
	ctx   *pongo2.ExecutionContext
	file  string
	scope *scope // where it was defined
	frame *frame
}

func (n *macroNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	m.scope.set(n.stmt.name, &macro{n.stmt.name, n.stmt, n.body, ctx, n.unit.path, m.scope, m.frame})
	return nil
}

func (n *callNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	c := n.stmt.call.(*callExpr)
	f, err := c.of.eval(m, m.scope)
	if err != nil {
		return wrap(err)
	}
	a, err := m.arguments(m.scope, &c.args)
	if err != nil {
		return wrap(err)
	}
	m.line = n.stmt.line
	a.set("caller", &macro{"caller", &n.stmt.body, n.body, ctx, n.unit.path, m.scope, m.frame})
	v, err := m.call(f, nameOf(c.of), a)
	if err != nil {
		return wrap(err)
	}
	s, err := m.text(v)
	if err != nil {
		return wrap(err)
	}
	m.line = n.stmt.line
	return wrap(m.write(s, false))
}

// call runs a macro and returns what it puts out.
func (k *macro) call(m *machine, a *args) (any, error) {
	if err := m.enter(k.name + "()"); err != nil {
		return nil, err
	}
	inner := k.scope.child()
	if err := k.bind(m, inner, a); err != nil {
		return nil, err
	}
	file, line, frame := m.file, m.line, m.frame
	m.file, m.line, m.frame = k.file, k.stmt.line, k.frame
	first := len(k.stmt.params) - len(k.stmt.defaults)
	for i, p := range k.stmt.params {
		if _, given := inner.own(p); given {
			continue
		}
		var v any = &undefined{text: fmt.Sprintf("parameter %q of %s() was not given", p, k.name)}
		if i >= first {
			var err error
			if v, err = k.stmt.defaults[i-first].eval(m, inner); err != nil {
				return nil, err
			}
		}
		inner.set(p, v)
	}
	s, err := m.capture(func() error {
		return m.within(inner, func() error { return m.body(k.body, k.ctx) })
	})
	if err != nil {
		return nil, err
	}
	m.file, m.line, m.frame = file, line, frame
	m.leave()
	return s, nil
}

// bind puts arguments into the scope of a call.
func (k *macro) bind(m *machine, inner *scope, a *args) error {
	extra := newTuple()
	for i, v := range a.pos {
		if i < len(k.stmt.params) {
			inner.set(k.stmt.params[i], v)
		} else {
			extra.items = append(extra.items, v)
		}
	}
	if len(extra.items) > 0 && !k.stmt.varargs {
		return m.fail("%s() takes at most %d arguments, and got %d", k.name, len(k.stmt.params), len(a.pos))
	}
	named := newDict()
	for i, name := range a.names {
		_, given := inner.own(name)
		switch {
		case contains(k.stmt.params, name):
			if given {
				return m.fail("%s(): %q is given twice", k.name, name)
			}
			inner.set(name, a.named[i])
		case name == "caller":
			if !k.stmt.caller {
				return m.fail("%s() is used with {%% call %%} and does not use caller()", k.name)
			}
			inner.set("caller", a.named[i])
		case k.stmt.kwargs:
			if err := named.set(name, a.named[i]); err != nil {
				return m.located(err)
			}
		default:
			return m.fail("%s() has no parameter %q (%s)", k.name, workspace.Clip(name, 60), listed("parameters", k.stmt.params))
		}
	}
	if k.stmt.varargs {
		inner.set("varargs", extra)
	}
	if k.stmt.kwargs {
		inner.set("kwargs", named)
	}
	if _, given := inner.own("caller"); k.stmt.caller && !given && k.name != "caller" {
		inner.set("caller", &undefined{text: fmt.Sprintf("%s() was not called with {%% call %%}, so there is no caller()", k.name)})
	}
	return nil
}

func (n *blockNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	if m.frame.parent != nil {
		return nil // the template that is extended says where blocks go
	}
	// A block sees the variables of its template, and those around it only when
	// it says so.
	around := m.frame.top
	if n.stmt.scoped {
		around = m.scope
	}
	return wrap(m.block(ctx, n.stmt.name, 0, around))
}

// block runs a block: level 0 is the most derived one.
func (m *machine) block(ctx *pongo2.ExecutionContext, name string, level int, around *scope) error {
	b := m.frame.blocks[name][level]
	if b.stmt.required {
		return m.fail("block %q is required and not there", name)
	}
	if m.frame.inside++; m.frame.inside > maxIncludes {
		return m.fail("blocks inside blocks, more than %d deep", maxIncludes)
	}
	file, line, before := m.file, m.line, m.scope
	m.file, m.scope = b.unit.path, around.child()
	m.scope.put("super", m.super(ctx, name, level, around), true)
	if err := m.body(b.body, ctx); err != nil {
		return err
	}
	m.frame.inside--
	m.file, m.line, m.scope = file, line, before
	return nil
}

// super is the function of that name in a block.
func (m *machine) super(ctx *pongo2.ExecutionContext, name string, level int, around *scope) any {
	frame := m.frame
	if level+1 >= len(frame.blocks[name]) {
		return &undefined{text: fmt.Sprintf("super() is undefined: no template that is extended has a block %q", name)}
	}
	return &function{"super", func(m *machine, _ *args) (any, error) {
		current := m.frame
		m.frame = frame
		s, err := m.capture(func() error { return m.block(ctx, name, level+1, around) })
		m.frame = current
		return s, err
	}}
}

// blocks is the variable self: the blocks of a template, as functions.
type blocks struct{ frame *frame }

func (b *blocks) attr(name string) any {
	if len(b.frame.blocks[name]) == 0 {
		return &undefined{text: fmt.Sprintf("there is no block %q", workspace.Clip(name, 60))}
	}
	return &function{"self." + name, func(m *machine, _ *args) (any, error) {
		current := m.frame
		m.frame = b.frame
		s, err := m.capture(func() error { return m.block(m.ctx, name, 0, b.frame.top) })
		m.frame = current
		return s, err
	}}
}

func (n *extendsNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	if m.frame.parent != nil {
		return wrap(m.fail("{%% extends %%} twice in one template"))
	}
	u, err := m.named(n.stmt.e, false, n.stmt.line)
	if err != nil {
		return wrap(err)
	}
	for _, p := range m.frame.seen {
		if p == u.path {
			return wrap(m.fail("templates extend each other: %s → %s", strings.Join(m.frame.seen, " → "), u.path))
		}
	}
	if len(m.frame.seen) >= maxIncludes {
		return wrap(m.fail("more than %d templates extend each other", maxIncludes))
	}
	m.frame.seen = append(m.frame.seen, u.path)
	m.frame.parent = u
	m.out = &output{discard: true}
	return nil
}

// named finds the template that an expression names: one name, or the first of a
// list that there is. nil is a template that may be missing and is.
func (m *machine) named(e expr, ignore bool, line int) (*unit, error) {
	v, err := e.eval(m, m.scope)
	if err == nil {
		err = m.defined(v)
	}
	if err != nil {
		return nil, err
	}
	names := []any{v}
	if l, ok := v.(*list); ok {
		names = l.items
	}
	m.line = line
	var looked []string
	for _, v := range names {
		name, ok := v.(string)
		if !ok || name == "" {
			return nil, m.fail("a template is named by a string, not %s", typeName(v))
		}
		u, paths, err := m.load(name)
		if u != nil || err != nil {
			return u, err
		}
		looked = append(looked, paths...)
	}
	if ignore {
		return nil, nil
	}
	return nil, m.fail("template %s does not exist; looked for %s", quotedNames(names), strings.Join(looked, ", "))
}

func quotedNames(names []any) string {
	var out []string
	for _, n := range names {
		out = append(out, fmt.Sprintf("%.100q", n))
	}
	return strings.Join(out, " or ")
}

func (n *includeNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	return wrap(n.execute(m))
}

func (n *includeNode) execute(m *machine) error {
	u, err := m.named(n.stmt.name, n.stmt.ignoreMissing, n.stmt.line)
	if u == nil || err != nil {
		return err
	}
	if err := m.enter(u.path); err != nil {
		return err
	}
	s := &scope{}
	if n.stmt.withContext {
		s = m.scope.child()
	}
	if _, err := m.run(u, s); err != nil {
		return err
	}
	m.leave()
	return nil
}

// module is what {% import %} gives: macros and variables of a template.
type module struct {
	path  string
	scope *scope
}

func (n *importNode) Execute(ctx *pongo2.ExecutionContext, _ pongo2.TemplateWriter) *pongo2.Error {
	m := machineOf(ctx)
	if err := m.at(n.stmt.line); err != nil {
		return wrap(err)
	}
	return wrap(n.execute(m))
}

func (n *importNode) execute(m *machine) error {
	u, err := m.named(n.stmt.name, false, n.stmt.line)
	if err != nil {
		return err
	}
	if err := m.enter(u.path); err != nil {
		return err
	}
	s := &scope{}
	if n.stmt.withContext {
		s = m.scope.child()
	}
	if _, err := m.capture(func() error { _, err := m.run(u, s); return err }); err != nil {
		return err
	}
	m.leave()
	mod := &module{u.path, s}
	if n.stmt.as != "" {
		m.scope.set(n.stmt.as, mod)
		return nil
	}
	for _, pair := range n.stmt.names {
		m.scope.set(pair[1], mod.attr(pair[0]))
	}
	return nil
}

// attr is a macro or variable of the module.
func (mod *module) attr(name string) any {
	if v, ok := mod.scope.own(name); ok && !strings.HasPrefix(name, "_") {
		return v
	}
	var names []string
	for _, v := range mod.scope.vars {
		if !strings.HasPrefix(v.name, "_") {
			names = append(names, v.name)
		}
	}
	u := &undefined{text: fmt.Sprintf("%s has no %q (%s)", workspace.Clip(mod.path, 80), workspace.Clip(name, 60), listed("it has", names))}
	if word := nearest.Word(name, names); word != "" {
		u.fix = fmt.Sprintf("did you mean %q?", word)
	}
	return u
}
