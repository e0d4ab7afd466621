package health

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Most custom kinds are judged by rules: a list of steps, each of which looks at
// one aspect of an object. The first that has something to say decides. A rule
// reads as the documentation of the kind does:
//
//	judge(suspended("spec.suspend"), stale, when("Issuing", yes).is(inProgress), ready)
//
// What no step has anything to say about has just been created, or its
// controller is not installed: it is Progressing.

// step looks at one aspect; ok is false when it has nothing to say.
type step func(obj map[string]any) (f model.HealthFacet, ok bool)

// family is the rules of one API group, by kind.
type family map[string]check

const (
	yes     = "True"
	no      = "False"
	unknown = "Unknown"

	ok         = model.HealthHealthy
	failed     = model.HealthDegraded
	inProgress = model.HealthProgressing
	paused     = model.HealthSuspended
	undefined  = model.HealthUnknown
)

const waitingForStatus = "waiting for its controller to report a status"

// judge makes a check of steps.
func judge(steps ...step) check {
	return func(obj map[string]any) model.HealthFacet {
		for _, s := range steps {
			if f, said := s(obj); said {
				if f.Status == ok {
					f.Message = "" // that it is well says enough
				}
				return f
			}
		}
		return progressing(waitingForStatus)
	}
}

// say is an answer.
func say(h model.Health, message string) (model.HealthFacet, bool) {
	return facet(h, message), true
}

func nothing() (model.HealthFacet, bool) { return model.HealthFacet{}, false }

// any of several checks: the steps of one rule as a step of another.
func steps(ss ...step) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		for _, s := range ss {
			if f, said := s(obj); said {
				return f, true
			}
		}
		return nothing()
	}
}

// only asks the steps for objects that test is true of.
func only(test func(obj map[string]any) bool, ss ...step) step {
	all := steps(ss...)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		if !test(obj) {
			return nothing()
		}
		return all(obj)
	}
}

// otherwise ends a list of steps.
func otherwise(h model.Health, message string) step {
	return func(map[string]any) (model.HealthFacet, bool) { return say(h, message) }
}

// exists is for kinds that do nothing by themselves, and for those that say
// nothing of how they do.
var exists = judge(otherwise(ok, ""))

func dotted(path string) []string { return strings.Split(path, ".") }

// suspended: the boolean at path is true.
func suspended(path string) step { return flag(path, paused, path+" is set") }

// flag says h when the boolean at path is true.
func flag(path string, h model.Health, message string) step {
	p := dotted(path)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		if b, _ := at(obj, p...).(bool); !b {
			return nothing()
		}
		return say(h, message)
	}
}

// unset says h when the boolean at path is there and false.
func unset(path string, h model.Health, message string) step {
	p := dotted(path)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		if b, is := at(obj, p...).(bool); b || !is {
			return nothing()
		}
		return say(h, message)
	}
}

// annotated says h when an annotation has the value.
func annotated(name, value string, h model.Health) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		if annotation(obj, name) != value {
			return nothing()
		}
		return say(h, "annotation "+name+" is "+value)
	}
}

// stale: the controller has not seen the latest change. Controllers that do not
// say what they have seen are believed.
func stale(obj map[string]any) (model.HealthFacet, bool) {
	if behind(obj, at(obj, "status")) {
		return say(inProgress, waitingForController)
	}
	return nothing()
}

// staleCondition is stale for controllers that note the generation in each
// condition only. It is for kinds whose documentation promises that it is kept
// up to date.
func staleCondition(types ...string) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		for _, t := range types {
			if c := conditionOf(obj, t); c.behind {
				return say(inProgress, waitingForController)
			}
		}
		return nothing()
	}
}

// behind reports whether seen, a status or a condition, is about an older
// generation of the object.
func behind(obj map[string]any, seen any) bool {
	m, _ := seen.(map[string]any)
	n, has := integerOK(m, "observedGeneration")
	return has && n < integer(obj, "metadata", "generation")
}

