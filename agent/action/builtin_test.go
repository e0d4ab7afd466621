package action

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

var at = time.Date(2026, 3, 4, 5, 6, 7, 890, time.FixedZone("x", 3600))

const (
	operation = "0197a1b2-0000-7000-8000-000000000001"
	stamped   = "2026-03-04T04:06:07Z"
)

// object reads an object from YAML.
func object(t *testing.T, text string) (model.GroupKind, map[string]any) {
	t.Helper()
	objs, err := manifest.Parse("test.yaml", []byte(text), manifest.Limits{})
	if err != nil || len(objs) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	return objs[0].Key.GroupKind(), objs[0].Body
}

// changes lists what differs between two objects, as "path=value" in JSON, with
// "path" alone for what is gone.
func changes(before, after any, path string) []string {
	b, bm := before.(map[string]any)
	a, am := after.(map[string]any)
	if !bm || !am {
		if equal(before, after) {
			return nil
		}
		if after == nil {
			return []string{path}
		}
		text, _ := json.Marshal(after)
		return []string{path + "=" + string(text)}
	}
	var out []string
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		out = append(out, changes(b[k], a[k], strings.TrimPrefix(path+"."+k, "."))...)
	}
	return out
}

// show makes one line of effects: where each is written, and what it changes.
func show(obj map[string]any, effects []Effect) string {
	var lines []string
	for _, e := range effects {
		if e.Operation == Create {
			text, _ := json.Marshal(e.Object)
			lines = append(lines, "create "+string(text))
			continue
		}
		lines = append(lines, strings.Join(slices.DeleteFunc(append([]string{"patch", e.Subresource}, changes(obj, e.Object, "")...), func(s string) bool { return s == "" }), " "))
	}
	return strings.Join(lines, " | ")
}

// names lists actions, with "-" before those that are disabled.
func names(actions []Action) string {
	var out []string
	for _, a := range actions {
		n := a.Name
		if a.Disabled {
			n = "-" + n
		}
		out = append(out, n)
	}
	return strings.Join(out, " ")
}

const meta = "metadata: {name: one, namespace: ns, uid: u}\n"

