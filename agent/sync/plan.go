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
	RunHook   Action = "Hook"      // create the object of a hook and await its end
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

// Item is what is known of one prepared object. A hook is one item for each of
// its phases, with the key of HookKey.
type Item struct {
	Prepared
	// Phase of a hook; empty for what is no hook.
	Phase Phase
	Kind  live.Kind
	// KindErr is why Kind is not known: kind_unknown or kind_undetermined.
	KindErr  error
	Presence live.Presence
	// UID, ResourceVersion, TrackingID, Managers and Deleting of the live object.
	UID, ResourceVersion, TrackingID string
	Managers                         []live.FieldManager
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
	// Last: after everything else is healthy (PruneLast=true).
	Last bool
}

// PlanFacts is everything that a plan is made of.
type PlanFacts struct {
	App         string
	ClusterName string
	// Run identifies the run of an operation: its hooks carry it, and those that
	// carry it already are not started again.
	Run   string
	Items []Item
	// Ended are the hooks of this very run whose end is known from before an
	// interruption, Started those that were under way then.
	Ended   []HookEnd
	Started []HookStart
	// Namespace is the application's namespace, to be created when
	// CreateNamespace is set. NamespacePresence is whether it exists.
	Namespace         string
	CreateNamespace   bool
	NamespacePresence live.Presence
	NamespaceMetadata *model.NamespaceMetadata
	// NamespaceSame: the namespace exists and already has that metadata.
	NamespaceSame bool
	Prune         []PruneItem
	// Selected limits the plan to some objects, as self-heal and selective syncs
	// do; nil: all.
	Selected map[model.ObjectKey]bool
	// SkipHooks leaves hooks out, as selective syncs and self-heal do.
	SkipHooks bool
}

// Step is one thing to do.
type Step struct {
	Action  Action
	Phase   Phase
	Key     model.ObjectKey
	Version string
	Kind    live.Kind
	// KindLater: the kind comes with a CRD of an earlier stage; look it up then.
	KindLater bool
	Wave      int
	// Stage orders the steps of a wave; steps of one stage run side by side.
	Stage int
	Mode  Mode
	// Force recreates the object when it can be changed in no other way.
	Force bool
	// Migrate are managers whose fields become ours before the object is applied.
	Migrate []string
	// Index of the object in the bundle; -1 for a namespace that
	// CreateNamespace asks for, and for objects to prune.
	Index           int
	UID             string
	ResourceVersion string
	Propagation     string
	// Last marks a prune that awaits the health of everything before.
	Last bool
	// Validate is false when the object asks not to be validated.
	Validate bool
	Reason   string
	Err      *fault.Error

	// Of hooks: Run is the mark of this run, Policies say when the object is
	// deleted, Ended is set when the end is known from before, and Started is the
	// uid of the object that this run has made before.
	Run      string
	Policies []HookPolicy
	Ended    *HookEnd
	Started  string
}

func (s Step) hookID() HookID { return HookID{Phase: s.Phase, Key: s.Key} }

