package diff

import (
	_ "embed"
	"maps"
	"strings"
	"sync"

	kjson "sigs.k8s.io/json"
)

// builtinTable describes the kinds that the API server itself defines. It was
// made from the types, OpenAPI definitions and defaulting functions of Kubernetes
// (Apache-2.0) by schemagen. Lines:
//
//	K apps/v1 Deployment apps/v1.Deployment    a kind and the type of its objects
//	T [!]meta/v1.LabelSelector                 a struct type; ! is replaced as a whole
//	replicas .? =1                             a field of the last type
//
// A field has a name, a type, "?" when it can be there and empty, and what the
// server fills in. Types are "." for strings, numbers and booleans as they are,
// q for quantities, t, u and d for times, times with microseconds and durations,
// x for bytes, i for number-or-string, * for anything, the name of a struct, {}T
// for maps, []T for lists that are replaced as a whole, [key,key]T for lists that
// merge by keys, [=]T for sets, !T for structs and maps that are replaced as a
// whole here, +T for those that are not here and elsewhere are, and ~T for a T or
// anything else.
//
//go:embed builtin.txt
var builtinTable string

// BuiltIn knows the kinds of the API server itself.
func BuiltIn() Schema { return builtin }

var builtin = &builtinSchema{types: map[string]*Type{}}

type builtinSchema struct {
	index sync.Once
	kinds map[string]string // "apps/v1 Deployment" → type
	lines map[string]string // type → its lines
	marks map[string]bool   // types that are atomic wherever they are used

	mu    sync.RWMutex
	types map[string]*Type // what has been asked for
}

func (s *builtinSchema) scan() {
	s.kinds, s.lines, s.marks = map[string]string{}, map[string]string{}, map[string]bool{}
	rest := builtinTable
	for rest != "" {
		line, after, _ := strings.Cut(rest, "\n")
		switch {
		case strings.HasPrefix(line, "K "):
			kind, typ := line[2:], ""
			if i := strings.LastIndexByte(kind, ' '); i > 0 {
				kind, typ = kind[:i], kind[i+1:]
			}
			s.kinds[kind] = typ
		case strings.HasPrefix(line, "T "):
			name, atomic := strings.CutPrefix(line[2:], "!")
			end := len(after)
			if strings.HasPrefix(after, "T ") {
				end = 0
			} else if i := strings.Index(after, "\nT "); i >= 0 {
				end = i + 1
			}
			s.lines[name], s.marks[name] = after[:end], atomic
			after = after[end:]
		}
		rest = after
	}
}

// Type implements Schema.
func (s *builtinSchema) Type(apiVersion, kind string) *Type {
	s.index.Do(s.scan)
	name, ok := s.kinds[apiVersion+" "+kind]
	if !ok {
		return nil
	}
	return s.named(name)
}

// named is the struct type of that name, or nil.
func (s *builtinSchema) named(name string) *Type {
	s.index.Do(s.scan)
	s.mu.RLock()
	t := s.types[name]
	s.mu.RUnlock()
	if t != nil {
		return t
	}
	if _, ok := s.lines[name]; !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Types that are being made are only seen by who holds the lock: they are
	// published together.
	making := map[string]*Type{}
	t = s.make(name, making)
	for n, m := range making {
		s.types[n] = m
	}
	return t
}

func (s *builtinSchema) make(name string, making map[string]*Type) *Type {
	if t := s.types[name]; t != nil {
		return t
	}
	if t := making[name]; t != nil {
		return t
	}
	t := &Type{shape: shapeStruct, name: name, fields: map[string]*fieldType{}, atomic: s.marks[name]}
	making[name] = t
	for line := range strings.Lines(s.lines[name]) {
		line = strings.TrimSuffix(line, "\n")
		fieldName, spec, _ := strings.Cut(line, " ")
		spec, def, hasDef := strings.Cut(spec, " =")
		spec, presence := strings.CutSuffix(spec, "?")
		f := &fieldType{presence: presence, hasDef: hasDef}
		if hasDef {
			if _, err := kjson.UnmarshalStrict([]byte(def), &f.def); err != nil {
				panic("diff: the table of built-in kinds has a default that is no JSON: " + line)
			}
			f.def = withInts(f.def)
		}
		f.typ = s.parse(spec, making)
		t.fields[fieldName] = f
	}
	adjust(t)
	return t
}