// TestBuiltinActions has, for every kind, what is offered in which state, and
// what each action does.
func TestBuiltinActions(t *testing.T) {
	type run struct{ action, want string }
	paused := "kind: Rollout\napiVersion: argoproj.io/v1alpha1\n" + meta
	cases := []struct {
		name, object, offered string
		runs                  []run
	}{
		{"a deployment", "apiVersion: apps/v1\nkind: Deployment\n" + meta + "spec: {replicas: 2, template: {spec: {}}}", "pause restart -resume scale", []run{
			{"restart", `patch spec.template.metadata={"annotations":{"kubectl.kubernetes.io/restartedAt":"` + stamped + `"}}`},
			{"pause", `patch spec.paused=true`}, {"resume", `patch spec.paused=false`},
			{"scale replicas=5", `patch spec.replicas=5`}, {"scale replicas=0", `patch spec.replicas=0`},
			{"scale", "action_param_invalid"}, {"scale replicas=-1", "action_param_invalid"}, {"scale replicas=1.5", "action_param_invalid"},
			{"scale replicas=many", "action_param_invalid"}, {"scale replicas=2147483648", "action_param_invalid"}, {"scale replica=1", "action_param_invalid"},
			{"restart now=1", "action_param_invalid"}, {"restrat", "action_unknown"},
		}},
		{"a paused deployment", "apiVersion: apps/v1\nkind: Deployment\n" + meta + "spec: {paused: true, template: {metadata: {annotations: {a: b}}}}", "-pause restart resume scale", []run{
			{"resume", `patch spec.paused=false`}, {"pause", "patch"},
			{"restart", `patch spec.template.metadata.annotations.kubectl.kubernetes.io/restartedAt="` + stamped + `"`},
		}},
		{"a stateful set", "apiVersion: apps/v1\nkind: StatefulSet\n" + meta + "spec: {replicas: 3}", "restart scale", []run{
			{"restart", `patch spec.template={"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"` + stamped + `"}}}`}, {"scale replicas=3", "patch"},
		}},
		{"a daemon set", "apiVersion: apps/v1\nkind: DaemonSet\n" + meta + "spec: {template: {metadata: null}}", "restart", []run{
			{"restart", `patch spec.template.metadata={"annotations":{"kubectl.kubernetes.io/restartedAt":"` + stamped + `"}}`},
		}},
		{"a replica set", "apiVersion: apps/v1\nkind: ReplicaSet\n" + meta + "spec: {}", "scale", []run{{"scale replicas=1", "patch spec.replicas=1"}}},
		{"a cron job", "apiVersion: batch/v1\nkind: CronJob\n" + meta + "spec: {jobTemplate: {metadata: {labels: {a: b}, annotations: {c: d}}, spec: {backoffLimit: 1}}}", "create-job -resume suspend", []run{
			{"create-job", `create {"apiVersion":"batch/v1","kind":"Job","metadata":{"annotations":{"c":"d","cronjob.kubernetes.io/instantiate":"manual"},"labels":{"a":"b"},"name":"one-SUFFIX","namespace":"ns","ownerReferences":[{"apiVersion":"batch/v1","kind":"CronJob","name":"one","uid":"u"}]},"spec":{"backoffLimit":1}}`},
			{"suspend", `patch spec.suspend=true`}, {"resume", `patch spec.suspend=false`},
		}},
		{"a suspended cron job without a template", "apiVersion: batch/v1\nkind: CronJob\n" + meta + "spec: {suspend: true}", "create-job resume -suspend", []run{
			{"create-job", "action_not_possible"}, {"resume", `patch spec.suspend=false`},
		}},
		{"a job that was not seen yet", "apiVersion: batch/v1\nkind: Job\n" + meta + "spec: {}", "suspend", []run{{"terminate", "action_not_possible"}}},
		{"a running job", "apiVersion: batch/v1\nkind: Job\n" + meta + "spec: {}\nstatus: {active: 1}", "suspend terminate", []run{
			{"suspend", `patch spec.suspend=true`},
			{"terminate", `patch status status.conditions=[{"lastTransitionTime":"` + stamped + `","message":"the Job was terminated by a resource action","reason":"ManuallyTerminated","status":"True","type":"FailureTarget"}]`},
		}},
		{"a suspended job", "apiVersion: batch/v1\nkind: Job\n" + meta + "spec: {suspend: true}\nstatus: {}", "resume terminate", []run{{"resume", `patch spec.suspend=false`}}},
		{"a job that ended", "apiVersion: batch/v1\nkind: Job\n" + meta + "spec: {}\nstatus: {conditions: [{type: Complete, status: 'True'}]}", "", []run{{"terminate", "patch"}}},
		{"a rollout at rest", paused + "spec: {strategy: {canary: {steps: [{}, {}]}}}\nstatus: {currentPodHash: a, stableRS: a, currentStepIndex: 2}",
			"-abort -pause -promote-full restart -resume -retry -skip-current-step", []run{
				{"restart", `patch spec.restartAt="` + stamped + `"`}, {"pause", `patch spec.paused=true`},
				{"skip-current-step", "patch"}, {"retry", "patch"}, {"resume", "patch"},
			}},
		{"a rollout under way", paused + "spec: {paused: true, strategy: {canary: {steps: [{}, {}]}}}\nstatus: {currentPodHash: a, stableRS: b, observedGeneration: '1', currentStepIndex: 1, pauseConditions: [{reason: x}]}",
			"abort -pause promote-full restart resume -retry skip-current-step", []run{
				{"resume", `patch spec.paused=false | patch status status.pauseConditions`}, {"abort", `patch status status.abort=true`},
				{"promote-full", `patch status status.promoteFull=true`}, {"skip-current-step", `patch status status.currentStepIndex=2 status.pauseConditions`},
			}},
		{"an aborted rollout", paused + "spec: {strategy: {blueGreen: {}}}\nstatus: {abort: true, currentPodHash: a, stableRS: b, observedGeneration: 5d, canary: {currentStepAnalysisRunStatus: {}, weights: 1}, blueGreen: {prePromotionAnalysisRunStatus: {}}}",
			"-abort -pause -promote-full restart -resume retry -skip-current-step", []run{
				{"retry", `patch status status.abort status.blueGreen.prePromotionAnalysisRunStatus status.canary.currentStepAnalysisRunStatus`},
			}},
		{"a rollout without a status", paused + "spec: {}", "-abort -pause -promote-full restart -resume -retry -skip-current-step", []run{{"abort", `patch status status={"abort":true}`}, {"promote-full", "action_not_possible"}}},
		{"an aborted canary of old Rollouts", paused + "spec: {strategy: {canary: {steps: [{}, {}]}}}\nstatus: {abort: true, observedGeneration: 6479c, currentPodHash: a, stableRS: b, currentStepIndex: 0}",
			"-abort -pause promote-full restart -resume retry skip-current-step", []run{{"promote-full", `patch status status.abort status.currentStepIndex=2`}}},
		{"an analysis", "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisRun\n" + meta + "status: {phase: Running}", "terminate", []run{{"terminate", `patch spec={"terminate":true}`}}},
		{"an analysis that ended", "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisRun\n" + meta + "status: {phase: Failed}", "-terminate", nil},
		{"a cron workflow", "apiVersion: argoproj.io/v1alpha1\nkind: CronWorkflow\nmetadata: {name: one, namespace: ns, uid: u, labels: {workflows.argoproj.io/controller-instanceid: i}}\nspec: {workflowMetadata: {labels: {a: b}, finalizers: [f]}, workflowSpec: {entrypoint: main}}", "create-workflow", []run{
			{"create-workflow", `create {"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","metadata":{"annotations":{"workflows.argoproj.io/scheduled-time":"` + stamped + `"},"finalizers":["f"],"labels":{"a":"b","workflows.argoproj.io/controller-instanceid":"i","workflows.argoproj.io/cron-workflow":"one"},"name":"one-SUFFIX","namespace":"ns","ownerReferences":[{"apiVersion":"argoproj.io/v1alpha1","kind":"CronWorkflow","name":"one","uid":"u"}]},"spec":{"entrypoint":"main"}}`},
		}},
		{"a cron workflow without a spec", "apiVersion: argoproj.io/v1alpha1\nkind: CronWorkflow\n" + meta + "spec: {}", "create-workflow", []run{{"create-workflow", "action_not_possible"}}},
		{"a workflow template", "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {name: one}\nspec: {}", "create-workflow", []run{
			{"create-workflow", `create {"apiVersion":"argoproj.io/v1alpha1","kind":"Workflow","metadata":{"labels":{"workflows.argoproj.io/workflow-template":"one"},"name":"one-SUFFIX"},"spec":{"workflowTemplateRef":{"name":"one"}}}`},
		}},
		{"a scaled object", "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n" + meta, "pause paused-replicas -resume", []run{
			{"pause", `patch metadata.annotations={"autoscaling.keda.sh/paused":"true"}`},
			{"paused-replicas replicas=3", `patch metadata.annotations={"autoscaling.keda.sh/paused-replicas":"3"}`}, {"paused-replicas", "action_param_invalid"},
		}},
		{"a paused scaled object", "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: one, annotations: {autoscaling.keda.sh/paused: 'true', autoscaling.keda.sh/paused-replicas: '2', a: b}}", "-pause -paused-replicas resume", []run{
			{"resume", `patch metadata.annotations.autoscaling.keda.sh/paused metadata.annotations.autoscaling.keda.sh/paused-replicas`},
		}},
		{"a scaled object at a number", "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: one, annotations: {autoscaling.keda.sh/paused-replicas: '2'}}", "-pause paused-replicas resume", nil},
		{"a scaled job", "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\n" + meta, "pause -resume", []run{{"pause", `patch metadata.annotations={"autoscaling.keda.sh/paused":"true"}`}}},
		{"an external secret", "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\n" + meta + "spec: {refreshInterval: 1h}", "refresh", []run{{"refresh", `patch metadata.annotations={"force-sync":"` + stamped + `"}`}}},
		{"an external secret that is read once", "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\n" + meta + "spec: {refreshInterval: 0s}", "-refresh", nil},
		{"a push secret", "apiVersion: external-secrets.io/v1alpha1\nkind: PushSecret\n" + meta, "push", []run{{"push", `patch metadata.annotations={"force-sync":"` + stamped + `"}`}}},
		{"a Postgres cluster", "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: pg}\nstatus: {currentPrimary: pg-2, instancesStatus: {healthy: [pg-1, pg-2]}}", "hibernate promote reload restart suspend", []run{
			{"restart", `patch metadata.annotations={"kubectl.kubernetes.io/restartedAt":"` + stamped + `"}`}, {"reload", `patch metadata.annotations={"cnpg.io/reloadedAt":"` + stamped + `"}`},
			{"promote", `patch status status.phase="Switchover in progress" status.phaseReason="Switching over to pg-1" status.targetPrimary="pg-1" status.targetPrimaryTimestamp="` + stamped + `"`}, {"promote instance=any", `patch status status.phase="Switchover in progress" status.phaseReason="Switching over to pg-1" status.targetPrimary="pg-1" status.targetPrimaryTimestamp="` + stamped + `"`},
			{"promote instance=1", `patch status status.phase="Switchover in progress" status.phaseReason="Switching over to pg-1" status.targetPrimary="pg-1" status.targetPrimaryTimestamp="` + stamped + `"`}, {"promote instance=pg-1", `patch status status.phase="Switchover in progress" status.phaseReason="Switching over to pg-1" status.targetPrimary="pg-1" status.targetPrimaryTimestamp="` + stamped + `"`},
			{"promote instance=pg-3", "action_param_invalid"}, {"promote instance=2", "action_not_possible"},
			{"suspend", `patch metadata.annotations={"cnpg.io/reconciliationLoop":"disabled"}`}, {"hibernate", `patch metadata.annotations={"cnpg.io/hibernation":"on"}`},
		}},
		{"a Postgres cluster that sleeps", "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: pg, annotations: {cnpg.io/reconciliationLoop: disabled, cnpg.io/hibernation: 'on'}}\nstatus: {instancesStatus: {healthy: [pg-1]}}", "-promote rehydrate reload restart resume", []run{
			{"resume", `patch metadata.annotations.cnpg.io/reconciliationLoop`}, {"rehydrate", `patch metadata.annotations.cnpg.io/hibernation="off"`}, {"promote", "action_not_possible"},
		}},
		{"MariaDB", "apiVersion: k8s.mariadb.com/v1alpha1\nkind: MariaDB\n" + meta + "spec: {}", "suspend", []run{{"suspend", `patch spec.suspend=true`}, {"resume", `patch spec.suspend=false`}}},
		{"MongoDB that is paused", "apiVersion: psmdb.percona.com/v1\nkind: PerconaServerMongoDB\n" + meta + "spec: {pause: true}", "unpause", []run{{"unpause", `patch spec.pause=false`}}},
		{"pods of Strimzi that will roll", "apiVersion: core.strimzi.io/v1beta2\nkind: StrimziPodSet\nmetadata: {name: one, annotations: {strimzi.io/manual-rolling-update: 'true'}}", "-rolling-update", nil},
		{"pods of Strimzi", "apiVersion: core.strimzi.io/v1beta2\nkind: StrimziPodSet\n" + meta, "rolling-update", []run{{"rolling-update", `patch metadata.annotations={"strimzi.io/manual-rolling-update":"true"}`}}},
		{"a promotion", "apiVersion: promoter.argoproj.io/v1alpha1\nkind: PullRequest\n" + meta + "spec: {state: open}", "merge", []run{{"merge", `patch spec.state="merged"`}}},
		{"a pipeline", "apiVersion: numaflow.numaproj.io/v1alpha1\nkind: Pipeline\n" + meta + "spec: {}", "-force-promote pause -unpause-fast -unpause-gradual", []run{{"pause", `patch spec.lifecycle={"desiredPhase":"Paused"}`}}},
		{"a paused pipeline", "apiVersion: numaflow.numaproj.io/v1alpha1\nkind: Pipeline\n" + meta + "spec: {lifecycle: {desiredPhase: Paused}}", "-force-promote -pause -unpause-fast unpause-gradual", []run{
			{"unpause-gradual", `patch metadata.annotations={"numaflow.numaproj.io/resume-strategy":"slow"} spec.lifecycle.desiredPhase="Running"`},
		}},
		{"a paused pipeline that may resume fast", "apiVersion: numaflow.numaproj.io/v1alpha1\nkind: Pipeline\nmetadata: {name: one, annotations: {numaflow.numaproj.io/allowed-resume-strategies: fast}, labels: {numaplane.numaproj.io/upgrade-state: trial}}\nspec: {lifecycle: {desiredPhase: Paused}}", "force-promote -pause unpause-fast -unpause-gradual", []run{
			{"unpause-fast", `patch metadata.annotations.numaflow.numaproj.io/resume-strategy="fast" spec.lifecycle.desiredPhase="Running"`},
		}},
		{"a paused vertex that may resume fast", "apiVersion: numaflow.numaproj.io/v1alpha1\nkind: MonoVertex\nmetadata: {name: one, annotations: {numaflow.numaproj.io/allowed-resume-strategies: 'slow, fast'}, labels: {numaplane.numaproj.io/upgrade-state: in-progress}}\nspec: {replicas: 4, lifecycle: {desiredPhase: Paused}}", "force-promote -pause unpause-fast unpause-gradual", []run{
			{"unpause-fast", `patch spec.lifecycle.desiredPhase="Running"`}, {"unpause-gradual", `patch spec.lifecycle.desiredPhase="Running" spec.replicas`}, {"force-promote", `patch metadata.labels.numaplane.numaproj.io/force-promote="true"`},
		}},
		{"a buffer service", "apiVersion: numaflow.numaproj.io/v1alpha1\nkind: InterStepBufferService\n" + meta, "-force-promote", nil},
		{"a kind without actions", "apiVersion: v1\nkind: ConfigMap\n" + meta, "", []run{{"restart", "action_unknown"}}},
		{"an object with fields of other types", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: one}\nspec: {template: [1], replicas: many, paused: 'yes'}", "pause restart -resume scale", []run{
			{"restart", `patch spec.template={"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"` + stamped + `"}}}`},
		}},
	}
	for kind := range builtins {
		if kind.Group == "" || !strings.HasSuffix(kind.Group, ".toolkit.fluxcd.io") {
			continue
		}
		text := "apiVersion: " + kind.Group + "/v1\nkind: " + kind.Kind + "\n" + meta
		running, suspended := "reconcile -resume suspend", "-reconcile resume -suspend"
		if kind.Kind == "Alert" || kind.Kind == "Provider" {
			running, suspended = "-resume suspend", "resume -suspend"
		}
		cases = append(cases,
			struct {
				name, object, offered string
				runs                  []run
			}{kind.String(), text + "spec: {}", running, []run{{"suspend", "patch spec.suspend=true"}}},
			struct {
				name, object, offered string
				runs                  []run
			}{kind.String() + " suspended", text + "spec: {suspend: true}", suspended, []run{{"resume", "patch spec.suspend=false"}}})
		if strings.HasPrefix(running, "reconcile") {
			cases[len(cases)-2].runs = append(cases[len(cases)-2].runs, run{"reconcile", `patch metadata.annotations={"reconcile.fluxcd.io/requestedAt":"` + stamped + `"}`})
		}
	}
	tested := map[model.GroupKind]map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			gk, obj := object(t, c.object)
			before := clone(obj)
			found, err := Set{}.Discover(gk, obj)
			if err != nil || names(found) != c.offered {
				t.Errorf("offered %q %v, want %q", names(found), err, c.offered)
			}
			for _, a := range found {
				for _, p := range a.Params {
					if p.Name == "" {
						t.Errorf("%s has a parameter without a name", a.Name)
					}
				}
			}
			for _, r := range c.runs {
				name, params := split2(r.action)
				effects, err := Set{}.Run(gk, name, params, obj, operation, at)
				got := show(obj, effects)
				if err != nil {
					got = fault.As(err).Code
				}
				if got != strings.ReplaceAll(r.want, "SUFFIX", suffix(operation)) {
					t.Errorf("%s: %s\nwant %s (%v)", r.action, got, r.want, err)
				}
				if err == nil {
					if tested[gk] == nil {
						tested[gk] = map[string]bool{}
					}
					tested[gk][name] = true
				}
				again, _ := Set{}.Run(gk, name, params, obj, operation, at.Add(time.Millisecond).UTC())
				if show(obj, again) != show(obj, effects) {
					t.Errorf("%s: a second run gives %s", r.action, show(obj, again))
				}
				if !equal(before, any(obj)) {
					t.Fatalf("%s changed the object that it was given", r.action)
				}
			}
		})
	}
	for gk, list := range builtins {
		for _, b := range list {
			if !tested[gk][b.name] && !shared(b) {
				t.Errorf("%s of %s is not tested", b.name, gk)
			}
		}
	}
}

