package sync

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Action is what a step does.
type Action string

// The actions.
const (
	Create    Action = "Create"    // apply; the object does not exist
	Configure Action = "Configure" // apply; it differs, or how it is cannot be known
	Unchanged Action = "Unchanged" // no request
	Skip      Action = "Skip"      // deliberately left alone
	Refuse    Action = "Refuse"    // cannot be applied; Err says why
	Prune     Action = "Prune"
	PruneSkip Action = "PruneSkip"
)

// Mode is how an object is written.
type Mode string

// The modes: server-side apply unless the options Replace or Replace and Force
// say otherwise.
const (
	ModeApply    Mode = ""
	ModeReplace  Mode = "Replace"
	ModeRecreate Mode = "Recreate"
)

// Item is what is known of one prepared object.
type Item struct {
	Prepared
	Kind live.Kind
	// KindErr is why Kind is not known: kind_unknown or kind_undetermined.
	KindErr  error
	Presence live.Presence
	// UID, ResourceVersion, TrackingID and Deleting of the live object.
	UID, ResourceVersion, TrackingID string
	Deleting                         bool
	// Same: the comparison found nothing to write.
	Same bool
}

// PruneItem is one object that is owned and no longer desired.
type PruneItem struct {
	Key  model.ObjectKey
	Kind live.Kind
	UID  string
	Wave int
	// Skip is the reason to keep the object; empty: delete it.
	Skip string
	// Propagation is foreground, background or orphan; empty: foreground.
	Propagation string
}

// PlanFacts is everything that a plan is made of.
type PlanFacts struct {
	App         string
	ClusterName string
	Items       []Item
	// Namespace is the application's namespace, to be created when
	// CreateNamespace is set. NamespacePresence is whether it exists.
	Namespace         string
	CreateNamespace   bool
	NamespacePresence live.Presence
	NamespaceMetadata *model.NamespaceMetadata
	// NamespaceSame: the namespace exists and already has that metadata.
	NamespaceSame bool
	Prune         []PruneItem
	// Selected limits the plan to some objects, as self-heal does; nil: all.
	Selected map[model.ObjectKey]bool
}

// Step is one thing to do.
type Step struct {
	Action  Action
	Key     model.ObjectKey
	Version string
	Kind    live.Kind
	// KindLater: the kind comes with a CRD of an earlier stage; look it up then.
	KindLater bool
	Wave      int
	// Stage orders the steps of a wave; steps of one stage run side by side.
	Stage int
	Mode  Mode
	// Index of the object in the bundle; -1 for a namespace that
	// CreateNamespace asks for, and for objects to prune.
	Index           int
	UID             string
	ResourceVersion string
	Propagation     string
	// Validate is false when the object asks not to be validated.
	Validate bool
	Reason   string
	Err      *fault.Error
}

// Plan is what a sync does, in order.
type Plan struct {
	App   string
	Steps []Step
	// NamespaceMetadata is for the step that makes the application's namespace.
	NamespaceMetadata *model.NamespaceMetadata
	// CheckHealth: there are several waves, so each waits until the one before
	// is healthy.
	CheckHealth bool
}

// Stages of a wave. Objects of one stage do not need each other to be accepted.
const (
	stageNamespaces = iota
	stageCRDs
	stageConfig // what pods mention
	stageWorkloads
	stageRest // admission, routes, custom resources
)

// StageOf is the stage of a kind within its wave.
func StageOf(gk model.GroupKind) int {
	rank := manifest.KindRank(gk)
	switch {
	case isNamespace(gk):
		return stageNamespaces
	case isCRD(gk):
		return stageCRDs
	case rank < serviceRank:
		return stageConfig
	case rank < ingressClassRank:
		return stageWorkloads
	}
	return stageRest
}

