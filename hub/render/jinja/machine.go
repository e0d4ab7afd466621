package jinja

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/flosch/pongo2/v6"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Limits of one template with all that it includes. The worker's deadline and
// memory limit stand behind them.
const (
	// maxSteps is how many nodes, operations and items of loops are worked on.
	maxSteps = 5_000_000
	// maxMade is how many bytes values may have that are made on the way.
	maxMade = 256 << 20
	// maxValue is how long one value may be that is made on the way.
	maxValue = 16 << 20
	// maxIncludes is how deep templates and macros may be inside each other.
	maxIncludes = 50
	// maxRange is how many numbers range() gives, as in Jinja2's sandbox.
	maxRange = 100_000
)

// scope is a set of variables; what is not in it is in its parent. The first one
// of a template has none.
type scope struct {
	// vars in the order in which they were set. There are few, most often one or
	// two for a round of a loop; a map would cost more than looking through them.
	vars   []variable
	parent *scope
	// outside: values of the application and the build environment are visible.
	// A template that is imported without context does not see them.
	outside bool
}

type variable struct {
	name  string
	value any
	quiet bool // not told when messages list what is defined
}

func (s *scope) child() *scope { return &scope{parent: s, outside: s.outside} }

// own finds a variable of this scope.
func (s *scope) own(name string) (any, bool) {
	for i := range s.vars {
		if s.vars[i].name == name {
			return s.vars[i].value, true
		}
	}
	return nil, false
}

func (s *scope) set(name string, v any) { s.put(name, v, false) }

func (s *scope) put(name string, v any, quiet bool) {
	for i := range s.vars {
		if s.vars[i].name == name {
			s.vars[i].value = v
			return
		}
	}
	s.vars = append(s.vars, variable{name, v, quiet})
}

// frame is a template that runs, with those that it extends.
type frame struct {
	top    *scope
	blocks map[string][]*blockNode // the most derived first
	parent *unit                   // that the template extends, once it said so
	seen   []string                // templates of the chain
	inside int                     // blocks that run
}

// machine runs the templates of one source.
type machine struct {
	w      *workspace.Workspace
	set    *pongo2.TemplateSet
	units  map[string]*unit // by path; nil: there is none
	values *dict            // variables of the application
	own    map[string]any   // copies of them, which the template may change

	// of the template that runs
	ctx   *pongo2.ExecutionContext
	file  string
	line  int
	scope *scope
	frame *frame
	out   *output
	stack []string // templates and macros that run
	steps int
	most  int // of steps
	made  int64
}

func newMachine(w *workspace.Workspace, values *dict) (*machine, error) {
	set, err := newSet()
	if err != nil {
		return nil, err
	}
	return &machine{w: w, set: set, units: map[string]*unit{}, values: values, most: maxSteps}, nil
}

// context is what pongo2 hands to the nodes: only this machine. Templates cannot
// name it, because pongo2 evaluates no expression of theirs.
const contextKey = "hawser"

func machineOf(ctx *pongo2.ExecutionContext) *machine {
	m := ctx.Public[contextKey].(*machine)
	m.ctx = ctx
	return m
}

func (m *machine) problem(code, format string, args ...any) *fault.Error {
	return problem(code, m.file, m.line, format, args...)
}

func (m *machine) fail(format string, args ...any) error {
	return m.problem(codeError, format, args...)
}

// located gives an error of a value its place.
func (m *machine) located(err error) error {
	var e *fault.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return m.fail("%s", err.Error())
}

// step counts work.
func (m *machine) step() error {
	if m.steps++; m.steps > m.most {
		return m.fail("the template does more than %d steps", m.most)
	}
	return nil
}

// charge counts bytes of a value that is made.
func (m *machine) charge(n int) error {
	if n > maxValue || n < 0 {
		return m.problem(codeTooLarge, "a value of more than %d MiB", maxValue>>20)
	}
	if m.made += int64(n); m.made > maxMade {
		return m.problem(codeTooLarge, "the template makes more than %d MiB of values", maxMade>>20)
	}
	return nil
}

// chargeItems counts items of a list that is made.
func (m *machine) chargeItems(n int) error {
	if n < 0 || n > maxValue/16 {
		return m.problem(codeTooLarge, "a list of more than %d items", maxValue/16)
	}
	return m.charge(16 * n)
}

// defined refuses what is undefined.
func (m *machine) defined(v any) error {
	u, ok := v.(*undefined)
	if !ok || u.silent {
		return nil
	}
	at := u.at
	if at.line == 0 {
		at = place{m.file, m.line}
	}
	e := problem(codeUndefined, at.file, at.line, "%s", u.text)
	if u.fix != "" {
		return e.WithFix("%s", u.fix)
	}
	return e
}

