package importer

import (
	"reflect"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// rule is what becomes of a field of one of the three kinds, where it is not
// simply taken.
type rule struct {
	outcome Outcome
	// stored fields are kept and have no effect in this release.
	stored bool
	// drop takes the field out of what is written; block stops the object.
	drop, block  bool
	to, why, fix string
}

func ignore(why string) rule { return rule{outcome: Ignored, drop: true, why: why} }

func keep(why string) rule { return rule{outcome: Taken, stored: true, why: why} }

const (
	byServer = "the API server that it comes from set it"
	ofArgo   = "what Argo CD observed; Hawser observes for itself"
)

// metadataRules are those of all three kinds.
var metadataRules = map[string]rule{
	"apiVersion": {outcome: Taken}, "kind": {outcome: Taken},
	"metadata.uid": ignore(byServer), "metadata.resourceVersion": ignore(byServer), "metadata.generation": ignore(byServer),
	"metadata.creationTimestamp": ignore(byServer), "metadata.managedFields": ignore(byServer), "metadata.selfLink": ignore(byServer),
	"metadata.deletionGracePeriodSeconds": ignore(byServer),
	"metadata.generateName":               ignore("the name has been made already"),
	"metadata.deletionTimestamp": {outcome: Attention, drop: true, block: true, why: "Argo CD is deleting it",
		fix: "wait until it is gone, then import again"},
	"metadata.ownerReferences": {outcome: Translated, drop: true, to: "an object of its own",
		why: "what generated it does not generate here; its ApplicationSet is stored beside it"},
	"status": ignore(ofArgo),
}

// fieldRules are those of a kind, by the path without indexes. Fields of
// spec.sources[] are those of spec.source.
var fieldRules = map[string]map[string]rule{
	model.KindApplication: {
		"operation":                     ignore("an operation that Argo CD was asked for is not repeated here"),
		"spec.source.helm.version":      keep("it has no effect, as in Argo CD since 3.5: there is one Helm"),
		"spec.source.kustomize.version": {outcome: Taken, why: "it must be the version that the hub builds with"},
		"spec.sourceHydrator": {outcome: Attention, block: true, why: "this release does not hydrate sources",
			fix: "point spec.source at the branch with the rendered manifests"},
		"spec.info": keep("shown beside the application"),
	},
	model.KindAppProject: {
		"spec.roles": keep("kept for roles of projects, which a later release reads; grants of API tokens say who may do what now"),
	},
	model.KindApplicationSet: {
		"spec": keep(model.SetNotExpanded),
	},
}

// annotationRules are those of single annotations, by name, or by prefix when
// the name ends with a slash.
var annotationRules = map[string]rule{
	"kubectl.kubernetes.io/last-applied-configuration": ignore("kubectl's own note of what it applied"),
	"argocd.argoproj.io/refresh":                       ignore("asks Argo CD to look once; hawser app refresh does"),
	"argocd.argoproj.io/refresh-timestamp":             ignore("when Argo CD was asked to look"),
	"argocd.argoproj.io/hydrate":                       ignore("asks Argo CD to hydrate once"),
	"argocd.argoproj.io/hydrate-timestamp":             ignore("when Argo CD was asked to hydrate"),
	"argocd.argoproj.io/application-set-refresh":       ignore("asks Argo CD to look once"),
	"argocd.argoproj.io/tracking-id":                   ignore("it says which application of Argo CD applied this object; the hub keeps it now"),
	"argocd.argoproj.io/installation-id":               ignore("it says which Argo CD applied this object; the hub keeps it now"),
	"argocd.argoproj.io/skip-reconcile": {outcome: Attention, drop: true,
		why: "Argo CD leaves the application alone; after a handover Hawser would reconcile it",
		fix: "leave it in observe mode, or hand it over when it may be reconciled"},
	"notifications.argoproj.io/": keep("kept; a later release sends notifications"),
	"pref.argocd.argoproj.io/":   keep("a preference of Argo CD's console"),
	AnnotationPaused:             ignore("what a handover has paused in Argo CD; what it remembers is taken"),
	AnnotationPausedSet:          ignore("what a handover has paused in Argo CD; what it remembers is taken"),
}

func ruleOfAnnotation(name string) (rule, bool) {
	if r, ok := annotationRules[name]; ok {
		return r, true
	}
	prefix, _, _ := strings.Cut(name, "/")
	r, ok := annotationRules[prefix+"/"]
	return r, ok
}

// ruleOf finds the rule of a path of a kind.
func ruleOf(kind, path string) (rule, bool) {
	if r, ok := metadataRules[path]; ok {
		return r, true
	}
	if rest, ok := strings.CutPrefix(path, "spec.sources[]"); ok {
		path = "spec.source" + rest
	}
	r, ok := fieldRules[kind][path]
	return r, ok
}

var typeOfKind = map[string]reflect.Type{
	model.KindApplication:    reflect.TypeFor[model.Application](),
	model.KindAppProject:     reflect.TypeFor[model.AppProject](),
	model.KindApplicationSet: reflect.TypeFor[model.ApplicationSet](),
}

// fieldOf is the type of a JSON field of a struct.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == name {
			return f.Type, true
		}
	}
	return nil, false
}

// Support is what this release does with a field.
type Support string

// The kinds of support.
const (
	Supported   Support = "supported"
	Stored      Support = "stored"
	NotUsed     Support = "ignored"
	Unsupported Support = "not supported"
)

// SupportOf says what is done with a field of Argo CD's Application, AppProject
// or ApplicationSet, whose path is written without indexes (spec.sources[].path,
// metadata.labels.*), and why when that is not everything. ruled is the path that
// decides for all below it.
func SupportOf(kind, path string) (s Support, why, ruled string) {
	parts := strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".")
	t := typeOfKind[kind]
	at := ""
	for _, p := range parts {
		switch {
		case p == "[]":
			at += "[]"
		case at == "":
			at = p
		default:
			at += "." + p
		}
		if r, ok := ruleOf(kind, at); ok {
			switch {
			case r.stored:
				return Stored, r.why, at
			case r.outcome == Ignored:
				return NotUsed, r.why, at
			case r.outcome == Attention:
				return Unsupported, r.why, at
			case r.why != "" || p == parts[len(parts)-1]:
				return Supported, r.why, at
			}
		}
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case p == "[]" || p == "*":
			if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
				t = t.Elem()
			}
		case t == reflect.TypeFor[model.IntOrString](), t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
			return Supported, "", path // kept as a whole
		case t.Kind() == reflect.Struct:
			next, ok := fieldOf(t, p)
			if !ok {
				return Unsupported, "Hawser has no such field", at
			}
			t = next
		default:
			return Unsupported, "Hawser has no such field", at
		}
	}
	return Supported, "", path
}
