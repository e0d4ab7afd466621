package action

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/lua"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Action is what can be done with an object.
type Action = lua.Action

// Param is a parameter of an action.
type Param = lua.Param

// The operations of effects.
const (
	Patch  = lua.Patch
	Create = lua.Create
)

// Effect is one change that an action asks for.
type Effect struct {
	Operation lua.Operation
	// Object is the whole object as it should be: for a patch the live object
	// with what the action changes.
	Object map[string]any
	// Subresource that a patch is for: "status", or "" for the object itself.
	// Where a kind has no such subresource, the object itself is meant.
	Subresource string
}

// Set is all actions: the built-in ones and those of Scripts, which come first.
// Scripts for a kind take the place of its built-in actions, unless they ask to
// be merged with them. Its methods may be called by several goroutines.
type Set struct {
	// Scripts of people; nil has none.
	Scripts *lua.Scripts
}

// Discover lists what can be done with an object, by name; an empty list when
// there is nothing. obj is not changed.
func (s Set) Discover(gk model.GroupKind, obj map[string]any) ([]Action, error) {
	out, err := s.Scripts.Discover(gk, obj)
	if err != nil {
		return nil, err
	}
	if s.builtinsCount(gk) {
		for _, b := range builtins[gk] {
			taken := slices.ContainsFunc(out, func(a Action) bool { return a.Name == b.name })
			if a, ok := b.describe(obj); ok && !taken {
				out = append(out, a)
			}
		}
	}
	slices.SortFunc(out, func(a, b Action) int { return cmp.Compare(a.Name, b.Name) })
	if out == nil {
		out = []Action{}
	}
	return out, nil
}

// Actions is Discover in the words of agent/access.
func (s Set) Actions(gk model.GroupKind, obj map[string]any) ([]model.ResourceAction, error) {
	list, err := s.Discover(gk, obj)
	if err != nil {
		return nil, err
	}
	out := make([]model.ResourceAction, 0, len(list))
	for _, a := range list {
		r := model.ResourceAction{Name: a.Name, DisplayName: a.DisplayName, Disabled: a.Disabled}
		for _, p := range a.Params {
			r.Params = append(r.Params, p.Name)
		}
		out = append(out, r)
	}
	return out, nil
}

// builtinsCount reports whether the built-in actions of a kind are offered.
func (s Set) builtinsCount(gk model.GroupKind) bool {
	found, merge := s.Scripts.Actions(gk)
	return !found || merge
}

// Run says what an action would do, ready to be written. opID and now are the
// operation's. An action that is disabled in the object's state is not refused:
// it changes nothing, or what it says.
//
// Errors are fault.Errors: action_unknown, action_param_invalid,
// action_not_possible, action_script_failed.
func (s Set) Run(gk model.GroupKind, name string, params map[string]string, obj map[string]any, opID string, now time.Time) ([]Effect, error) {
	results, err := s.Results(gk, name, params, obj, opID, now)
	if err != nil {
		return nil, err
	}
	out := make([]Effect, 0, len(results))
	for _, r := range results {
		if r.Operation == Create {
			out = append(out, Effect{Operation: Create, Object: r.Object})
			continue
		}
		out = append(out, split(r.Object, obj)...)
	}
	return out, nil
}

// Results is what an action answers, for people: as Run, but a change of an
// object is one result, wherever it has to be written.
func (s Set) Results(gk model.GroupKind, name string, params map[string]string, obj map[string]any, opID string, now time.Time) ([]lua.Effect, error) {
	results, err := s.results(gk, name, params, obj, opID, now)
	for i, r := range results {
		if r.Operation == Create {
			results[i].Object = named(r.Object, opID)
		}
	}
	return results, err
}

