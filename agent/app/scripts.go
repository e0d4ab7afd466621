package app

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hawser-dev/hawser/agent/lua"
	"github.com/hawser-dev/hawser/shared/customization"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// scripts are the resource customizations in force, compiled.
type scripts struct {
	current atomic.Pointer[lua.Scripts]
	// data is what they were compiled from; of the settings' goroutine.
	data model.Customizations
}

// health is a health.Override.
func (s *scripts) health(gk model.GroupKind, obj map[string]any) (model.HealthFacet, bool) {
	return s.current.Load().Health(gk, obj)
}

// use compiles customizations. One that cannot be used is left out, so that a
// mistake in one kind's does not take those of the others. kinds are those that
// health scripts came, went or changed for, where "*" stands for anything; all
// is set when that cannot be told.
func (s *scripts) use(data model.Customizations) (kinds []model.GroupKind, all bool, problems []error) {
	usable := data
	compiled, err := lua.Parse(data)
	if err != nil {
		usable = maps.Clone(data)
		for _, key := range slices.Sorted(maps.Keys(data)) {
			if _, err := lua.Parse(map[string]string{key: data[key]}); err != nil {
				delete(usable, key)
				for _, f := range faults(err) {
					problems = append(problems, f.WithField(key))
				}
			}
		}
		if compiled, err = lua.Parse(usable); err != nil {
			problems = append(problems, err)
			usable, compiled = nil, nil
		}
	}
	kinds, all = healthChanged(s.data, usable)
	s.data = usable
	s.current.Store(compiled)
	return kinds, all, problems
}

func faults(err error) []*fault.Error {
	var list fault.List
	if errors.As(err, &list) {
		return list
	}
	return []*fault.Error{fault.As(err)}
}

// healthChanged tells which kinds are judged differently.
func healthChanged(before, after model.Customizations) (kinds []model.GroupKind, all bool) {
	see := func(key string) {
		if before[key] == after[key] {
			return
		}
		k, _ := customization.ParseKey(key)
		switch {
		case key == customization.All:
			all = true
		case key == customization.SensitiveAnnotations: // a script may have shown one
			kinds = append(kinds, model.GroupKind{Kind: "Secret"})
		case k.Part == customization.Health:
			group, kind, grouped := strings.Cut(k.Kind, "_")
			if !grouped {
				group, kind = "", k.Kind
			}
			if gk := (model.GroupKind{Group: group, Kind: kind}); !slices.Contains(kinds, gk) {
				kinds = append(kinds, gk)
			}
		}
	}
	for key := range before {
		see(key)
	}
	for key := range after {
		see(key)
	}
	return kinds, all
}

// useScripts is a settings.User.
func (a *agent) useScripts(data model.Customizations) []error {
	kinds, all, problems := a.scripts.use(data)
	if a.observer == nil { // not yet: nothing was judged
		return problems
	}
	switch {
	case all:
		a.observer.SetHealth(a.scripts.health)
	case len(kinds) > 0:
		a.observer.SetHealth(a.scripts.health, kinds...)
	}
	return problems
}