// shared are actions that are the same for several kinds, tested with one.
func shared(b builtin) bool {
	for _, s := range slices.Concat(numaflow, fluxAll, []builtin{kedaResume(kedaPaused)}) {
		if s.name == b.name {
			return true
		}
	}
	return false
}

func split2(s string) (string, map[string]string) {
	words := strings.Fields(s)
	params := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		params[k] = v
	}
	return words[0], params
}

func TestNamesOfWhatIsMadeFitAndDiffer(t *testing.T) {
	long := strings.Repeat("n", 80)
	gk, obj := object(t, "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: "+long+"}\nspec: {jobTemplate: {spec: {}}}")
	name := func(op string) string {
		effects, err := Set{}.Run(gk, "create-job", nil, obj, op, at)
		if err != nil {
			t.Fatal(err)
		}
		return str(effects[0].Object, "metadata", "name")
	}
	if n := name("a"); len(n) != 63 || n != name("a") || n == name("b") {
		t.Errorf("%q (%d), %q, %q", n, len(n), name("a"), name("b"))
	}
}

func TestMistakesInNamesAreExplained(t *testing.T) {
	gk, obj := object(t, "apiVersion: apps/v1\nkind: Deployment\n"+meta+"spec: {}")
	_, err := Set{}.Run(gk, "restrat", nil, obj, operation, at)
	if e := fault.As(err); e.Code != "action_unknown" || e.Fix != "did you mean restart?" || e.Allowed != "pause, restart, resume, scale" {
		t.Errorf("%+v", e)
	}
	_, err = Set{}.Run(gk, "scale", map[string]string{"count": "1"}, obj, operation, at)
	if e := fault.As(err); !strings.Contains(e.Message, "it has replicas") || e.Field != "params.count" {
		t.Errorf("%+v", e)
	}
}
