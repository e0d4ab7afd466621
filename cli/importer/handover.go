package importer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Source is what an imported object was: argocd/NAMESPACE/NAME taken apart.
type Source struct{ Namespace, Name string }

// ParseSource reads the value of AnnotationImportedFrom.
func ParseSource(s string) (Source, bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || parts[0] != "argocd" || parts[1] == "" || parts[2] == "" {
		return Source{}, false
	}
	return Source{parts[1], parts[2]}, true
}

func (s Source) String() string { return s.Namespace + "/" + s.Name }

// Parity is whether Hawser would change anything of an application.
type Parity struct {
	Application string `json:"application"`
	Project     string `json:"project"`
	Cluster     string `json:"cluster"`
	// Mode is observe or manage.
	Mode string           `json:"mode"`
	Sync model.SyncStatus `json:"sync"`
	// Same: everything that is desired is there already.
	Same bool `json:"same"`
	// WouldChange and WouldPrune count objects.
	WouldChange int `json:"wouldChange"`
	WouldPrune  int `json:"wouldPrune"`
	// AgentTooOld: its agent cannot only observe, and is not given it.
	AgentTooOld bool `json:"agentTooOld,omitempty"`
	// AppOfApps: it applies Applications of Argo CD.
	AppOfApps bool   `json:"appOfApps,omitempty"`
	Why       string `json:"why,omitempty"`
}

// ParityOf judges an application by what its agent observed. What is not known to
// be the same is not the same.
func ParityOf(v model.AppView) Parity {
	p := Parity{Application: v.Name, Project: v.Project, Cluster: v.Cluster, Sync: v.Sync.Status, Mode: Manage}
	if v.Application != nil && v.Application.Metadata.Annotations[annotationMode] == modeObserve {
		p.Mode = Observe
	}
	tooOld := slices.IndexFunc(v.Conditions, func(c model.Condition) bool { return c.Code == agentTooOld })
	p.AgentTooOld = tooOld >= 0
	for _, r := range v.Resources {
		p.AppOfApps = p.AppOfApps || makesAppOfApps(r.Group, r.Kind)
		switch {
		case r.Hook != "" || r.Sync.Status == model.SyncSynced:
		case r.RequiresPruning:
			p.WouldPrune++
		default:
			p.WouldChange++
		}
	}
	switch {
	case v.Deleting:
		p.Why = "it is being deleted"
	case v.Pin != nil:
		p.Why = "it stays at a past deployment"
	case p.AgentTooOld:
		p.Why = v.Conditions[tooOld].Message
	case v.Freshness == model.FreshNever || v.ObservedAt == nil:
		p.Why = "its agent has reported nothing yet"
	case v.Freshness == model.FreshStale:
		p.Why = "its agent is offline"
	case v.Sync.Status == model.SyncOutOfSync || p.WouldChange+p.WouldPrune > 0:
		p.Why = fmt.Sprintf("%d objects would change, %d would be pruned", p.WouldChange, p.WouldPrune)
	case v.Sync.Status != model.SyncSynced:
		p.Why = "it is not known whether it differs"
		if len(v.Conditions) > 0 {
			p.Why = v.Conditions[0].Message
		}
	default:
		p.Same = true
	}
	return p
}

// agentTooOld is the code of the condition by which the hub says that an agent is
// too old for what it would be given.
const agentTooOld = "agent_too_old"

// makesAppOfApps reports whether a kind is one that makes an application an app of apps.
func makesAppOfApps(group, kind string) bool {
	return group == "argoproj.io" && (kind == model.KindApplication || kind == model.KindApplicationSet)
}

// AppsOfApps are those of some applications that apply Applications of Argo CD, by
// what Argo CD itself says of them.
func AppsOfApps(apps []Source, objects []Object) []Source {
	var out []Source
	for _, o := range objects {
		if ref := (Source{o.Namespace, o.Name}); o.Kind == model.KindApplication && slices.Contains(apps, ref) && ofApplications(o) {
			out = append(out, ref)
		}
	}
	return out
}

