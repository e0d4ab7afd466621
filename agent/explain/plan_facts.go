package explain

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// PlanOptions say whose objects are planned.
type PlanOptions struct {
	// App is the application's name, as in tracking annotations; empty: the one
	// that most of the desired objects carry where they are live.
	App         string
	Namespace   string // for objects that name none
	SyncOptions []string

	rules  ignoreRules
	schema diff.Schema
}

// PlanStep is one step of a plan, as it is printed.
type PlanStep struct {
	Phase     string `json:"phase"`
	Wave      int    `json:"wave"`
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Operation is create, configure, unchanged, prune, keep (it would be pruned
	// and asks not to be), refuse, or hold: it is not tried because of what is
	// refused.
	Operation string `json:"operation"`
	Hook      bool   `json:"hook,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// PlanReport is what a sync would do, in order.
type PlanReport struct {
	// Steps end with those of OnFailure and OnDelete, which have phases of their
	// own.
	Steps []PlanStep `json:"steps"`
	// OnFailure are the hooks that run when a step fails; OnDelete those around
	// the deletion of the application.
	OnFailure []PlanStep `json:"onFailure,omitempty"`
	OnDelete  []PlanStep `json:"onDelete,omitempty"`
	// Skipped are objects that no sync touches, such as tests of Helm.
	Skipped []PlanStep `json:"skipped,omitempty"`

	// marked: it is known by tracking annotations which live objects are the
	// application's.
	marked bool
}

// offlineRun is the run of a plan that nobody carries out.
const offlineRun = "plan"

// defaultApp is the name of an application that nothing names.
const defaultApp = "app"

// Plan plans the sync of desired objects over the live ones. What is live, not
// desired and the application's by its tracking annotation is pruned. When neither
// o nor the live objects name the application, as when they were written by hand,
// those without such an annotation count as its own, but for what Kubernetes itself
// and controllers make. Without a cluster every kind counts as served.
func Plan(o PlanOptions, desired, present []manifest.Object) (PlanReport, error) {
	desired = slices.Clone(desired)
	manifest.SortForApply(desired)
	o.schema = diff.Schemas{o.schema, definitions(desired, present)}
	scope := scopeOf(desired, present)
	marked := o.App != ""
	if o.App == "" {
		o.App, marked = applicationOf(desired, present, scope, o.Namespace)
	}
	target := sync.Target{App: o.App, Namespace: o.Namespace, SyncOptions: o.SyncOptions}
	prepared := sync.Prepare(target, desired, scope)
	cluster := map[model.ObjectKey]manifest.Object{}
	for _, l := range present {
		cluster[placed(l.Key, scope, o.Namespace)] = l
	}
	f := sync.PlanFacts{App: o.App, Run: offlineRun, Namespace: o.Namespace, NamespacePresence: live.Present}
	options := manifest.SyncOptions(o.SyncOptions, manifest.Object{})
	if strings.EqualFold(options["CreateNamespace"], "true") && o.Namespace != "" {
		f.CreateNamespace, f.NamespacePresence = true, live.Absent
		if _, ok := cluster[model.ObjectKey{Kind: "Namespace", Name: o.Namespace}]; ok {
			f.NamespacePresence = live.Present
		}
	}
	report := PlanReport{Steps: []PlanStep{}, marked: marked}
	wanted := map[model.ObjectKey]bool{}
	for _, p := range prepared {
		wanted[p.Key] = true
		if p.Hook == "" {
			it, err := planItem(o, p, desired[p.Index], cluster)
			if err != nil {
				return PlanReport{}, err
			}
			f.Items = append(f.Items, it)
			continue
		}
		phases := p.SyncPhases()
		for _, phase := range phases {
			it := sync.Item{Prepared: p, Phase: phase, Kind: live.Kind{GroupKind: p.Key.GroupKind(), Version: p.Version}}
			it.Key = sync.HookKey(p, offlineRun, phase)
			wanted[it.Key] = true
			f.Items = append(f.Items, it)
		}
		if len(phases) == 0 {
			f.Items = append(f.Items, sync.Item{Prepared: p})
		}
		for _, phase := range p.Phases {
			if !slices.Contains(phases, phase) {
				report.OnDelete = append(report.OnDelete, PlanStep{Phase: string(phase), Wave: p.Wave, Group: p.Key.Group, Kind: p.Key.Kind, Namespace: p.Key.Namespace, Name: p.Key.Name, Operation: "create", Hook: true})
			}
		}
	}
	f.Prune = pruned(o, marked, cluster, wanted)
	plan := sync.BuildPlan(f)
	if len(plan.OnFailure) == 0 { // of a plan that is held back
		for _, s := range sync.BuildHooks(f, sync.PhaseSyncFail).Steps {
			if s.Action == sync.RunHook {
				s.Action, s.Reason = sync.Skip, heldBack+"nothing is tried that could fail"
				plan.OnFailure = append(plan.OnFailure, s)
			}
		}
	}
	for _, s := range plan.Steps {
		switch {
		case s.Action == sync.Skip && !held(s) && slices.ContainsFunc(report.OnDelete, func(d PlanStep) bool { return d.key() == s.Key }):
		case s.Action == sync.Skip && !held(s):
			report.Skipped = append(report.Skipped, planStep(s))
		default:
			report.Steps = append(report.Steps, planStep(s))
		}
	}
	for _, s := range plan.OnFailure {
		report.OnFailure = append(report.OnFailure, planStep(s))
	}
	slices.SortStableFunc(report.OnDelete, func(a, b PlanStep) int {
		if a.Phase != b.Phase {
			return strings.Compare(b.Phase, a.Phase) // PreDelete before PostDelete
		}
		return a.Wave - b.Wave
	})
	report.Steps = slices.Concat(report.Steps, report.OnFailure, report.OnDelete)
	return report, nil
}

// heldBack begins the reason of a step of a plan that fails as a whole.
const heldBack = "not tried, because "

func held(s sync.Step) bool {
	return (s.Action == sync.Skip || s.Action == sync.PruneSkip) && strings.HasPrefix(s.Reason, heldBack)
}

// placed is a live object's key as desired ones have it.
func placed(key model.ObjectKey, scope sync.Scope, namespace string) model.ObjectKey {
	if namespaced, _ := scope(key.GroupKind()); namespaced && key.Namespace == "" {
		key.Namespace = namespace
	}
	return key
}

// applicationOf is the application whose tracking annotation most of the desired
// objects carry where they are live; when none of them is live, the only one that
// live objects name. marked is false when that names none.
func applicationOf(desired, present []manifest.Object, scope sync.Scope, namespace string) (app string, marked bool) {
	wanted := map[model.ObjectKey]bool{}
	for _, d := range desired {
		wanted[placed(d.Key, scope, namespace)] = true
	}
	all, ours, some := map[string]bool{}, map[string]int{}, false
	for _, l := range present {
		key := placed(l.Key, scope, namespace)
		some = some || wanted[key]
		owner, named, ok := model.ParseTrackingID(l.Annotation(model.AnnotationTrackingID))
		if !ok || named != key {
			continue // a copy of another object's
		}
		all[owner] = true
		if wanted[key] {
			ours[owner]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if ours[name] > ours[app] {
			app = name
		}
	}
	if !some && len(all) == 1 {
		for app = range all {
		}
	}
	return cmp.Or(app, defaultApp), app != ""
}

func (s PlanStep) key() model.ObjectKey {
	return model.ObjectKey{Group: s.Group, Kind: s.Kind, Namespace: s.Namespace, Name: s.Name}
}

// planItem is a desired object with what is known of its live one.
func planItem(o PlanOptions, p sync.Prepared, want manifest.Object, cluster map[model.ObjectKey]manifest.Object) (sync.Item, error) {
	it := sync.Item{Prepared: p, Kind: live.Kind{GroupKind: p.Key.GroupKind(), Version: p.Version}, Presence: live.Absent}
	l, ok := cluster[p.Key]
	if !ok {
		return it, nil
	}
	it.Presence, it.UID, it.TrackingID = live.Present, "live", l.Annotation(model.AnnotationTrackingID)
	body := sync.Body(o.App, p.Key, want)
	if it.TrackingID == "" {
		// Written by hand or read from elsewhere: our mark is not what differs.
		it.TrackingID = model.TrackingID(o.App, p.Key)
		body = unmarked(body)
	}
	in, err := comparison(body, l, p.MigrateFrom, o.rules, o.schema)
	if err != nil {
		return it, err
	}
	it.Managers = in.Managers
	meta, _ := l.Body["metadata"].(map[string]any)
	it.Deleting = meta["deletionTimestamp"] != nil
	if p.Option("ClientSideApplyMigration", "false") {
		in.TakenOver = nil
	}
	res, err := diff.Compare(in)
	if err != nil {
		return it, err
	}
	if res.RuleFailed && !res.Same() {
		return it, ruleFailed(want, res)
	}
	it.Same = res.Same()
	return it, nil
}

// unmarked is a body as sync.Body makes it without the tracking annotation.
func unmarked(body map[string]any) map[string]any {
	meta, _ := body["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	delete(annotations, model.AnnotationTrackingID)
	if len(annotations) == 0 {
		delete(meta, "annotations")
	}
	return body
}

// pruned are the application's live objects that are not desired. marked: its own
// are those that carry its tracking annotation.
func pruned(o PlanOptions, marked bool, cluster map[model.ObjectKey]manifest.Object, wanted map[model.ObjectKey]bool) []sync.PruneItem {
	var out []sync.PruneItem
	for key, l := range cluster {
		meta, _ := l.Body["metadata"].(map[string]any)
		owners, _ := meta["ownerReferences"].([]any)
		if wanted[key] || len(owners) > 0 || l.Annotation(model.AnnotationHook) != "" || !marked && madeByCluster(key) {
			continue
		}
		if id := l.Annotation(model.AnnotationTrackingID); (marked || id != "") && id != model.TrackingID(o.App, key) {
			continue
		}
		own := manifest.SyncOptions(o.SyncOptions, l)
		it := sync.PruneItem{Key: key, Kind: live.Kind{GroupKind: key.GroupKind(), Version: l.Version}, UID: "live",
			Wave: sync.WaveOf(l.Annotation(model.AnnotationSyncWave)), Propagation: strings.ToLower(own["PrunePropagationPolicy"]), Last: strings.EqualFold(own["PruneLast"], "true")}
		switch {
		case strings.EqualFold(own["Prune"], "false"), sync.KeptByHelm(l):
			it.Skip = "it asks not to be pruned"
		case strings.EqualFold(own["Prune"], "confirm"):
			it.Skip = "it says Prune=confirm"
		case meta["deletionTimestamp"] != nil:
			it.Skip = "it is being deleted already"
		}
		out = append(out, it)
	}
	return out
}

// madeByCluster reports whether Kubernetes itself puts an object of that name in
// every namespace, or makes the namespace.
func madeByCluster(k model.ObjectKey) bool {
	switch k.GroupKind() {
	case model.GroupKind{Kind: "ConfigMap"}:
		return k.Name == "kube-root-ca.crt"
	case model.GroupKind{Kind: "ServiceAccount"}:
		return k.Name == "default"
	case model.GroupKind{Kind: "Service"}:
		return k.Name == "kubernetes" && k.Namespace == "default"
	case model.GroupKind{Kind: "Namespace"}:
		return k.Name == "default" || strings.HasPrefix(k.Name, "kube-")
	}
	return false
}

var planWords = map[sync.Action]string{
	sync.Create: "create", sync.Configure: "configure", sync.Unchanged: "unchanged", sync.RunHook: "create", sync.Refuse: "refuse",
	sync.Prune: "prune", sync.PruneSkip: "keep", sync.Skip: "skip",
}

func planStep(s sync.Step) PlanStep {
	operation := planWords[s.Action]
	if held(s) {
		operation = "hold"
	}
	return PlanStep{Phase: string(s.Phase), Wave: s.Wave, Group: s.Key.Group, Kind: s.Key.Kind, Namespace: s.Key.Namespace, Name: s.Key.Name,
		Operation: operation, Hook: s.Action == sync.RunHook || s.Run != "", Reason: s.Reason}
}

// scopeOf tells scopes without a cluster: CRDs among the objects say their own,
// Kubernetes' kinds are known, other kinds are as live objects of them, unless one
// has a namespace, and the rest is namespaced.
func scopeOf(desired, present []manifest.Object) sync.Scope {
	defined := map[model.GroupKind]bool{}
	for _, o := range present {
		gk := o.Key.GroupKind()
		if diff.BuiltIn().Type(apiVersionOf(o), gk.Kind) == nil && !manifest.ClusterScoped(gk) {
			defined[gk] = defined[gk] || o.Key.Namespace != ""
		}
	}
	for _, o := range desired {
		if namespaced, ok := defined[o.Key.GroupKind()]; ok {
			defined[o.Key.GroupKind()] = namespaced || o.Key.Namespace != ""
		}
	}
	for _, o := range append(slices.Clone(desired), present...) {
		if o.Key.Kind != "CustomResourceDefinition" {
			continue
		}
		spec, _ := o.Body["spec"].(map[string]any)
		names, _ := spec["names"].(map[string]any)
		group, _ := spec["group"].(string)
		kind, _ := names["kind"].(string)
		defined[model.GroupKind{Group: group, Kind: kind}] = spec["scope"] != "Cluster"
	}
	return func(gk model.GroupKind) (namespaced, known bool) {
		if namespaced, ok := defined[gk]; ok {
			return namespaced, true
		}
		return !manifest.ClusterScoped(gk), true
	}
}

func apiVersionOf(o manifest.Object) string {
	apiVersion, _ := o.Body["apiVersion"].(string)
	return apiVersion
}