// lookup finds a variable. What there is not is *undefined.
func (m *machine) lookup(s *scope, name string) (any, error) {
	for at := s; at != nil; at = at.parent {
		if v, ok := at.own(name); ok {
			return v, nil
		}
	}
	if s.outside {
		if v, ok := m.value(name); ok {
			return v, nil
		}
		if fact, ok := environment[name]; ok {
			v, err := m.w.Fact(fact)
			if err != nil {
				return nil, err
			}
			if v == "" && (fact == workspace.KubeVersion || fact == workspace.KubeAPIVersions) {
				return &undefined{text: fmt.Sprintf("%q is undefined: the cluster has not told yet", name), fix: "give it a default with |default(…)"}, nil
			}
			return v, nil
		}
	}
	if f, ok := globals[name]; ok {
		return f, nil
	}
	if name == "self" {
		return &blocks{m.frame}, nil
	}
	return m.missing(s, name), nil
}

// value is a variable of the application. What one template does to it is not
// seen by the next.
func (m *machine) value(name string) (any, bool) {
	if v, ok := m.own[name]; ok {
		return v, true
	}
	v, ok := m.values.get(name)
	if ok {
		v = copied(v)
		m.own[name] = v
	}
	return v, ok
}

// copied copies what fromYAML made.
func copied(v any) any {
	switch v := v.(type) {
	case *dict:
		out := newDict()
		for _, e := range v.entries {
			_ = out.set(e.key, copied(e.value)) // the keys were keys before
		}
		return out
	case *list:
		out := make([]any, len(v.items))
		for i, item := range v.items {
			out[i] = copied(item)
		}
		return newList(out)
	}
	return v
}

// missing explains that a variable is not defined.
func (m *machine) missing(s *scope, name string) *undefined {
	var names []string
	add := func(n string) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for at := s; at != nil; at = at.parent {
		for _, v := range at.vars {
			if !v.quiet {
				add(v.name)
			}
		}
	}
	_, isValue := m.values.get(name)
	if s.outside {
		for _, e := range m.values.entries {
			if n, ok := e.key.(string); ok {
				add(n)
			}
		}
	}
	u := &undefined{text: fmt.Sprintf("%q is undefined (%s)", workspace.Clip(name, 60), listed("defined", names)), at: place{m.file, m.line}}
	_, isFact := environment[name]
	switch {
	case !s.outside && (isValue || isFact):
		u.fix = "an imported template does not see the variables of the one that imports it: write {% import … with context %}, or pass it to the macro"
	case nearest.Word(name, names) != "":
		u.fix = fmt.Sprintf("did you mean %q?", nearest.Word(name, names))
	default:
		u.fix = fmt.Sprintf("set it in spec.source.jinja, or write %s|default(…)", workspace.Clip(name, 60))
	}
	return u
}

// listed is "label: a, b, c" of at most a line.
func listed(label string, names []string) string {
	if len(names) == 0 {
		return "nothing is " + label
	}
	text := ""
	for i, n := range names {
		if i > 0 {
			n = ", " + n
		}
		if len(text)+len(n) > 130 {
			return fmt.Sprintf("%s: %s and %d more", label, text, len(names)-i)
		}
		text += n
	}
	return label + ": " + text
}

// output is text that a template puts out.
type output struct {
	b       strings.Builder
	limit   int
	discard bool
	// lines are the places in the templates that the lines of the text came
	// from, when track is on: that of the first character that is no space.
	track bool
	lines []place
	begun bool // the last line has such a character
}

type place struct {
	file string
	line int
}

// write puts text out that comes from the line where the machine is. Text of a
// template, and nothing else, goes on with the lines of the template.
func (m *machine) write(s string, isText bool) error {
	o := m.out
	if o.discard || s == "" {
		return nil
	}
	if o.b.Len()+len(s) > o.limit {
		return m.problem(codeTooLarge, "the template puts out more than %d bytes", o.limit)
	}
	if o.track {
		at := place{m.file, m.line}
		if len(o.lines) == 0 {
			o.lines = append(o.lines, at)
		}
		for i := range len(s) {
			switch c := s[i]; {
			case c == '\n':
				if isText {
					at.line++
				}
				o.lines, o.begun = append(o.lines, at), false
			case !o.begun && c != ' ' && c != '\t':
				o.lines[len(o.lines)-1], o.begun = at, true
			}
		}
	}
	o.b.WriteString(s)
	return nil
}

// capture runs f and returns what it put out.
func (m *machine) capture(f func() error) (string, error) {
	before := m.out
	m.out = &output{limit: maxValue}
	err := f()
	s := m.out.b.String()
	m.out = before
	if err == nil {
		err = m.charge(len(s))
	}
	return s, err
}

