package sync

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Prepared is one object of a bundle with everything that planning needs, and
// without its body, which is decoded again when it is applied.
type Prepared struct {
	// Key has the namespace that the object will live in: the one it names, or
	// the application's, or none for cluster-scoped kinds.
	Key     model.ObjectKey
	Version string
	// Index is the object's place in the bundle.
	Index int
	// Hash identifies the body as it is applied.
	Hash model.Digest
	// Wave of the object; see BuildPlan for the waves of namespaces and CRDs.
	Wave int
	// Options are the sync options that apply to the object; nil when none. Objects
	// share them, so they must not be modified.
	Options map[string]string
	// Hook is the value of the hook annotation, or the phases of a hook of Helm;
	// such objects are not applied as part of the application. Phases are when it
	// is run; without any it never is.
	Hook     string
	Phases   []Phase
	Policies []HookPolicy
	// Generated: the hook has a generateName, which Key.Name holds; see HookKey.
	Generated bool
	// MigrateFrom is one more field manager whose fields become ours.
	MigrateFrom string
	// Defines is the kind that a CustomResourceDefinition brings.
	Defines model.GroupKind
	// Err says why the object cannot be applied, found without the API server.
	Err *fault.Error
}

// Option reports whether a sync option has the value, ignoring case.
func (p Prepared) Option(name, value string) bool { return strings.EqualFold(p.Options[name], value) }

// Target says whose objects are prepared.
type Target struct {
	App         string
	Namespace   string // for namespaced objects that name none
	SyncOptions []string
	// ClusterName is for messages.
	ClusterName string
}

// Scope answers whether a kind is namespaced. known is false when the cluster
// does not serve it or that cannot be found out now.
type Scope func(model.GroupKind) (namespaced, known bool)

// Prepare prepares the objects of a bundle in its order. Kinds that are not
// known yet take their scope from a CRD of the same bundle, or count as
// namespaced when they, or else the application, name a namespace.
func Prepare(t Target, objs []manifest.Object, scope Scope) []Prepared {
	defined := map[model.GroupKind]bool{}
	for _, o := range objs {
		if gk, namespaced, ok := definedKind(o); ok {
			defined[gk] = namespaced
		}
	}
	options := manifest.SyncOptions(t.SyncOptions, manifest.Object{}) // of objects without their own
	out := make([]Prepared, len(objs))
	seen := make(map[model.ObjectKey]bool, len(objs))
	for i, o := range objs {
		mark := hookOf(o)
		p := Prepared{Version: o.Version, Index: i, Hook: mark.raw, Phases: mark.phases, Policies: mark.policies, Wave: helmWave(o), Err: mark.err}
		if meta, _ := o.Body["metadata"].(map[string]any); p.Hook != "" && meta["name"] == nil && meta["generateName"] != nil {
			p.Generated = true
		}
		namespaced, known := scope(o.Key.GroupKind())
		if !known {
			if namespaced, known = defined[o.Key.GroupKind()]; !known {
				namespaced = true
			}
		}
		p.Key = placed(o.Key, t.Namespace, namespaced)
		if p.Key.Namespace == "" && namespaced && known && p.Err == nil {
			p.Err = fault.New(fault.Unprocessable, "namespace_missing", "%s %q has no namespace and the application sets none", o.Key.Kind, o.Key.Name).
				WithField("spec.destination.namespace").WithFix("set metadata.namespace or the application's spec.destination.namespace")
		}
		if w := o.Annotation(model.AnnotationSyncWave); w != "" {
			n, err := strconv.Atoi(strings.TrimSpace(w))
			if err != nil && p.Err == nil {
				p.Err = fault.New(fault.Unprocessable, "wave_invalid", "%s: the sync wave %q is not an integer", p.Key, clip(w, 40)).
					WithField("metadata.annotations")
			}
			p.Wave = n
		}
		switch {
		case o.Annotation(model.AnnotationSyncOptions) != "":
			p.Options = manifest.SyncOptions(t.SyncOptions, o)
		case len(options) > 0:
			p.Options = options
		}
		p.MigrateFrom = o.Annotation(annotationMigrateFrom)
		if gk, _, ok := definedKind(o); ok {
			p.Defines = gk
		}
		if seen[p.Key] && p.Err == nil && !p.Generated {
			p.Err = fault.New(fault.Unprocessable, "duplicate_object", "%s is defined twice: once with its namespace and once without", p.Key)
		}
		seen[p.Key] = true
		if field := notBase64(o); field != "" && p.Err == nil {
			p.Err = fault.New(fault.Unprocessable, "schema_invalid", "%s: %s must be a base64 string (value hidden)", p.Key, field).
				WithField(field).WithFix("encode the value, or write it under stringData")
		}
		p.Hash = manifest.Hash(Body(t.App, p.Key, o))
		out[i] = p
	}
	return out
}

