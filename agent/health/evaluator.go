package health

import (
	"fmt"

	"github.com/hawser-dev/hawser/shared/model"
)

// Override judges kinds in its own way, as users' scripts do. ok is false for
// objects that it has nothing to say about. It must not change the object. Asked
// about a nil object, it tells by ok whether it may have something to say about
// objects of the kind at all.
type Override func(gk model.GroupKind, obj map[string]any) (f model.HealthFacet, ok bool)

// Evaluator judges objects: by an override where it has something to say, else
// by the rules of this package. The zero value has no override. It may be used
// by several goroutines when its override may.
type Evaluator struct {
	Override Override
}

// Of judges one live object as the function Of does. An override that panics, or
// answers what is no health, makes the object Unknown and nothing else. An
// override may say what the deletion of an object waits for, and not that an
// object that is being deleted does well.
func (e Evaluator) Of(gk model.GroupKind, obj map[string]any) model.HealthFacet {
	if e.Override != nil {
		f, ok := e.ask(gk, obj)
		if ok && deleting(obj) && (f.Status == model.HealthHealthy || f.Status == model.HealthSuspended) {
			ok = false
		}
		if ok {
			f.Message = cut(f.Message)
			return f
		}
	}
	return Of(gk, obj)
}

// Overrides reports whether the override may have something to say about a kind.
func (e Evaluator) Overrides(gk model.GroupKind) bool {
	if e.Override == nil {
		return false
	}
	_, ok := e.ask(gk, nil)
	return ok
}

func (e Evaluator) ask(gk model.GroupKind, obj map[string]any) (f model.HealthFacet, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			f, ok = facet(model.HealthUnknown, fmt.Sprintf("the health script of %s failed: %v", gk, p)), true
		}
	}()
	f, ok = e.Override(gk, obj)
	if ok && !known(f.Status) {
		f = facet(model.HealthUnknown, fmt.Sprintf("the health script of %s answers status %q; it must be one of %v", gk, f.Status, model.HealthOrder))
	}
	f.Since = nil
	return f, ok
}

func known(h model.Health) bool {
	for _, v := range model.HealthOrder {
		if v == h {
			return true
		}
	}
	return false
}

func deleting(obj map[string]any) bool { return str(obj, "metadata", "deletionTimestamp") != "" }