// text is str() of a value.
func (m *machine) text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case *undefined:
		return "", m.defined(v)
	}
	w := &bounded{m: m}
	if err := writeValue(w, v, false, 0); err != nil {
		return "", m.located(err)
	}
	return w.b.String(), m.charge(w.b.Len())
}

// bounded is a writer that does not grow beyond what a value may have.
type bounded struct {
	m *machine
	b strings.Builder
}

func (w *bounded) WriteString(s string) (int, error) {
	if w.b.Len()+len(s) > maxValue {
		return 0, w.m.problem(codeTooLarge, "a value of more than %d MiB", maxValue>>20)
	}
	return w.b.WriteString(s)
}

// enter and leave keep account of templates and macros inside each other.
func (m *machine) enter(name string) error {
	m.stack = append(m.stack, name)
	if len(m.stack) <= maxIncludes {
		return nil
	}
	// The repeating end is what matters.
	tail := m.stack[len(m.stack)-4:]
	return m.fail("templates and macros inside each other, more than %d deep: … → %s", maxIncludes, strings.Join(tail, " → "))
}

func (m *machine) leave() { m.stack = m.stack[:len(m.stack)-1] }

// candidates are the paths that a template may mean by a name: "/x" is from the
// root of the repository, "./x" and "../x" from the template, and anything else
// from the directory of the source, as in Jinja2, or else from the template.
func (m *machine) candidates(name string) ([]string, error) {
	own := path.Dir(m.file)
	if own == "." {
		own = ""
	}
	dirs := []string{m.w.Dir, own}
	if name == "." || name == ".." || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") {
		dirs = dirs[1:]
	}
	var out []string
	for _, dir := range dirs {
		p, err := workspace.Confine("", dir, name)
		if err != nil {
			return nil, m.problem(codePath, "template %.100q: templates are files of this repository: write a path relative to the directory of the source, or from the root of the repository with a leading \"/\"", name)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// load finds and translates a template; nil when there is none.
func (m *machine) load(name string) (*unit, []string, error) {
	paths, err := m.candidates(name)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range paths {
		u, err := m.unit(p)
		if err != nil {
			return nil, nil, err
		}
		if u != nil {
			return u, paths, nil
		}
	}
	return nil, paths, nil
}

// unit returns the template at a path, nil when there is none.
func (m *machine) unit(p string) (*unit, error) {
	if u, ok := m.units[p]; ok {
		return u, nil
	}
	info, err := m.w.Host.Stat(workspace.Main, p)
	if err != nil {
		return nil, err
	}
	if !info.Exists || info.Dir || info.Broken {
		m.units[p] = nil
		return nil, nil
	}
	if limit := int64(m.w.Limits.Manifest.MaxBytes); limit > 0 && info.Size > limit {
		return nil, fault.New(fault.Unprocessable, codeTooLarge, "%s: the file has %d bytes; the limit is %d", workspace.Clip(p, 200), info.Size, limit)
	}
	data, err := m.w.Read(workspace.Main, p)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, problem(codeError, p, 1, "the template is not valid UTF-8")
	}
	u := &unit{path: p, text: string(data)}
	m.units[p] = u
	return u, nil
}

// prepare translates a template the first time that it runs.
func (m *machine) prepare(u *unit) error {
	if u.template != nil {
		return nil
	}
	return m.translate(u)
}

// run executes a template in a frame and scope of its own, and what it extends.
func (m *machine) run(u *unit, s *scope) (*frame, error) {
	if err := m.prepare(u); err != nil {
		return nil, err
	}
	f := &frame{top: s, blocks: map[string][]*blockNode{}, seen: []string{u.path}}
	f.add(u)
	saved := *m
	m.frame, m.scope = f, s
	err := m.root(u)
	for err == nil && f.parent != nil {
		u, f.parent = f.parent, nil
		m.out = saved.out // what the child put out outside its blocks is gone
		m.scope = s
		if err = m.prepare(u); err == nil {
			f.add(u)
			err = m.root(u)
		}
	}
	if err != nil {
		return nil, err // with the place where it happened
	}
	m.frame, m.scope, m.out, m.file, m.line = saved.frame, saved.scope, saved.out, saved.file, saved.line
	return f, nil
}

func (f *frame) add(u *unit) {
	for _, b := range u.blocks {
		f.blocks[b.stmt.name] = append(f.blocks[b.stmt.name], b)
	}
}

// root executes the nodes of one template.
func (m *machine) root(u *unit) error {
	m.file, m.line = u.path, 1
	return unwrap(errorOf(u.template.ExecuteWriterUnbuffered(pongo2.Context{contextKey: m}, nowhere{})))
}

// errorOf avoids an interface with a nil pointer in it.
func errorOf(err error) error {
	if p, ok := err.(*pongo2.Error); ok && p == nil {
		return nil
	}
	return err
}

// nowhere takes what pongo2 writes itself, which is nothing.
type nowhere struct{}

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
