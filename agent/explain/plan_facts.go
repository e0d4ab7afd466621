package explain

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// PlanOptions say whose objects are planned.
type PlanOptions struct {
	App         string
	Namespace   string // for objects that name none
	SyncOptions []string
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
	// and asks not to be) or refuse.
	Operation string `json:"operation"`
	Hook      bool   `json:"hook,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// PlanReport is what a sync would do, in order.
type PlanReport struct {
	Steps []PlanStep `json:"steps"`
	// OnFailure are the hooks that run when a step fails; OnDelete those around
	// the deletion of the application.
	OnFailure []PlanStep `json:"onFailure,omitempty"`
	OnDelete  []PlanStep `json:"onDelete,omitempty"`
	// Skipped are objects that no sync touches, such as tests of Helm.
	Skipped []PlanStep `json:"skipped,omitempty"`
}

// offlineRun is the run of a plan that nobody carries out.
const offlineRun = "plan"

// Plan plans the sync of desired objects over the live ones, all of which are
// taken for the application's: what is live and not desired is pruned, but for
// objects that others own or that carry the mark of another application. Without
// a cluster every kind counts as served.
func Plan(o PlanOptions, desired, present []manifest.Object) (PlanReport, error) {
	desired = slices.Clone(desired)
	manifest.SortForApply(desired)
	target := sync.Target{App: o.App, Namespace: o.Namespace, SyncOptions: o.SyncOptions}
	scope := scopeOf(append(slices.Clone(desired), present...))
	prepared := sync.Prepare(target, desired, scope)
	cluster := map[model.ObjectKey]manifest.Object{}
	for _, l := range present {
		key := l.Key
		if namespaced, _ := scope(key.GroupKind()); namespaced && key.Namespace == "" {
			key.Namespace = o.Namespace
		}
		cluster[key] = l
	}
	f := sync.PlanFacts{App: o.App, Run: offlineRun, Namespace: o.Namespace, NamespacePresence: live.Present}
	options := manifest.SyncOptions(o.SyncOptions, manifest.Object{})
	if strings.EqualFold(options["CreateNamespace"], "true") && o.Namespace != "" {
		f.CreateNamespace, f.NamespacePresence = true, live.Absent
		if _, ok := cluster[model.ObjectKey{Kind: "Namespace", Name: o.Namespace}]; ok {
			f.NamespacePresence = live.Present
		}
	}
	report := PlanReport{Steps: []PlanStep{}}
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
	f.Prune = pruned(o, cluster, wanted)
	plan := sync.BuildPlan(f)
	for _, s := range plan.Steps {
		switch {
		case s.Action == sync.Skip && slices.ContainsFunc(report.OnDelete, func(d PlanStep) bool { return d.key() == s.Key }):
		case s.Action == sync.Skip:
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
	return report, nil
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
	raw, err := json.Marshal(l.Body)
	if err != nil {
		return it, fault.Wrap(err, fault.Internal, "object_unreadable", "%s cannot be encoded", p.Key)
	}
	res, err := diff.Compare(diff.Input{Desired: body, Live: raw, RedactionKey: []byte(offlineRun)})
	if err != nil {
		return it, err
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

// pruned are the live objects that are not desired.
func pruned(o PlanOptions, cluster map[model.ObjectKey]manifest.Object, wanted map[model.ObjectKey]bool) []sync.PruneItem {
	var out []sync.PruneItem
	for key, l := range cluster {
		owner, _, marked := model.ParseTrackingID(l.Annotation(model.AnnotationTrackingID))
		meta, _ := l.Body["metadata"].(map[string]any)
		owners, _ := meta["ownerReferences"].([]any)
		if wanted[key] || marked && owner != o.App || len(owners) > 0 || l.Annotation(model.AnnotationHook) != "" {
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
		}
		out = append(out, it)
	}
	return out
}

var planWords = map[sync.Action]string{
	sync.Create: "create", sync.Configure: "configure", sync.Unchanged: "unchanged", sync.RunHook: "create", sync.Refuse: "refuse",
	sync.Prune: "prune", sync.PruneSkip: "keep", sync.Skip: "skip",
}

func planStep(s sync.Step) PlanStep {
	return PlanStep{Phase: string(s.Phase), Wave: s.Wave, Group: s.Key.Group, Kind: s.Key.Kind, Namespace: s.Key.Namespace, Name: s.Key.Name,
		Operation: planWords[s.Action], Hook: s.Action == sync.RunHook, Reason: s.Reason}
}

// scopeOf tells scopes without a cluster: CRDs among the objects say their own,
// Kubernetes' kinds are known, and the rest is namespaced.
func scopeOf(objs []manifest.Object) sync.Scope {
	defined := map[model.GroupKind]bool{}
	for _, o := range objs {
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