// Plan is what a sync does, in order.
type Plan struct {
	App   string
	Steps []Step
	// OnFailure are the hooks that run when a step has failed.
	OnFailure []Step
	// NamespaceMetadata is for the step that makes the application's namespace.
	NamespaceMetadata *model.NamespaceMetadata
	// CheckHealth: something comes after a wave, so each waits until the one
	// before is healthy.
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

// BuildPlan orders everything: by phase, wave, stage and kind. A namespace or CRD
// of the bundle moves to the earliest wave of what lives in it or is of its
// kind. Pruning ends the phase Sync, in reverse order.
func BuildPlan(f PlanFacts) Plan {
	plan := Plan{App: f.App}
	items := slices.Clone(f.Items)
	liftDependencies(items)
	defined := kindsToCome{}
	namespaceDesired := false
	first := Step{Phase: PhaseSync}
	for i, it := range items {
		defined.note(it)
		if it.Key == namespaceKey(f.Namespace) {
			namespaceDesired = true
		}
		if i == 0 || it.Wave < first.Wave {
			first.Wave = it.Wave
		}
	}
	shared := false
	for _, it := range items {
		if f.Selected != nil && !f.Selected[it.Key] {
			continue
		}
		s := stepFor(f, it, defined)
		shared = shared || s.Err != nil && s.Err.Code == "resource_owned" && it.Option("FailOnSharedResource", "true")
		switch {
		case s.Phase == PhaseSyncFail && s.Action == RunHook:
			plan.OnFailure = append(plan.OnFailure, s)
		default:
			plan.Steps = append(plan.Steps, s)
		}
	}
	slices.SortStableFunc(plan.Steps, compareSteps)
	slices.SortStableFunc(plan.OnFailure, compareSteps)
	if len(plan.Steps) > 0 && compareSteps(plan.Steps[0], first) < 0 {
		first.Phase, first.Wave = plan.Steps[0].Phase, plan.Steps[0].Wave
	}
	if s, ok := namespaceStep(f, first); ok && !namespaceDesired {
		plan.NamespaceMetadata = f.NamespaceMetadata
		plan.Steps = slices.Insert(plan.Steps, 0, s)
	}
	waves := map[[2]int]bool{}
	after := len(plan.Steps)
	for i, s := range plan.Steps {
		if s.Action != Skip {
			waves[[2]int{phaseOrder[s.Phase], s.Wave}] = true
		}
		if s.Phase == PhasePostSync && after > i {
			after = i
		}
	}
	prune := pruneSteps(f.Prune)
	plan.CheckHealth = len(waves) > 1 || slices.ContainsFunc(prune, func(s Step) bool { return s.Last && s.Action == Prune })
	plan.Steps = slices.Insert(plan.Steps, after, prune...)
	if shared {
		plan.holdBack("another object belongs to another application and FailOnSharedResource=true")
	} else if i := slices.IndexFunc(plan.Steps, cannotBe); i >= 0 && slices.ContainsFunc(plan.Steps, preparesSync) {
		// A migration is not run for a revision that is known to fail, nor is what
		// needs the migration applied without it.
		plan.holdBack(fmt.Sprintf("%s cannot be applied, and hooks of PreSync run only for what can", plan.Steps[i].Key))
	}
	return plan
}

// kindsToCome are the kinds that CRDs of the bundle define, with the first phase
// that brings them.
type kindsToCome map[model.GroupKind]Phase

func (k kindsToCome) note(it Item) {
	phase := cmp.Or(it.Phase, PhaseSync)
	if it.Defines.Kind == "" || it.Hook != "" && it.Phase == "" {
		return
	}
	if before, ok := k[it.Defines]; !ok || phaseOrder[phase] < phaseOrder[before] {
		k[it.Defines] = phase
	}
}

// by reports whether a kind is there when a phase is, if all goes well.
func (k kindsToCome) by(gk model.GroupKind, phase Phase) bool {
	from, ok := k[gk]
	return ok && phaseOrder[from] <= phaseOrder[phase]
}

// cannotBe: what another application owns keeps only itself from being applied.
func cannotBe(s Step) bool { return s.Action == Refuse && s.Err.Code != "resource_owned" }

func preparesSync(s Step) bool {
	return s.Phase == PhasePreSync && s.Action == RunHook && s.Ended == nil
}

func compareSteps(a, b Step) int {
	return cmp.Or(cmp.Compare(phaseOrder[a.Phase], phaseOrder[b.Phase]), cmp.Compare(a.Wave, b.Wave), cmp.Compare(a.Stage, b.Stage), manifest.CompareForApply(a.Key, b.Key))
}

// holdBack takes every effect out of a plan that is to fail as a whole.
func (p *Plan) holdBack(because string) {
	reason := "not tried, because " + because
	for i := range p.Steps {
		switch s := &p.Steps[i]; s.Action {
		case Create, Configure, RunHook:
			s.Action, s.Reason = Skip, reason
		case Prune:
			s.Action, s.Reason = PruneSkip, reason
		}
	}
	p.OnFailure = nil
}

// BuildHooks is the plan of one phase of hooks by themselves, as around the
// deletion of an application. Only items of that phase count.
func BuildHooks(f PlanFacts, phase Phase) Plan {
	plan := Plan{App: f.App, CheckHealth: true}
	for _, it := range f.Items {
		if it.Phase == phase {
			plan.Steps = append(plan.Steps, stepFor(f, it, nil))
		}
	}
	slices.SortStableFunc(plan.Steps, compareSteps)
	return plan
}

func liftDependencies(items []Item) {
	inNamespace := map[string]int{}
	ofKind := map[model.GroupKind]int{}
	for _, it := range items {
		if it.Hook != "" {
			continue
		}
		if w, ok := inNamespace[it.Key.Namespace]; !ok || it.Wave < w {
			inNamespace[it.Key.Namespace] = it.Wave
		}
		if w, ok := ofKind[it.Key.GroupKind()]; !ok || it.Wave < w {
			ofKind[it.Key.GroupKind()] = it.Wave
		}
	}
	for i := range items {
		it := &items[i]
		if it.Hook != "" {
			continue
		}
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
func namespaceStep(f PlanFacts, first Step) (Step, bool) {
	if !f.CreateNamespace || f.Namespace == "" {
		return Step{}, false
	}
	s := Step{
		Key: namespaceKey(f.Namespace), Version: "v1", Index: -1, Phase: first.Phase, Wave: first.Wave, Stage: stageNamespaces, Validate: true,
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

func stepFor(f PlanFacts, it Item, defined kindsToCome) Step {
	s := Step{
		Phase: cmp.Or(it.Phase, PhaseSync), Key: it.Key, Version: it.Version, Kind: it.Kind, Wave: it.Wave, Stage: StageOf(it.Key.GroupKind()), Index: it.Index,
		UID: it.UID, ResourceVersion: it.ResourceVersion, Validate: !it.Option("Validate", "false"), Force: it.Option("Force", "true"),
	}
	refuse := func(e *fault.Error) Step {
		s.Action, s.Err, s.Reason = Refuse, e, e.Message
		return s
	}
	switch {
	case it.Hook != "" && (f.SkipHooks || f.Selected != nil):
		s.Action, s.Reason = Skip, "this sync runs no hooks"
		return s
	case it.Err != nil:
		return refuse(it.Err)
	case it.Hook != "" && it.Phase == "":
		s.Action, s.Reason = Skip, fmt.Sprintf("it is marked %s, which no sync runs", it.Hook)
		return s
	case it.KindErr != nil && defined.by(it.Key.GroupKind(), s.Phase):
		s.KindLater, s.Reason = true, "its kind comes with this sync"
	case fault.HasCode(it.KindErr, "kind_unknown") && it.Option("SkipDryRunOnMissingResource", "true"):
		s.KindLater, s.Reason = true, "its kind is expected to come while this sync runs"
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
	if it.Hook != "" {
		return hookStep(f, it, s)
	}
	if it.Presence == live.Present && !it.Option("ClientSideApplyMigration", "false") {
		s.Migrate = NeedsMigration(it.Managers, it.MigrateFrom)
	}
	switch {
	case s.KindLater:
		s.Action = Create
		return s
	case it.Presence == live.Absent:
		s.Action, s.Reason = Create, "it does not exist"
	case it.Presence == live.Present && it.Same && len(s.Migrate) > 0 && !applied(it.Managers) && !it.Option("Replace", "true"):
		s.Action, s.Reason = Configure, "its fields are taken over from "+s.Migrate[0]
	case it.Presence == live.Present && it.Same && !it.Option("ApplyOutOfSyncOnly", "false"):
		s.Action = Unchanged
		return s
	case it.Presence == live.Present && it.Same:
		s.Action, s.Reason = Configure, "ApplyOutOfSyncOnly=false"
	case it.Presence == live.Present && it.Deleting:
		s.Action, s.Reason = Configure, "it differs and is being deleted"
	case it.Presence == live.Present:
		s.Action, s.Reason = Configure, "it differs"
	default:
		s.Action, s.Reason = Configure, "its live state is not known"
	}
	if it.Presence == live.Present && it.Option("Replace", "true") {
		s.Mode = ModeReplace
		s.Migrate = nil // what is replaced has no fields of others
		if it.Option("Force", "true") {
			s.Mode = ModeRecreate
		}
	}
	return s
}

// applied reports whether we have ever applied the object.
func applied(managers []live.FieldManager) bool {
	return slices.ContainsFunc(managers, func(m live.FieldManager) bool { return m.Manager == model.FieldManager && m.Operation == "Apply" })
}

// hookStep completes the step of a hook.
func hookStep(f PlanFacts, it Item, s Step) Step {
	s.Action, s.Run, s.Policies = RunHook, RunMark(f.Run, it.Phase), it.Policies
	s.Reason = "it is a hook"
	for _, e := range f.Ended {
		if e.HookID == s.hookID() {
			s.Ended, s.Reason = &e, "it has ended already in this run"
		}
	}
	for _, h := range f.Started {
		if h.HookID == s.hookID() {
			s.Started = h.UID
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
		return cmp.Or(last(a)-last(b), cmp.Compare(b.Wave, a.Wave), cmp.Compare(StageOf(b.Key.GroupKind()), StageOf(a.Key.GroupKind())), manifest.CompareForApply(b.Key, a.Key))
	})
	steps := make([]Step, 0, len(items))
	for _, p := range items {
		s := Step{Action: Prune, Phase: PhaseSync, Last: p.Last, Key: p.Key, Version: p.Kind.Version, Kind: p.Kind, Wave: p.Wave, Stage: StageOf(p.Key.GroupKind()), Index: -1, UID: p.UID, Propagation: p.Propagation, Reason: "it is no longer desired"}
		if p.Skip != "" {
			s.Action, s.Reason = PruneSkip, p.Skip
		}
		steps = append(steps, s)
	}
	return steps
}

func last(p PruneItem) int {
	if p.Last {
		return 1
	}
	return 0
}

// Writes counts the steps that send a request.
func (p Plan) Writes() int {
	n := 0
	for _, s := range p.Steps {
		if s.Action == Create || s.Action == Configure || s.Action == RunHook || s.Action == Prune {
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
		phase := string(s.Phase)
		if s.Phase == PhaseSync {
			phase = ""
		}
		s.print(&b, phase)
	}
	for _, s := range p.OnFailure {
		s.print(&b, "on failure")
	}
	return b.String()
}

func (s Step) print(b *strings.Builder, phase string) {
	if phase != "" {
		b.WriteString(phase + " ")
	}
	fmt.Fprintf(b, "%d.%d %s %s", s.Wave, s.Stage, s.Action, s.Key)
	if s.Mode != ModeApply {
		fmt.Fprintf(b, " [%s]", s.Mode)
	}
	if s.Reason != "" {
		fmt.Fprintf(b, " (%s)", s.Reason)
	}
	b.WriteByte('\n')
}

// Changes reports whether the plan changes an object that is no hook.
func (p Plan) Changes() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action == Create || s.Action == Configure || s.Action == Prune })
}

// HasHooks reports whether the plan may run a hook.
func (p Plan) HasHooks() bool {
	isHook := func(s Step) bool { return s.Action == RunHook }
	return slices.ContainsFunc(p.Steps, isHook) || slices.ContainsFunc(p.OnFailure, isHook)
}
