package jinja

import (
	"fmt"

	"github.com/flosch/pongo2/v6"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/nearest"
)

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