// Step is one change in Argo CD: a JSON merge patch, and what it does.
type Step struct {
	Kind      string         `json:"kind"`
	Namespace string         `json:"namespace"`
	Name      string         `json:"name"`
	What      []string       `json:"what"`
	Patch     map[string]any `json:"patch"`
}

// Command is the step for kubectl, without the version that it was read at.
func (s Step) Command() string {
	patch := map[string]any{}
	for k, v := range s.Patch {
		patch[k] = v
	}
	if m, ok := patch["metadata"].(map[string]any); ok {
		without := map[string]any{}
		for k, v := range m {
			if k != "resourceVersion" {
				without[k] = v
			}
		}
		patch["metadata"] = without
	}
	b, err := json.Marshal(patch)
	if err != nil {
		return err.Error() // strings, booleans and maps always encode
	}
	return fmt.Sprintf("kubectl patch %s %s -n %s --type merge -p '%s'", strings.ToLower(s.Kind), s.Name, s.Namespace, strings.ReplaceAll(string(b), "'", `'\''`))
}

// argo is what a handover looks at of an object of Argo CD.
type argo struct {
	object     Object
	ref        Source
	version    string // resourceVersion
	automated  *model.AutomatedSync
	finalizers []string
	running    bool
	set        string // owning ApplicationSet
	parent     Source // the application that applies it
	paused     Paused
	isPaused   bool
}

func readArgo(o Object) argo {
	a := argo{object: o, ref: Source{o.Namespace, o.Name}, version: text(at(o.root, "metadata", "resourceVersion"))}
	if n := at(o.root, "spec", "syncPolicy", "automated"); n != nil && n.Kind == yaml.MappingNode {
		automated := model.AutomatedSync{
			Prune: text(child(n, "prune")) == "true", SelfHeal: text(child(n, "selfHeal")) == "true", AllowEmpty: text(child(n, "allowEmpty")) == "true",
		}
		if e := text(child(n, "enabled")); e != "" {
			automated.Enabled = ptr(e == "true")
		}
		a.automated = &automated
	}
	if n := at(o.root, "metadata", "finalizers"); n != nil {
		for _, f := range n.Content {
			a.finalizers = append(a.finalizers, f.Value)
		}
	}
	a.running = at(o.root, "operation") != nil || slices.Contains([]string{"Running", "Terminating"}, text(at(o.root, "status", "operationState", "phase")))
	if n := at(o.root, "metadata", "ownerReferences"); n != nil {
		for _, owner := range n.Content {
			if text(child(owner, "kind")) == model.KindApplicationSet {
				a.set = text(child(owner, "name"))
			}
		}
	}
	if id, _, ok := strings.Cut(o.annotation(model.AnnotationTrackingID), ":"); ok {
		a.parent = Source{o.Namespace, id}
		if ns, name, ok := strings.Cut(id, "_"); ok { // Argo CD's form of an application in another namespace
			a.parent = Source{ns, name}
		}
	}
	a.paused, a.isPaused = pausedOf(o)
	return a
}

func cascades(f string) bool {
	return f == model.FinalizerCascade || f == model.FinalizerCascadeForeground || f == model.FinalizerCascadeBackground
}

