package jinja

import (
	"fmt"
	"strings"

	"github.com/flosch/pongo2/v6"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/nearest"
)

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
