package lua

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	glua "github.com/yuin/gopher-lua"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Scripts are all scripts of one source, compiled. A nil Scripts has none. It
// may be used by several goroutines at a time; a run that finds all states busy
// waits for one.
type Scripts struct {
	health  index[*program]
	actions index[*actions]

	// Ignore holds the ignoreDifferences rules that came with the scripts. Group
	// and Kind may have "*".
	Ignore []model.IgnoreDifferences
	// Warnings are for people: what was read and has no effect.
	Warnings []string
	// Print receives what scripts print, line by line; nil drops it. It must be
	// set before the first run.
	Print func(line string)

	// sensitive are annotations of Secrets whose values scripts do not see.
	sensitive []string
	// free has a place for each state that may exist; nil is one not made yet.
	free chan *state
	// now is for tests.
	now func() time.Time
}

// actions are the actions of one kind.
type actions struct {
	discovery *program
	run       map[string]*program
	merge     bool
}

// maxStates bounds how many scripts run at once, and with it the memory that
// they can take together.
const maxStates = 4

func newScripts() *Scripts {
	n := min(maxStates, max(1, runtime.GOMAXPROCS(0)))
	s := &Scripts{free: make(chan *state, n), now: time.Now}
	for range n {
		s.free <- nil
	}
	return s
}

// Empty reports whether there is neither a script nor a rule.
func (s *Scripts) Empty() bool {
	return s == nil || s.health.empty() && s.actions.empty() && len(s.Ignore) == 0
}

// with lends a state to do.
func (s *Scripts) with(do func(*state) error) error {
	st := <-s.free
	defer func() { s.free <- st }() // nil when a panic of ours goes through
	if st == nil {
		st = newState()
	}
	used := st
	st = nil
	err := do(used)
	if !broken(err) {
		used.finish()
		st = used
	}
	return err
}

// Health judges an object by the script for its kind; false when there is none.
// obj is not changed. Since is not set. What a script answers that is no health
// becomes Unknown, with the reason; one that returns nothing, or an empty table, says
// that the object has no health, as in Argo CD (util/lua). A script may say what the deletion of an
// object waits for; one that calls an object well that is being deleted did not
// think of that, and counts as none. Messages have at most 4 KiB.
func (s *Scripts) Health(gk model.GroupKind, obj map[string]any) (model.HealthFacet, bool) {
	if s == nil {
		return model.HealthFacet{}, false
	}
	p, ok := s.health.find(gk)
	if !ok {
		return model.HealthFacet{}, false
	}
	var f model.HealthFacet
	err := s.with(func(st *state) error {
		v, err := st.run(p, input{obj: conceal(gk, obj, s.sensitive), now: s.now, print: s.Print})
		if err != nil {
			return err
		}
		f, err = st.verdict(v)
		return err
	})
	if err != nil {
		return model.HealthFacet{Status: model.HealthUnknown, Message: explain(p, err)}, true
	}
	if deleting(obj) && (f.Status == "" || f.Status == model.HealthHealthy || f.Status == model.HealthSuspended) {
		return model.HealthFacet{}, false
	}
	return f, true
}

// HealthScript names the script that judges a kind, by its place; "" when there
// is none.
func (s *Scripts) HealthScript(gk model.GroupKind) string {
	if s == nil {
		return ""
	}
	p, ok := s.health.find(gk)
	if !ok {
		return ""
	}
	return p.name
}

// explain names the script, unless the message does already.
func explain(p *program, err error) string {
	if strings.HasPrefix(err.Error(), p.name) {
		return err.Error()
	}
	return p.name + ": " + err.Error()
}

func deleting(obj map[string]any) bool {
	meta, _ := obj["metadata"].(map[string]any)
	at, _ := meta["deletionTimestamp"].(string)
	return at != ""
}

const maxMessage = 4096

// invalidStatus is Argo CD's message for it.
const invalidStatus = "Lua returned an invalid health status"

// verdict reads what a health script returned.
func (st *state) verdict(v glua.LValue) (model.HealthFacet, error) {
	var f model.HealthFacet
	t, ok := v.(*glua.LTable)
	if v.Type() == glua.LTNil {
		return f, nil
	}
	if !ok {
		return f, fmt.Errorf("the script returned %s; it must return a table with status and message", article(v))
	}
	st.fill(t)
	if empty(t) {
		return f, nil
	}
	if t.Len() > 0 {
		return f, fmt.Errorf("the script returned a list; it must return a table with status and message")
	}
	status, err := textField(t, "status")
	if err != nil {
		return f, err
	}
	if f.Message, err = textField(t, "message"); err != nil {
		return f, err
	}
	if len(f.Message) > maxMessage {
		f.Message = strings.ToValidUTF8(f.Message[:maxMessage], "") + "…"
	}
	f.Message = strings.ToValidUTF8(f.Message, "�")
	f.Status = model.Health(status)
	if !slices.Contains(model.HealthOrder, f.Status) {
		return model.HealthFacet{Status: model.HealthUnknown, Message: invalidStatus}, nil
	}
	return f, nil
}

func empty(t *glua.LTable) bool {
	k, _ := t.Next(glua.LNil)
	return k == glua.LNil
}