var (
	serviceRank      = manifest.KindRank(model.GroupKind{Kind: "Service"})
	ingressClassRank = manifest.KindRank(model.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"})
)

// BuildPlan orders everything. A namespace or CRD of the bundle moves to the
// earliest wave of what lives in it or is of its kind. Pruning comes last, in
// reverse order.
func BuildPlan(f PlanFacts) Plan {
	plan := Plan{App: f.App}
	items := slices.Clone(f.Items)
	liftDependencies(items)
	defined := map[model.GroupKind]bool{}
	namespaceDesired := false
	first := 0
	for i, it := range items {
		if it.Defines.Kind != "" && it.Hook == "" {
			defined[it.Defines] = true
		}
		if it.Key == namespaceKey(f.Namespace) {
			namespaceDesired = true
		}
		if i == 0 || it.Wave < first {
			first = it.Wave
		}
	}
	if s, ok := namespaceStep(f, first); ok && !namespaceDesired {
		plan.NamespaceMetadata = f.NamespaceMetadata
		plan.Steps = append(plan.Steps, s)
	}
	for _, it := range items {
		if f.Selected != nil && !f.Selected[it.Key] {
			continue
		}
		plan.Steps = append(plan.Steps, stepFor(f, it, defined))
	}
	slices.SortStableFunc(plan.Steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.Wave, b.Wave), cmp.Compare(a.Stage, b.Stage), manifest.CompareForApply(a.Key, b.Key))
	})
	waves := map[int]bool{}
	for _, s := range plan.Steps {
		if s.Action != Skip {
			waves[s.Wave] = true
		}
	}
	plan.CheckHealth = len(waves) > 1
	plan.Steps = append(plan.Steps, pruneSteps(f.Prune)...)
	return plan
}

func liftDependencies(items []Item) {
	inNamespace := map[string]int{}
	ofKind := map[model.GroupKind]int{}
	for _, it := range items {
		if w, ok := inNamespace[it.Key.Namespace]; !ok || it.Wave < w {
			inNamespace[it.Key.Namespace] = it.Wave
		}
		if w, ok := ofKind[it.Key.GroupKind()]; !ok || it.Wave < w {
			ofKind[it.Key.GroupKind()] = it.Wave
		}
	}
	for i := range items {
		it := &items[i]
		if isNamespace(it.Key.GroupKind()) {
			if w, ok := inNamespace[it.Key.Name]; ok {
				it.Wave = min(it.Wave, w)
			}
		}
		if it.Defines.Kind != "" {
			if w, ok := ofKind[it.Defines]; ok {
				it.Wave = min(it.Wave, w)
			}
		}
	}
}

// namespaceStep makes the application's namespace when it is not known to
// exist; writing one that exists changes nothing.
func namespaceStep(f PlanFacts, wave int) (Step, bool) {
	if !f.CreateNamespace || f.Namespace == "" {
		return Step{}, false
	}
	s := Step{
		Key: namespaceKey(f.Namespace), Version: "v1", Index: -1, Wave: wave, Stage: stageNamespaces, Validate: true,
		Kind: live.Kind{GroupKind: model.GroupKind{Kind: "Namespace"}, Version: "v1", Resource: "namespaces"},
	}
	switch {
	case f.NamespacePresence != live.Present:
		s.Action, s.Reason = Create, "CreateNamespace=true"
	case f.NamespaceMetadata != nil && !f.NamespaceSame:
		s.Action, s.Reason = Configure, "managedNamespaceMetadata"
	default:
		return Step{}, false
	}
	return s, true
}