// conditionIs is the beginning of a step about a condition of a type and status,
// and perhaps for some reasons.
type conditionIs struct {
	typ, status string
	reasons     []string
}

func when(typ, status string) conditionIs { return conditionIs{typ: typ, status: status} }

// because narrows to some reasons.
func (w conditionIs) because(reasons ...string) conditionIs {
	w.reasons = reasons
	return w
}

func (w conditionIs) is(h model.Health) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		// Some controllers list a type more than once.
		for _, v := range list(obj, "status", "conditions") {
			c, _ := v.(map[string]any)
			if c == nil || str(c, "type") != w.typ || conditionStatus(c) != w.status || w.reasons != nil && !contains(w.reasons, str(c, "reason")) {
				continue
			}
			return say(h, readCondition(obj, c).text())
		}
		return nothing()
	}
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// condition3 is the common reading of a condition: True is Healthy, False is
// Degraded, Unknown is Progressing.
func condition3(typ string) step {
	return steps(when(typ, yes).is(ok), when(typ, no).is(failed), when(typ, unknown).is(inProgress))
}

// conditionOK is for conditions whose False is a matter of time.
func conditionOK(typ string) step {
	return steps(when(typ, yes).is(ok), when(typ, no).is(inProgress), when(typ, unknown).is(inProgress))
}

// ready is condition Ready.
var ready = condition3("Ready")

// anyCondition says h when any condition has the status, except those of the
// types.
func anyCondition(status string, h model.Health, except ...string) step {
	return func(obj map[string]any) (model.HealthFacet, bool) {
		for _, c := range conditions(obj) {
			if c.status == status && !contains(except, c.typ) {
				return say(h, c.typ+": "+c.text())
			}
		}
		return nothing()
	}
}

// words maps a word in a status to health; "*" stands for all others, and ""
// for none.
type words map[string]model.Health

// word reads a word at path. The message is one that the status has, or else the
// word.
func word(path string, meaning words) step {
	p := dotted(path)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		w := str(obj, p...)
		h, known := meaning[w]
		if !known && w != "" {
			h, known = meaning["*"]
		}
		if !known {
			return nothing()
		}
		return say(h, explained(obj, w))
	}
}

// explained adds what the status says to a word of it.
func explained(obj map[string]any, w string) string {
	for _, field := range []string{"message", "reason", "error", "errorMessage", "failureReason", "phaseReason", "description"} {
		if m := str(obj, "status", field); m != "" && m != w {
			if w == "" {
				return m
			}
			return w + ": " + m
		}
	}
	return w
}

// has reports whether something is at path.
func has(path string) func(obj map[string]any) bool {
	p := dotted(path)
	return func(obj map[string]any) bool {
		v := at(obj, p...)
		if s, is := v.(string); is {
			return s != ""
		}
		return v != nil
	}
}

// not is the opposite of a test.
func not(test func(obj map[string]any) bool) func(obj map[string]any) bool {
	return func(obj map[string]any) bool { return !test(obj) }
}

// numbers compares two counts of a status: Healthy when there are as many as
// wanted. It has nothing to say while have is not reported.
func numbers(have, want, what string) step {
	h, w := dotted(have), dotted(want)
	return func(obj map[string]any) (model.HealthFacet, bool) {
		n, known := integerOK(obj, h...)
		m, wanted := integerOK(obj, w...)
		switch {
		case !known && (!wanted || m > 0):
			return nothing()
		case n < m:
			return progressingStep("%d of %d %s", n, m, what)
		}
		return say(ok, "")
	}
}

func progressingStep(format string, args ...any) (model.HealthFacet, bool) {
	return progressing(format, args...), true
}

// notEmpty reports whether the list at path has elements.
func notEmpty(path string) func(obj map[string]any) bool {
	p := dotted(path)
	return func(obj map[string]any) bool { return len(list(obj, p...)) > 0 }
}
