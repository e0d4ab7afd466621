package sync

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Phase is a part of a sync, or of the deletion of an application. Phases and
// hooks are Argo CD's.
type Phase string

// The phases. PreSync, Sync and PostSync follow each other in a sync, each when
// the one before has succeeded; SyncFail comes when one of them failed.
// PreDelete and PostDelete stand around the deletion of the application's
// objects.
const (
	PhasePreSync    Phase = "PreSync"
	PhaseSync       Phase = "Sync"
	PhasePostSync   Phase = "PostSync"
	PhaseSyncFail   Phase = "SyncFail"
	PhasePreDelete  Phase = "PreDelete"
	PhasePostDelete Phase = "PostDelete"
)

// phaseSkip is the value of a hook annotation that takes the object out.
const phaseSkip = "Skip"

var phaseOrder = map[Phase]int{PhasePreSync: 0, PhaseSync: 1, PhasePostSync: 2, PhaseSyncFail: 3, PhasePreDelete: 4, PhasePostDelete: 5}

// HookPolicy says when the object of a hook is deleted.
type HookPolicy string

// The policies, as in Argo CD. An object that names none has BeforeHookCreation.
const (
	HookSucceeded      HookPolicy = "HookSucceeded"
	HookFailed         HookPolicy = "HookFailed"
	BeforeHookCreation HookPolicy = "BeforeHookCreation"
)

// Charts mark hooks with annotations of Helm, which mean phases, waves and
// policies here as in Argo CD. An object with a hook annotation of our own is
// what that says.
const (
	helmHook           = "helm.sh/hook"
	helmHookWeight     = "helm.sh/hook-weight"
	helmHookDelete     = "helm.sh/hook-delete-policy"
	helmResourcePolicy = "helm.sh/resource-policy"
)

// helmPhases are the phases of Helm's events. Others, such as test, have none:
// their objects are hooks that never run.
var helmPhases = map[string]Phase{
	"pre-install": PhasePreSync, "pre-upgrade": PhasePreSync, "post-install": PhasePostSync, "post-upgrade": PhasePostSync,
	"pre-delete": PhasePreDelete, "post-delete": PhasePostDelete,
}

var helmPolicies = map[string]HookPolicy{
	"hook-succeeded": HookSucceeded, "hook-failed": HookFailed, "before-hook-creation": BeforeHookCreation,
}

// hookMark is what an object's annotations say about it as a hook.
type hookMark struct {
	raw      string // "" for what is no hook
	phases   []Phase
	policies []HookPolicy
	err      *fault.Error
}

// hookOf reads the marks of a hook: our own or, without them, those of Helm.
func hookOf(o manifest.Object) hookMark {
	own := strings.TrimSpace(o.Annotation(model.AnnotationHook))
	if own == "" {
		return helmHookOf(o)
	}
	m := hookMark{raw: own}
	for word := range strings.SplitSeq(own, ",") {
		switch word = strings.TrimSpace(word); {
		case word == "" || strings.EqualFold(word, phaseSkip):
			continue
		default:
			phase, ok := phaseNamed(word)
			if !ok {
				m.err = fault.New(fault.Unprocessable, "hook_invalid", "%s: the hook %q is not known; use PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete or Skip", o.Key, clip(word, 40)).
					WithField("metadata.annotations").WithFound(clip(word, 40), "PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete, Skip")
				continue
			}
			if !slices.Contains(m.phases, phase) {
				m.phases = append(m.phases, phase)
			}
		}
	}
	for word := range strings.SplitSeq(o.Annotation(model.AnnotationHookDelete), ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		i := slices.IndexFunc([]HookPolicy{HookSucceeded, HookFailed, BeforeHookCreation}, func(p HookPolicy) bool { return strings.EqualFold(string(p), word) })
		if i < 0 {
			m.err = fault.New(fault.Unprocessable, "hook_invalid", "%s: the hook delete policy %q is not known; use HookSucceeded, HookFailed or BeforeHookCreation", o.Key, clip(word, 40)).
				WithField("metadata.annotations").WithFound(clip(word, 40), "HookSucceeded, HookFailed, BeforeHookCreation")
			continue
		}
		m.policies = append(m.policies, []HookPolicy{HookSucceeded, HookFailed, BeforeHookCreation}[i])
	}
	return m
}

// HookPolicies are the delete policies that an object of a hook names, in a cluster
// as in Git.
func HookPolicies(o manifest.Object) []HookPolicy { return hookOf(o).policies }

func phaseNamed(word string) (Phase, bool) {
	for p := range phaseOrder {
		if strings.EqualFold(string(p), word) {
			return p, true
		}
	}
	return "", false
}