// Pause decides what has to change in Argo CD before Hawser may write to what
// the applications own: no automated sync, and no finalizer that would delete
// the objects with the Application. It refuses what is not safe: a sync that
// runs, an Application that Argo CD deletes or that is not there. objects are the
// Applications and ApplicationSets of Argo CD as they are now.
//
// Sets that generate an application, and applications that apply one (an app of
// apps), would set back what is paused, and are paused as well, before it.
func Pause(apps []Source, objects []Object) ([]Step, error) {
	all, sets := map[Source]argo{}, map[Source]Object{}
	for _, o := range objects {
		switch o.Kind {
		case model.KindApplication:
			all[Source{o.Namespace, o.Name}] = readArgo(o)
		case model.KindApplicationSet:
			sets[Source{o.Namespace, o.Name}] = o
		}
	}
	var refused fault.List
	var steps []Step
	done := map[string]bool{}
	add := func(s *Step) {
		if s != nil && !done[s.Kind+s.Namespace+"/"+s.Name] {
			done[s.Kind+s.Namespace+"/"+s.Name] = true
			steps = append(steps, *s)
		}
	}
	for _, ref := range apps {
		a, there := all[ref]
		switch {
		case !there:
			refused = append(refused, fault.New(fault.NotFound, "argocd_application_missing", "Argo CD has no Application %s any more", ref).
				WithFix("if it was deleted on purpose, hand over without --from-context, with --argocd-is-paused"))
			continue
		case at(a.object.root, "metadata", "deletionTimestamp") != nil:
			refused = append(refused, fault.New(fault.Precondition, "argocd_application_deleting", "Argo CD is deleting the Application %s, and its objects with it when it has a finalizer", ref).
				WithFix("wait for the end, and look what is left"))
			continue
		case a.running:
			refused = append(refused, fault.New(fault.Precondition, "argocd_sync_running", "Argo CD is syncing %s", ref).WithFix("wait for the end of the sync, then repeat"))
			continue
		}
		if a.set != "" {
			if o, ok := sets[Source{ref.Namespace, a.set}]; ok {
				add(pauseSet(o))
			}
		}
		for up, n := a.parent, 0; up.Name != "" && n < 20; n++ { // an application of applications of applications
			parent, ok := all[up]
			if !ok || up == ref {
				break
			}
			add(parent.pause(false, "it applies "+ref.String()+" and would set it back"))
			up = parent.parent
		}
		add(a.pause(true, ""))
	}
	if len(refused) > 0 {
		return nil, refused
	}
	return steps, nil
}

// pause is the step for an Application, nil when there is nothing to pause.
func (a argo) pause(whole bool, why string) *Step {
	s := Step{Kind: model.KindApplication, Namespace: a.ref.Namespace, Name: a.ref.Name, Patch: map[string]any{}}
	was := a.paused
	meta := map[string]any{"resourceVersion": a.version}
	if a.automated != nil {
		was.Automated = a.automated
		what := "stop automated sync"
		if why != "" {
			what += ": " + why
		}
		s.What = append(s.What, what)
		s.Patch["spec"] = map[string]any{"syncPolicy": map[string]any{"automated": nil}}
	}
	if whole && slices.ContainsFunc(a.finalizers, cascades) {
		left := []string{}
		for _, f := range a.finalizers {
			if !cascades(f) {
				left = append(left, f)
				continue
			}
			s.What = append(s.What, "remove the finalizer "+f+", with which deleting the Application would delete its objects")
			if !slices.Contains(was.Finalizers, f) {
				was.Finalizers = append(slices.Clone(was.Finalizers), f)
			}
		}
		meta["finalizers"] = left
	}
	if len(s.What) == 0 {
		return nil
	}
	meta["annotations"] = map[string]any{AnnotationPaused: encode(was)}
	s.Patch["metadata"] = meta
	return &s
}

func pauseSet(o Object) *Step {
	if _, is := pausedSetOf(o); is {
		return nil
	}
	var was PausedSet
	if n := at(o.root, "spec", "syncPolicy"); n != nil && n.Kind == yaml.MappingNode {
		was.SyncPolicy = &model.SetSyncPolicy{
			PreserveResourcesOnDeletion: text(child(n, "preserveResourcesOnDeletion")) == "true",
			ApplicationsSync:            text(child(n, "applicationsSync")),
		}
	}
	return &Step{
		Kind: model.KindApplicationSet, Namespace: o.Namespace, Name: o.Name,
		What: []string{"leave the applications that it made as they are (applicationsSync: create-only), and their objects when it is deleted"},
		Patch: map[string]any{
			"metadata": map[string]any{"resourceVersion": text(at(o.root, "metadata", "resourceVersion")), "annotations": map[string]any{AnnotationPausedSet: encode(was)}},
			"spec":     map[string]any{"syncPolicy": map[string]any{"applicationsSync": "create-only", "preserveResourcesOnDeletion": true}},
		},
	}
}