// annotationMigrateFrom names a field manager beside kubectl's whose fields are
// taken over when the object is applied.
const annotationMigrateFrom = "argocd.argoproj.io/client-side-apply-migration-manager"

// notBase64 is the first field of a Secret's data that the API server could not
// decode; it answers that with an internal error that says nothing.
func notBase64(o manifest.Object) string {
	if o.Key.GroupKind() != (model.GroupKind{Kind: "Secret"}) { // others may have data of any kind
		return ""
	}
	data, _ := o.Body["data"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(data)) {
		text, ok := data[name].(string)
		if _, err := base64.StdEncoding.DecodeString(text); data[name] != nil && (!ok || err != nil) {
			return "data." + name
		}
	}
	return ""
}

func placed(k model.ObjectKey, appNamespace string, namespaced bool) model.ObjectKey {
	if !namespaced {
		k.Namespace = ""
	} else if k.Namespace == "" {
		k.Namespace = appNamespace
	}
	return k
}

// Body is the object as it is compared and applied: normalised, in its
// namespace, with the tracking annotation. The argument is not modified.
func Body(app string, key model.ObjectKey, o manifest.Object) map[string]any {
	body := diff.Normalise(o.Body)
	old, _ := body["metadata"].(map[string]any)
	meta := maps.Clone(old)
	if meta == nil {
		meta = map[string]any{}
	}
	annotations, _ := meta["annotations"].(map[string]any)
	annotations = maps.Clone(annotations)
	if annotations == nil {
		annotations = map[string]any{}
	}
	annotations[model.AnnotationTrackingID] = model.TrackingID(app, key)
	meta["annotations"] = annotations
	meta["name"] = key.Name
	if key.Namespace == "" {
		delete(meta, "namespace")
	} else {
		meta["namespace"] = key.Namespace
	}
	body["metadata"] = meta
	return body
}

// definedKind reads the kind that a CustomResourceDefinition brings.
func definedKind(o manifest.Object) (gk model.GroupKind, namespaced, ok bool) {
	if !isCRD(o.Key.GroupKind()) {
		return model.GroupKind{}, false, false
	}
	spec, _ := o.Body["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	gk.Group, _ = spec["group"].(string)
	gk.Kind, _ = names["kind"].(string)
	scope, _ := spec["scope"].(string)
	return gk, scope == "Namespaced", gk.Group != "" && gk.Kind != ""
}

func isCRD(gk model.GroupKind) bool {
	return gk.Group == "apiextensions.k8s.io" && gk.Kind == "CustomResourceDefinition"
}

func isNamespace(gk model.GroupKind) bool { return gk.Group == "" && gk.Kind == "Namespace" }

func namespaceKey(name string) model.ObjectKey { return model.ObjectKey{Kind: "Namespace", Name: name} }

// clip shortens s to n bytes for a message.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// ScopeFrom makes a Scope of a lookup of served kinds.
func ScopeFrom(kind func(model.GroupKind) (live.Kind, error)) Scope {
	return func(gk model.GroupKind) (bool, bool) {
		k, err := kind(gk)
		return k.Namespaced, err == nil
	}
}

// WaveOf reads the value of a sync-wave annotation; what is no integer is 0.
func WaveOf(annotation string) int {
	n, err := strconv.Atoi(strings.TrimSpace(annotation))
	if err != nil {
		return 0
	}
	return n
}