func (s *builtinSchema) parse(spec string, making map[string]*Type) *Type {
	switch spec {
	case ".", "i":
		return scalarType
	case "q":
		return quantityT
	case "t":
		return timeT
	case "u":
		return microTimeT
	case "d":
		return durationT
	case "x":
		return bytesT
	case "*":
		return anyType
	}
	switch {
	case spec[0] == '!':
		return s.parse(spec[1:], making).asAtomic()
	case spec[0] == '+':
		return s.parse(spec[1:], making).asGranular()
	case spec[0] == '~':
		return &Type{shape: shapeUnion, elem: s.parse(spec[1:], making), atomic: true}
	case strings.HasPrefix(spec, "{}"):
		return &Type{shape: shapeMap, elem: s.parse(spec[2:], making)}
	case spec[0] == '[':
		keys, elem, _ := strings.Cut(spec[1:], "]")
		t := &Type{shape: shapeList, elem: s.parse(elem, making), merge: mergeAtomic}
		switch keys {
		case "":
		case "=":
			t.merge = mergeSet
		default:
			t.merge, t.keys = mergeKeys, strings.Split(keys, ",")
		}
		return t
	}
	return s.make(spec, making)
}

// withInts turns whole floats into int64, as Decode has them.
func withInts(v any) any {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = withInts(e)
		}
	case []any:
		for i, e := range v {
			v[i] = withInts(e)
		}
	}
	return v
}

// adjust corrects what schemagen cannot see.
func adjust(t *Type) {
	switch t.name {
	case "v1.PersistentVolumeClaim": // as a template of a StatefulSet
		t.fields["apiVersion"] = &fieldType{typ: scalarType, hasDef: true, def: "v1"}
		t.fields["kind"] = &fieldType{typ: scalarType, hasDef: true, def: "PersistentVolumeClaim"}
	case "v1.Pod":
		t.refine("spec", map[string]any{"enableServiceLinks": true})
	case "v1.PersistentVolume":
		t.refine("spec", map[string]any{"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"})
	case "batch/v1.Job":
		t.refine("spec", map[string]any{"parallelism": int64(1), "backoffLimit": int64(6), "manualSelector": false,
			"completionMode": "NonIndexed", "suspend": false, "podReplacementPolicy": "TerminatingOrFailed"})
	case "autoscaling/v1.HorizontalPodAutoscaler": // by way of the metrics of v2
		t.refine("spec", map[string]any{"targetCPUUtilizationPercentage": int64(80)})
	case "autoscaling/v2.HorizontalPodAutoscalerBehavior":
		percent := map[string]any{"periodSeconds": int64(15), "type": "Percent", "value": int64(100)}
		pods := map[string]any{"periodSeconds": int64(15), "type": "Pods", "value": int64(4)}
		t.refine("scaleUp", map[string]any{"policies": []any{pods, percent}, "stabilizationWindowSeconds": int64(0)})
		t.refine("scaleDown", map[string]any{"policies": []any{percent}})
	}
}

// refine gives a field a type of its own, in which more is filled in than
// elsewhere.
func (t *Type) refine(name string, defaults map[string]any) {
	f := *t.fields[name]
	typ := *f.typ
	typ.fields = maps.Clone(typ.fields)
	for k, def := range defaults {
		g := *typ.fields[k]
		g.def, g.hasDef = def, true
		typ.fields[k] = &g
	}
	f.typ = &typ
	t.fields[name] = &f
}
