package jinja

import (
	"github.com/flosch/pongo2/v6"
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