func article(v glua.LValue) string {
	if v.Type() == glua.LTNil {
		return "nothing"
	}
	return "a " + v.Type().String()
}

// textField is a field of a result. As in Argo CD, whose results go through
// JSON, its name may be written in another case.
func textField(t *glua.LTable, name string) (string, error) {
	v := t.RawGetString(name)
	for k, item := t.Next(glua.LNil); v == glua.LNil && k != glua.LNil; k, item = t.Next(k) {
		if s, ok := k.(glua.LString); ok && strings.EqualFold(string(s), name) {
			v = item
		}
	}
	switch v := v.(type) {
	case *glua.LNilType:
		return "", nil
	case glua.LString:
		return string(v), nil
	}
	return "", fmt.Errorf("%s is %s; it must be a string", name, article(v))
}

// Actions reports whether there are action scripts for the kind, and whether
// they are offered beside the built-in actions or in their place.
func (s *Scripts) Actions(gk model.GroupKind) (found, merge bool) {
	if s == nil {
		return false, false
	}
	a, ok := s.actions.find(gk)
	return ok, ok && a.merge
}

// Discover lists the actions that scripts offer for an object, by name. obj is
// not changed.
func (s *Scripts) Discover(gk model.GroupKind, obj map[string]any) ([]Action, error) {
	if s == nil {
		return nil, nil
	}
	a, ok := s.actions.find(gk)
	if !ok || a.discovery == nil {
		return nil, nil
	}
	var out []Action
	err := s.with(func(st *state) error {
		v, err := st.run(a.discovery, input{obj: conceal(gk, obj, s.sensitive), now: s.now, print: s.Print})
		if err != nil {
			return err
		}
		out, err = st.discovered(v)
		return err
	})
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "action_script_failed", "%s", explain(a.discovery, err))
	}
	return out, nil
}

// Has reports whether there is a script for the action.
func (s *Scripts) Has(gk model.GroupKind, name string) bool {
	if s == nil {
		return false
	}
	a, ok := s.actions.find(gk)
	return ok && a.run[name] != nil
}

// Run says what the script of an action would do. obj is not changed. The
// result depends on the arguments alone: scripts that ask for the time get now,
// and the same random numbers for the same now.
func (s *Scripts) Run(gk model.GroupKind, name string, params map[string]string, obj map[string]any, now time.Time) ([]Effect, error) {
	if !s.Has(gk, name) {
		return nil, fault.New(fault.NotFound, "action_unknown", "%s has no action script %q", gk, name)
	}
	a, _ := s.actions.find(gk)
	p := a.run[name]
	if params == nil {
		params = map[string]string{}
	}
	seen := conceal(gk, obj, s.sensitive)
	var out []Effect
	err := s.with(func(st *state) error {
		v, err := st.run(p, input{obj: seen, params: params, now: func() time.Time { return now }, print: s.Print})
		if err != nil {
			return err
		}
		out, err = st.effects(v, seen)
		return err
	})
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "action_script_failed", "%s", explain(p, err))
	}
	for i := range out {
		reveal(gk, out[i], obj)
	}
	return out, nil
}

// index finds what is said about a kind.
type index[T any] struct {
	exact    map[model.GroupKind]T
	patterns []patterned[T]
	cache    sync.Map // model.GroupKind → T or nil
}

type patterned[T any] struct {
	group, kind string // with "*"
	value       T
}

func (x *index[T]) empty() bool { return len(x.exact) == 0 && len(x.patterns) == 0 }

// add registers value for a group and kind in which "*" stands for any text.
func (x *index[T]) add(group, kind string, value T) {
	if !strings.Contains(group+kind, "*") {
		if x.exact == nil {
			x.exact = map[model.GroupKind]T{}
		}
		x.exact[model.GroupKind{Group: group, Kind: kind}] = value
		return
	}
	x.patterns = slices.DeleteFunc(x.patterns, func(p patterned[T]) bool { return p.group == group && p.kind == kind })
	x.patterns = append(x.patterns, patterned[T]{group, kind, value})
	slices.SortStableFunc(x.patterns, func(a, b patterned[T]) int {
		if d := b.literal() - a.literal(); d != 0 {
			return d
		}
		return strings.Compare(a.group+"/"+a.kind, b.group+"/"+b.kind)
	})
}

// literal is how much of a pattern is not "*": of several that match, the one
// that says most wins.
func (p patterned[T]) literal() int {
	return len(p.group) + len(p.kind) - strings.Count(p.group+p.kind, "*")
}

// find is what holds for a kind: what names it, else the pattern that says most
// about it.
func (x *index[T]) find(gk model.GroupKind) (T, bool) {
	if v, ok := x.exact[gk]; ok {
		return v, true
	}
	var none T
	if len(x.patterns) == 0 {
		return none, false
	}
	if v, ok := x.cache.Load(gk); ok {
		t, found := v.(T)
		return t, found
	}
	for _, p := range x.patterns {
		if glob(p.group, gk.Group) && glob(p.kind, gk.Kind) {
			x.cache.Store(gk, p.value)
			return p.value, true
		}
	}
	x.cache.Store(gk, nil)
	return none, false
}

// glob reports whether s matches a pattern in which "*" is any text, dots
// included.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