// Resume gives back what Pause took. Sets and parents are resumed when none of
// their applications stays paused.
func Resume(apps []Source, objects []Object) []Step {
	all := map[Source]argo{}
	var sets []Object
	for _, o := range objects {
		switch o.Kind {
		case model.KindApplication:
			all[Source{o.Namespace, o.Name}] = readArgo(o)
		case model.KindApplicationSet:
			sets = append(sets, o)
		}
	}
	resumed := map[Source]bool{}
	for _, ref := range apps {
		resumed[ref] = true
	}
	// Parents whose children all come back.
	for ref, a := range all {
		if !a.isPaused || resumed[ref] || len(a.paused.Finalizers) > 0 {
			continue
		}
		children, staying := 0, 0
		for _, c := range all {
			if c.parent == ref {
				children++
				if c.isPaused && !resumed[c.ref] {
					staying++
				}
			}
		}
		if children > 0 && staying == 0 {
			resumed[ref] = true
		}
	}
	var steps []Step
	refs := make([]Source, 0, len(resumed))
	for ref := range resumed {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(x, y Source) int { return strings.Compare(x.String(), y.String()) })
	for _, ref := range refs {
		if a, ok := all[ref]; ok && a.isPaused {
			steps = append(steps, a.resume())
		}
	}
	for _, o := range sets {
		was, paused := pausedSetOf(o)
		if !paused {
			continue
		}
		staying := false
		for ref, a := range all {
			staying = staying || a.set == o.Name && ref.Namespace == o.Namespace && a.isPaused && !resumed[ref]
		}
		if staying {
			continue
		}
		// A merge patch: what was not there before goes.
		policy := map[string]any{"applicationsSync": nil, "preserveResourcesOnDeletion": nil}
		var spec any = map[string]any{"syncPolicy": nil}
		if p := was.SyncPolicy; p != nil {
			if p.ApplicationsSync != "" {
				policy["applicationsSync"] = p.ApplicationsSync
			}
			if p.PreserveResourcesOnDeletion {
				policy["preserveResourcesOnDeletion"] = true
			}
			spec = map[string]any{"syncPolicy": policy}
		}
		steps = append(steps, Step{
			Kind: model.KindApplicationSet, Namespace: o.Namespace, Name: o.Name, What: []string{"give its sync policy back"},
			Patch: map[string]any{
				"metadata": map[string]any{"resourceVersion": text(at(o.root, "metadata", "resourceVersion")), "annotations": map[string]any{AnnotationPausedSet: nil}},
				"spec":     spec,
			},
		})
	}
	return steps
}

func (a argo) resume() Step {
	s := Step{Kind: model.KindApplication, Namespace: a.ref.Namespace, Name: a.ref.Name, Patch: map[string]any{}}
	meta := map[string]any{"resourceVersion": a.version, "annotations": map[string]any{AnnotationPaused: nil}}
	if a.paused.Automated != nil && a.automated == nil {
		s.What = append(s.What, "give automated sync back")
		s.Patch["spec"] = map[string]any{"syncPolicy": map[string]any{"automated": a.paused.Automated}}
	}
	if len(a.paused.Finalizers) > 0 {
		list := slices.Clone(a.finalizers)
		for _, f := range a.paused.Finalizers {
			if !slices.Contains(list, f) {
				list = append(list, f)
			}
		}
		s.What = append(s.What, "give its finalizer back")
		meta["finalizers"] = list
	}
	if len(s.What) == 0 {
		s.What = []string{"forget that it was paused"}
	}
	s.Patch["metadata"] = meta
	return s
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}" // booleans and strings always encode
	}
	return string(b)
}