// helmHookOf reads Helm's marks. What Helm knows and Argo CD does not run, such
// as tests, is a hook without phases.
func helmHookOf(o manifest.Object) hookMark {
	var m hookMark
	var words []string
	for event := range strings.SplitSeq(o.Annotation(helmHook), ",") {
		event = strings.ToLower(strings.TrimSpace(event))
		// Helm 2 marked CRDs so; they are objects like others.
		if event == "" || event == "crd-install" {
			continue
		}
		phase, ok := helmPhases[event]
		switch {
		case !ok:
			words = append(words, event)
		case !slices.Contains(m.phases, phase):
			m.phases = append(m.phases, phase)
			words = append(words, string(phase))
		}
	}
	m.raw = strings.Join(words, ",")
	if m.raw == "" {
		return m
	}
	for word := range strings.SplitSeq(o.Annotation(helmHookDelete), ",") {
		if p, ok := helmPolicies[strings.ToLower(strings.TrimSpace(word))]; ok {
			m.policies = append(m.policies, p)
		}
	}
	return m
}

// helmWave is the wave that the weight of a Helm hook means. A weight that is no
// number counts as 0, as in Helm.
func helmWave(o manifest.Object) int {
	if o.Annotation(model.AnnotationHook) != "" || o.Annotation(helmHook) == "" {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(o.Annotation(helmHookWeight)))
	return n
}

// KeptByHelm reports whether an object asks Helm not to delete it, which counts
// as Prune=false and Delete=false.
func KeptByHelm(o manifest.Object) bool {
	return strings.EqualFold(strings.TrimSpace(o.Annotation(helmResourcePolicy)), "keep")
}

// SyncPhases are those of an object's phases that a sync has.
func (p Prepared) SyncPhases() []Phase {
	return slices.DeleteFunc(slices.Clone(p.Phases), func(ph Phase) bool { return ph == PhasePreDelete || ph == PhasePostDelete })
}

// RunMark is the value of model.AnnotationRun on the hooks of one phase of a
// run. A hook that has it was started by this very run.
func RunMark(run string, phase Phase) string { return run + "/" + string(phase) }

// HookKey is the object that a hook is in a phase of a run: the key from Git, or
// for a generateName a name that is always the same for that run, so that it is
// never made twice.
func HookKey(p Prepared, run string, phase Phase) model.ObjectKey {
	k := p.Key
	if !p.Generated {
		return k
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", run, phase, p.Index))
	suffix := strings.ToLower(string(phase)) + "-" + strings.ToLower(base32.HexEncoding.EncodeToString(sum[:5]))
	// A Job's name is also the value of a label of its pods.
	const longest = 63
	k.Name = strings.TrimRight(clipBytes(k.Name, longest-1-len(suffix)), "-.") + "-" + suffix
	return k
}

func clipBytes(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// HookBody is a hook as it is created for a phase of a run: Body under the name
// of HookKey, with the run's mark.
func HookBody(app string, key model.ObjectKey, o manifest.Object, run string, phase Phase) map[string]any {
	body := Body(app, key, o)
	meta, _ := body["metadata"].(map[string]any) // Body made it
	delete(meta, "generateName")
	annotations := maps.Clone(meta["annotations"].(map[string]any))
	annotations[model.AnnotationRun] = RunMark(run, phase)
	meta["annotations"] = annotations
	return body
}

// completes are kinds whose objects run to an end, so that one of an older run
// can never stand for the present one.
var completes = map[model.GroupKind]bool{
	{Kind: "Pod"}:                                 true,
	{Group: "batch", Kind: "Job"}:                 true,
	{Group: "argoproj.io", Kind: "Workflow"}:      true,
	{Group: "argoproj.io", Kind: "AnalysisRun"}:   true,
	{Group: "tekton.dev", Kind: "TaskRun"}:        true,
	{Group: "tekton.dev", Kind: "PipelineRun"}:    true,
	{Group: "kubeflow.org", Kind: "PyTorchJob"}:   true,
	{Group: "velero.io", Kind: "Backup"}:          true,
	{Group: "velero.io", Kind: "Restore"}:         true,
	{Group: "postgresql.cnpg.io", Kind: "Backup"}: true,
}

// RunsToAnEnd reports whether objects of a kind run once and then have ended for
// good.
func RunsToAnEnd(gk model.GroupKind) bool { return completes[gk] }

// replaces reports whether the object of an older run is deleted before the hook
// is created again. What cannot be applied again once it is deleted never is.
func (s Step) replaces() bool {
	if Protected(s.Key) {
		return false
	}
	return len(s.Policies) == 0 || slices.Contains(s.Policies, BeforeHookCreation) || completes[s.Key.GroupKind()]
}

// HookID names a hook within a run.
type HookID struct {
	Phase Phase
	Key   model.ObjectKey
}

// HookStart is a hook that a run has started, with the uid of its object.
type HookStart struct {
	HookID
	UID string
}

// HookEnd is how a hook of a run ended.
type HookEnd struct {
	HookID
	UID       string
	Succeeded bool
	Message   string
}
