package lua

import (
	"fmt"
	"slices"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"github.com/hawser-dev/hawser/shared/manifest"
)

// discovered reads what a discovery script returned: a table from the names of
// actions to what is said about them.
func (st *state) discovered(v glua.LValue) ([]Action, error) {
	t, ok := v.(*glua.LTable)
	if !ok {
		return nil, fmt.Errorf("the script returned %s; it must return a table of actions", article(v))
	}
	d := decoder{st: st}
	value, err := d.decode(t, nil)
	if err != nil {
		return nil, err
	}
	out := []Action{}
	switch value := value.(type) {
	case []any:
		if len(value) > 0 {
			return nil, fmt.Errorf("the script returned a list; it must return a table from names to actions")
		}
	case map[string]any:
		for name, item := range value {
			a, err := actionOf(name, item)
			if err != nil {
				return nil, fmt.Errorf("action %q: %w", clip(name), err)
			}
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b Action) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// actionOf reads one action. As in Argo CD a list says nothing, so it is an
// action without details: scripts write {paused} where they mean disabled.
func actionOf(name string, item any) (Action, error) {
	a := Action{Name: name, Params: []Param{}}
	if _, ok := item.([]any); ok {
		return a, nil
	}
	m, ok := item.(map[string]any)
	if !ok {
		return a, fmt.Errorf("it must be a table")
	}
	f := fields{m: m}
	f.text("name", &a.Name)
	f.text("displayName", &a.DisplayName)
	f.text("iconClass", &a.IconClass)
	f.boolean("disabled", &a.Disabled)
	params, there := f.get("params")
	list, ok := params.([]any)
	if there && !ok {
		return a, fmt.Errorf("params must be a list")
	}
	for i, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return a, fmt.Errorf("params[%d] must be a table", i)
		}
		var p Param
		pf := fields{m: m, at: fmt.Sprintf("params[%d].", i)}
		pf.text("name", &p.Name)
		pf.hint("type", &p.Type)
		pf.hint("default", &p.Default)
		if pf.err != nil {
			return a, pf.err
		}
		a.Params = append(a.Params, p)
	}
	return a, f.err
}

// fields reads the fields of a decoded table. Names may be written in another
// case. The first error stays.
type fields struct {
	m   map[string]any
	at  string
	err error
}

func (f *fields) get(name string) (any, bool) {
	if v, ok := f.m[name]; ok {
		return v, true
	}
	for k, v := range f.m {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}

func (f *fields) text(name string, to *string) {
	v, ok := f.get(name)
	if !ok {
		return
	}
	s, ok := v.(string)
	if !ok && f.err == nil {
		f.err = fmt.Errorf("%s%s must be a string", f.at, name)
	}
	*to = s
}

// hint reads what forms show. Argo CD reads nothing but the names of parameters,
// so scripts write numbers, too; what has no short text is left out.
func (f *fields) hint(name string, to *string) {
	switch v, _ := f.get(name); v := v.(type) {
	case string:
		*to = v
	case int64, float64, bool:
		*to = string(manifest.AppendJSON(nil, v))
	}
}

func (f *fields) boolean(name string, to *bool) {
	v, ok := f.get(name)
	if !ok {
		return
	}
	b, ok := v.(bool)
	if !ok && f.err == nil {
		f.err = fmt.Errorf("%s%s must be true or false", f.at, name)
	}
	*to = b
}

// maxEffects bounds what one action may do.
const maxEffects = 100

// effects reads what an action script returned: the object itself, changed, or a
// list of operations with the object of each. obj is what the script was given.
func (st *state) effects(v glua.LValue, obj map[string]any) ([]Effect, error) {
	t, ok := v.(*glua.LTable)
	if !ok {
		return nil, fmt.Errorf("the script returned %s; it must return the object or a list of operations", article(v))
	}
	st.fill(t)
	d := decoder{st: st}
	if t.Len() == 0 {
		if k, _ := t.Next(glua.LNil); k == glua.LNil {
			return []Effect{}, nil // an empty list: nothing to do
		}
		e, err := d.effect(Patch, t, obj)
		if err != nil {
			return nil, err
		}
		return []Effect{e}, nil
	}
	if t.Len() > maxEffects {
		return nil, fmt.Errorf("the script returned %d operations; %d are allowed", t.Len(), maxEffects)
	}
	out := make([]Effect, 0, t.Len())
	for i := 1; i <= t.Len(); i++ {
		e, err := d.listed(t.RawGetInt(i), obj)
		if err != nil {
			return nil, fmt.Errorf("operation %d of the result: %w", i, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// listed reads {operation = …, resource = …}.
func (d *decoder) listed(v glua.LValue, obj map[string]any) (Effect, error) {
	var e Effect
	item, ok := v.(*glua.LTable)
	if !ok {
		return e, fmt.Errorf("it must be a table with operation and resource")
	}
	d.st.fill(item)
	name, err := textField(item, "operation")
	if err != nil {
		return e, err
	}
	op := Operation(name)
	if op != Patch && op != Create {
		return e, fmt.Errorf("unsupported operation %q; allowed are patch and create", clip(name))
	}
	resource, ok := item.RawGetString("resource").(*glua.LTable)
	if !ok {
		return e, fmt.Errorf("resource must be an object")
	}
	return d.effect(op, resource, obj)
}

func (d *decoder) effect(op Operation, t *glua.LTable, obj map[string]any) (Effect, error) {
	e := Effect{Operation: op}
	var old any
	if op == Patch {
		old = obj
	}
	v, err := d.decode(t, old)
	if err != nil {
		return e, err
	}
	body, ok := v.(map[string]any)
	if !ok {
		return e, fmt.Errorf("it must be an object")
	}
	for _, field := range []string{"apiVersion", "kind"} {
		if s, _ := body[field].(string); s == "" {
			return e, fmt.Errorf("the object has no %s", field)
		}
	}
	if op == Patch {
		if field := otherObject(body, obj); field != "" {
			return e, fmt.Errorf("a patch must be of the object that the action is run on, and its %s differs", field)
		}
	}
	e.Object = body
	return e, nil
}

// otherObject names the field in which two objects are not the same object.
func otherObject(a, b map[string]any) string {
	for _, field := range []string{"apiVersion", "kind"} {
		if a[field] != b[field] {
			return field
		}
	}
	am, _ := a["metadata"].(map[string]any)
	bm, _ := b["metadata"].(map[string]any)
	for _, field := range []string{"name", "namespace"} {
		x, _ := am[field].(string)
		y, _ := bm[field].(string)
		if x != y {
			return "metadata." + field
		}
	}
	return ""
}