func (s Set) results(gk model.GroupKind, name string, params map[string]string, obj map[string]any, opID string, now time.Time) ([]lua.Effect, error) {
	if s.Scripts.Has(gk, name) {
		return s.Scripts.Run(gk, name, params, obj, now)
	}
	var names []string
	if s.builtinsCount(gk) {
		for _, b := range builtins[gk] {
			if b.name == name {
				return runBuiltin(b, params, obj, opID, now)
			}
			names = append(names, b.name)
		}
	}
	if offered, err := s.Scripts.Discover(gk, obj); err == nil {
		for _, a := range offered {
			if a.Name == name {
				return nil, fault.New(fault.NotFound, "action_unknown", "the scripts for %s offer %q and have no action.lua for it", gk, name)
			}
			names = append(names, a.Name)
		}
	}
	return nil, unknown(gk, name, names)
}

func unknown(gk model.GroupKind, name string, names []string) error {
	err := fault.New(fault.NotFound, "action_unknown", "%s has no action %q", gk, name).WithField("action")
	if len(names) == 0 {
		return err.WithFound(name, "none: there are no actions for this kind")
	}
	slices.Sort(names)
	err = err.WithFound(name, strings.Join(slices.Compact(names), ", "))
	if near := nearest.Word(name, names); near != "" {
		return err.WithFix("did you mean %s?", near)
	}
	return err.WithFix("use one of %s", err.Allowed)
}

func runBuiltin(b builtin, params map[string]string, obj map[string]any, opID string, now time.Time) ([]lua.Effect, error) {
	known := []string{}
	if b.params != nil {
		for _, p := range b.params(obj) {
			known = append(known, p.Name)
		}
	}
	for p := range params {
		if !slices.Contains(known, p) {
			return nil, paramInvalid(p, "the action %q has no parameter %q%s", b.name, p, allowed(known))
		}
	}
	r := &request{obj: clone(obj).(map[string]any), params: params, opID: opID, now: now.UTC().Truncate(time.Second)}
	if err := b.run(r); err != nil {
		return nil, err
	}
	effects := r.created
	if !r.untouched {
		effects = append([]lua.Effect{{Operation: Patch, Object: r.obj}}, effects...)
	}
	return effects, nil
}

func allowed(names []string) string {
	if len(names) == 0 {
		return "; it has none"
	}
	return "; it has " + strings.Join(names, ", ")
}

func paramInvalid(name, format string, args ...any) error {
	return fault.New(fault.Invalid, "action_param_invalid", "%s", fmt.Sprintf(format, args...)).WithField("params." + name)
}

// split divides a change by where it has to be written: what changes the status
// goes to the subresource. An object that is as it
// was still is an effect, so that people see it.
func split(want, obj map[string]any) []Effect {
	if equal(want["status"], obj["status"]) {
		return []Effect{{Operation: Patch, Object: want}}
	}
	var out []Effect
	status := clone(obj).(map[string]any)
	put(status, "status", want["status"])
	rest := clone(want).(map[string]any)
	put(rest, "status", clone(obj["status"]))
	if !equal(rest, obj) {
		out = append(out, Effect{Operation: Patch, Object: rest})
	}
	return append(out, Effect{Operation: Patch, Object: status, Subresource: "status"})
}

func put(m map[string]any, key string, v any) {
	if v == nil {
		delete(m, key)
		return
	}
	m[key] = v
}

// suffix tells operations apart in names.
func suffix(opID string) string {
	sum := sha256.Sum256([]byte(opID))
	return hex.EncodeToString(sum[:5])
}

// named gives an object that has only a generateName a name of the operation.
func named(obj map[string]any, opID string) map[string]any {
	meta, _ := obj["metadata"].(map[string]any)
	prefix, _ := meta["generateName"].(string)
	if name, _ := meta["name"].(string); name != "" || prefix == "" {
		return obj
	}
	out := clone(obj).(map[string]any)
	meta = out["metadata"].(map[string]any)
	meta["name"] = limited(prefix, 253-10) + suffix(opID)
	delete(meta, "generateName")
	return out
}

// limited cuts a name so that something can be put behind it.
func limited(s string, n int) string {
	if len(s) > n {
		return strings.TrimRight(s[:n], "-.")
	}
	return s
}
