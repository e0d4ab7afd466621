package jinja

import (
	"fmt"

	"github.com/flosch/pongo2/v6"

	"github.com/hawser-dev/hawser/hub/render/workspace"
)

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