func stepFor(f PlanFacts, it Item, defined map[model.GroupKind]bool) Step {
	s := Step{
		Key: it.Key, Version: it.Version, Kind: it.Kind, Wave: it.Wave, Stage: StageOf(it.Key.GroupKind()), Index: it.Index,
		UID: it.UID, ResourceVersion: it.ResourceVersion, Validate: !it.Option("Validate", "false"),
	}
	refuse := func(e *fault.Error) Step {
		s.Action, s.Err, s.Reason = Refuse, e, e.Message
		return s
	}
	switch {
	case it.Hook != "":
		s.Action, s.Reason = Skip, fmt.Sprintf("it is a %s hook; hooks are not run", it.Hook)
		return s
	case it.Err != nil:
		return refuse(it.Err)
	case it.KindErr != nil && defined[it.Key.GroupKind()]:
		s.Action, s.KindLater, s.Reason = Create, true, "its kind comes with this sync"
		return s
	case it.KindErr != nil && it.Option("SkipDryRunOnMissingResource", "true") && fault.HasCode(it.KindErr, "kind_unknown"):
		return refuse(kindUnknown(f.ClusterName, it))
	case fault.HasCode(it.KindErr, "kind_unknown"):
		return refuse(kindUnknown(f.ClusterName, it))
	case it.KindErr != nil:
		return refuse(fault.Wrap(it.KindErr, fault.Unavailable, "kind_undetermined", "%s: what kinds the cluster serves is not known now", it.Key))
	}
	if it.Presence == live.Present {
		if owner, _, ok := model.ParseTrackingID(it.TrackingID); ok && owner != f.App && selfReferencing(it.TrackingID, it.Key) {
			return refuse(fault.New(fault.Conflict, "resource_owned", "%s belongs to application %q; remove it there first", it.Key, owner))
		}
	}
	switch {
	case it.Presence == live.Absent:
		s.Action, s.Reason = Create, "it does not exist"
	case it.Presence == live.Present && it.Same:
		s.Action = Unchanged
		return s
	case it.Presence == live.Present && it.Deleting:
		s.Action, s.Reason = Configure, "it differs and is being deleted"
	case it.Presence == live.Present:
		s.Action, s.Reason = Configure, "it differs"
	default:
		s.Action, s.Reason = Configure, "its live state is not known"
	}
	if it.Presence == live.Present && it.Option("Replace", "true") {
		s.Mode = ModeReplace
		if it.Option("Force", "true") {
			s.Mode = ModeRecreate
		}
	}
	return s
}

// selfReferencing: a tracking id that was copied along with an object to
// another place says nothing about the copy.
func selfReferencing(id string, k model.ObjectKey) bool {
	_, named, ok := model.ParseTrackingID(id)
	return ok && named == k
}

func kindUnknown(cluster string, it Item) *fault.Error {
	apiVersion := it.Version
	if it.Key.Group != "" {
		apiVersion = it.Key.Group + "/" + it.Version
	}
	if text := removed(apiVersion, it.Key.Kind); text != "" {
		return fault.New(fault.Unprocessable, "api_removed", "%s: %s", it.Key, text)
	}
	return fault.New(fault.Unprocessable, "kind_unknown",
		"cluster %q has no kind %s (%s); install its CRD first or put it in an earlier wave", cluster, it.Key.Kind, apiVersion)
}

func pruneSteps(items []PruneItem) []Step {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b PruneItem) int {
		return cmp.Or(cmp.Compare(b.Wave, a.Wave), cmp.Compare(StageOf(b.Key.GroupKind()), StageOf(a.Key.GroupKind())), manifest.CompareForApply(b.Key, a.Key))
	})
	steps := make([]Step, 0, len(items))
	for _, p := range items {
		s := Step{Action: Prune, Key: p.Key, Version: p.Kind.Version, Kind: p.Kind, Wave: p.Wave, Stage: StageOf(p.Key.GroupKind()), Index: -1, UID: p.UID, Propagation: p.Propagation, Reason: "it is no longer desired"}
		if p.Skip != "" {
			s.Action, s.Reason = PruneSkip, p.Skip
		}
		steps = append(steps, s)
	}
	return steps
}

// Writes counts the steps that send a request.
func (p Plan) Writes() int {
	n := 0
	for _, s := range p.Steps {
		if s.Action == Create || s.Action == Configure || s.Action == Prune {
			n++
		}
	}
	return n
}

// Err joins the refusals.
func (p Plan) Err() error {
	var errs []error
	for _, s := range p.Steps {
		if s.Err != nil {
			errs = append(errs, s.Err)
		}
	}
	return errors.Join(errs...)
}

// String prints the plan, a line for each step.
func (p Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%d.%d %s %s", s.Wave, s.Stage, s.Action, s.Key)
		if s.Mode != ModeApply {
			fmt.Fprintf(&b, " [%s]", s.Mode)
		}
		if s.Reason != "" {
			fmt.Fprintf(&b, " (%s)", s.Reason)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
