package action

import (
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/lua"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// builtin is an action of ours.
type builtin struct {
	name, display, icon string
	// state decides from the object whether the action is offered; nil: always.
	state func(obj map[string]any) state
	// params are the parameters; nil: there are none.
	params func(obj map[string]any) []Param
	// run changes the request's copy of the object.
	run func(*request) error
}

// state is whether an action makes sense for an object as it is.
type state int

const (
	offered  state = iota
	disabled       // shown, and makes no sense now
	hidden         // not shown
)

// on is offered when yes, else otherwise.
func on(yes bool, otherwise state) state {
	if yes {
		return offered
	}
	return otherwise
}

func (b builtin) describe(obj map[string]any) (Action, bool) {
	a := Action{Name: b.name, DisplayName: b.display, IconClass: b.icon, Params: []Param{}}
	if b.state != nil {
		switch b.state(obj) {
		case hidden:
			return a, false
		case disabled:
			a.Disabled = true
		}
	}
	if b.params != nil {
		a.Params = b.params(obj)
	}
	return a, true
}

// request is one run of a built-in action.
type request struct {
	obj    map[string]any // a copy; what run changes is patched
	params map[string]string
	opID   string
	now    time.Time // UTC, whole seconds
	// created are objects to make; untouched: the object itself is left alone.
	created   []lua.Effect
	untouched bool
}

func (r *request) timestamp() string { return r.now.Format(time.RFC3339) }

const (
	iconPlay    = "fa fa-fw fa-play"
	iconPause   = "fa fa-fw fa-pause"
	iconStop    = "fa fa-fw fa-stop"
	iconPlus    = "fa fa-fw fa-plus"
	iconRefresh = "fa fa-fw fa-rotate-right"
	iconForward = "fa fa-fw fa-forward"
	iconRestart = "fa fa-fw fa-recycle"
)

// builtins are the actions by kind; versions share them. Names, and what they
// change, are those of Argo CD's scripts for the same kinds
// (docs/operator-manual/resource_actions_builtin.md), so that permissions and
// habits go on to hold.
var builtins = map[model.GroupKind][]builtin{
	{Group: "apps", Kind: "Deployment"}: {
		restartPods, scale,
		{name: "pause", icon: iconPause, state: unless("spec", "paused"), run: write(true, "spec", "paused")},
		{name: "resume", icon: iconPlay, state: when("spec", "paused"), run: write(false, "spec", "paused")},
	},
	{Group: "apps", Kind: "StatefulSet"}: {restartPods, scale},
	{Group: "apps", Kind: "DaemonSet"}:   {restartPods},
	{Group: "apps", Kind: "ReplicaSet"}:  {scale},

	{Group: "batch", Kind: "CronJob"}: {
		{name: "create-job", display: "Create Job", icon: iconPlus, run: createJob},
		{name: "suspend", icon: iconPause, state: unless("spec", "suspend"), run: write(true, "spec", "suspend")},
		{name: "resume", icon: iconPlay, state: when("spec", "suspend"), run: write(false, "spec", "suspend")},
	},
	{Group: "batch", Kind: "Job"}: {
		{name: "suspend", icon: iconPause, state: func(o map[string]any) state {
			return on(!jobEnded(o) && !boolean(o, "spec", "suspend"), hidden)
		}, run: write(true, "spec", "suspend")},
		{name: "resume", icon: iconPlay, state: func(o map[string]any) state {
			return on(!jobEnded(o) && boolean(o, "spec", "suspend"), hidden)
		}, run: write(false, "spec", "suspend")},
		{name: "terminate", icon: iconStop, state: func(o map[string]any) state {
			return on(!jobEnded(o) && get(o, "status") != nil, hidden)
		}, run: terminateJob},
	},

	{Group: "argoproj.io", Kind: "Rollout"}: {
		{name: "restart", display: "Restart Pods", icon: iconRestart, run: func(r *request) error {
			set(r.obj, r.timestamp(), "spec", "restartAt")
			return nil
		}},
		{name: "pause", icon: iconPause, state: func(o map[string]any) state {
			return on(!fullyPromoted(o) && !boolean(o, "spec", "paused") && !boolean(o, "status", "abort"), disabled)
		}, run: write(true, "spec", "paused")},
		{name: "resume", icon: iconPlay, state: func(o map[string]any) state { return on(rolloutPaused(o), disabled) }, run: resumeRollout},
		{name: "abort", icon: iconStop, state: func(o map[string]any) state {
			return on(!fullyPromoted(o) && !boolean(o, "status", "abort"), disabled)
		}, run: write(true, "status", "abort")},
		{name: "retry", icon: iconRefresh, state: func(o map[string]any) state {
			return on(!fullyPromoted(o) && boolean(o, "status", "abort"), disabled)
		}, run: retryRollout},
		{name: "promote-full", icon: iconForward, state: func(o map[string]any) state {
			return on(!fullyPromoted(o) && (!oldRollouts(o) || get(o, "spec", "strategy", "blueGreen") == nil), disabled)
		}, run: promoteRollout},
		{name: "skip-current-step", icon: iconForward, state: func(o map[string]any) state {
			_, ok := nextStep(o)
			return on(ok, disabled)
		}, run: skipStep},
	},
	{Group: "argoproj.io", Kind: "AnalysisRun"}: {
		{name: "terminate", icon: iconStop, state: func(o map[string]any) state {
			switch str(o, "status", "phase") {
			case "Successful", "Failed", "Error", "Inconclusive":
				return disabled
			}
			return on(!boolean(o, "spec", "terminate"), disabled)
		}, run: write(true, "spec", "terminate")},
	},
	{Group: "argoproj.io", Kind: "CronWorkflow"}: {
		{name: "create-workflow", display: "Create Workflow", icon: iconPlus, run: cronWorkflow},
	},
	{Group: "argoproj.io", Kind: "WorkflowTemplate"}: {
		{name: "create-workflow", display: "Create Workflow", icon: iconPlus, run: templatedWorkflow},
	},

	{Group: "helm.toolkit.fluxcd.io", Kind: "HelmRelease"}:            fluxAll,
	{Group: "kustomize.toolkit.fluxcd.io", Kind: "Kustomization"}:     fluxAll,
	{Group: "source.toolkit.fluxcd.io", Kind: "GitRepository"}:        fluxAll,
	{Group: "source.toolkit.fluxcd.io", Kind: "OCIRepository"}:        fluxAll,
	{Group: "source.toolkit.fluxcd.io", Kind: "HelmRepository"}:       fluxAll,
	{Group: "source.toolkit.fluxcd.io", Kind: "HelmChart"}:            fluxAll,
	{Group: "source.toolkit.fluxcd.io", Kind: "Bucket"}:               fluxAll,
	{Group: "image.toolkit.fluxcd.io", Kind: "ImageRepository"}:       fluxAll,
	{Group: "image.toolkit.fluxcd.io", Kind: "ImageUpdateAutomation"}: fluxAll,
	{Group: "notification.toolkit.fluxcd.io", Kind: "Receiver"}:       fluxAll,
	{Group: "notification.toolkit.fluxcd.io", Kind: "Alert"}:          fluxAll[:2],
	{Group: "notification.toolkit.fluxcd.io", Kind: "Provider"}:       fluxAll[:2],

	{Group: "keda.sh", Kind: "ScaledObject"}: {
		kedaPause(func(o map[string]any) bool { return kedaPaused(o) || kedaReplicas(o) != "" }),
		{name: "paused-replicas", icon: iconPause, state: func(o map[string]any) state { return on(!kedaPaused(o), disabled) },
			params: func(o map[string]any) []Param {
				return []Param{{Name: "replicas", Type: "number", Default: firstOf(kedaReplicas(o), "0")}}
			},
			run: func(r *request) error {
				n, err := r.count("replicas")
				if err == nil {
					r.annotate(kedaReplicasKey, strconv.FormatInt(n, 10))
				}
				return err
			}},
		kedaResume(func(o map[string]any) bool { return kedaPaused(o) || kedaReplicas(o) != "" }),
	},
	{Group: "keda.sh", Kind: "ScaledJob"}: {kedaPause(kedaPaused), kedaResume(kedaPaused)},

	{Group: "external-secrets.io", Kind: "ExternalSecret"}: {
		{name: "refresh", icon: iconRefresh, state: func(o map[string]any) state {
			// "0s" means that it is read once.
			return on(str(o, "spec", "refreshInterval") != "0s", disabled)
		}, run: stamp("force-sync")},
	},
	{Group: "external-secrets.io", Kind: "PushSecret"}: {
		{name: "push", icon: iconRefresh, run: stamp("force-sync")},
	},

	{Group: "postgresql.cnpg.io", Kind: "Cluster"}: {
		{name: "restart", display: "Rollout restart Cluster", icon: iconRestart, run: stamp("kubectl.kubernetes.io/restartedAt")},
		{name: "reload", display: "Reload all Configuration", icon: iconRefresh, run: stamp("cnpg.io/reloadedAt")},
		{name: "promote", display: "Promote Replica to Primary", icon: iconForward, state: func(o map[string]any) state {
			return on(len(list(o, "status", "instancesStatus", "healthy")) >= 2, disabled)
		}, params: func(map[string]any) []Param { return []Param{{Name: "instance", Default: "any"}} }, run: promotePrimary},
		{name: "suspend", display: "Suspend Reconciliation", icon: iconPause, state: func(o map[string]any) state {
			return on(annotation(o, cnpgLoop) != "disabled", hidden)
		}, run: func(r *request) error { r.annotate(cnpgLoop, "disabled"); return nil }},
		{name: "resume", display: "Resume Reconciliation", icon: iconPlay, state: func(o map[string]any) state {
			return on(annotation(o, cnpgLoop) == "disabled", hidden)
		}, run: func(r *request) error { remove(r.obj, "metadata", "annotations", cnpgLoop); return nil }},
		{name: "hibernate", display: "Hibernate Cluster", icon: iconPause, state: func(o map[string]any) state {
			return on(annotation(o, cnpgHibernation) != "on", hidden)
		}, run: func(r *request) error { r.annotate(cnpgHibernation, "on"); return nil }},
		{name: "rehydrate", display: "Rehydrate Cluster", icon: iconPlay, state: func(o map[string]any) state {
			return on(annotation(o, cnpgHibernation) == "on", hidden)
		}, run: func(r *request) error { r.annotate(cnpgHibernation, "off"); return nil }},
	},
	{Group: "k8s.mariadb.com", Kind: "MariaDB"}: {
		{name: "suspend", icon: iconPause, state: func(o map[string]any) state { return on(!boolean(o, "spec", "suspend"), hidden) }, run: write(true, "spec", "suspend")},
		{name: "resume", icon: iconPlay, state: func(o map[string]any) state { return on(boolean(o, "spec", "suspend"), hidden) }, run: write(false, "spec", "suspend")},
	},
	{Group: "psmdb.percona.com", Kind: "PerconaServerMongoDB"}: {
		{name: "unpause", icon: iconPlay, state: when("spec", "pause"), run: write(false, "spec", "pause")},
	},
	{Group: "core.strimzi.io", Kind: "StrimziPodSet"}: {
		{name: "rolling-update", icon: iconRestart, state: func(o map[string]any) state {
			return on(annotation(o, "strimzi.io/manual-rolling-update") != "true", disabled) // asked for, and not begun yet
		}, run: func(r *request) error {
			r.annotate("strimzi.io/manual-rolling-update", "true")
			return nil
		}},
	},
	{Group: "promoter.argoproj.io", Kind: "PullRequest"}: {
		{name: "merge", icon: iconForward, state: func(o map[string]any) state { return on(str(o, "spec", "state") != "merged", disabled) }, run: write("merged", "spec", "state")},
	},
	{Group: "numaflow.numaproj.io", Kind: "Pipeline"}:               numaflow,
	{Group: "numaflow.numaproj.io", Kind: "MonoVertex"}:             numaflow,
	{Group: "numaflow.numaproj.io", Kind: "InterStepBufferService"}: {forcePromote},
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// write is an action that sets one field.
func write(v any, path ...string) func(*request) error {
	return func(r *request) error {
		set(r.obj, v, path...)
		return nil
	}
}

// when and unless offer an action by a boolean field.
func when(path ...string) func(map[string]any) state {
	return func(o map[string]any) state { return on(boolean(o, path...), disabled) }
}

func unless(path ...string) func(map[string]any) state {
	return func(o map[string]any) state { return on(!boolean(o, path...), disabled) }
}

func (r *request) annotate(name, value string) { set(r.obj, value, "metadata", "annotations", name) }

// stamp is an action that writes the time into an annotation, which controllers
// take as a request.
func stamp(name string) func(*request) error {
	return func(r *request) error {
		r.annotate(name, r.timestamp())
		return nil
	}
}

// maxReplicas is what the API takes.
const maxReplicas = 1<<31 - 1

// count is a parameter that is a whole number from 0.
func (r *request) count(name string) (int64, error) {
	text, ok := r.params[name]
	if !ok {
		return 0, paramInvalid(name, "the parameter %q is required: a whole number from 0", name)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 || n > maxReplicas {
		return 0, paramInvalid(name, "%s is %q; it must be a whole number from 0 to %d", name, text, int64(maxReplicas))
	}
	return n, nil
}

func notPossible(format string, args ...any) error {
	return fault.New(fault.Precondition, "action_not_possible", format, args...)
}
