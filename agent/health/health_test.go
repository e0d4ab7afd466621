package health

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// decode reads YAML as the observer reads JSON: numbers are int64 or float64.
func decode(t *testing.T, doc string) map[string]any {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(doc))
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	var obj map[string]any
	if err := utiljson.Unmarshal(b, &obj); err != nil {
		t.Fatal(err)
	}
	if obj == nil {
		obj = map[string]any{}
	}
	return obj
}

type row struct {
	name    string
	obj     string
	want    model.Health
	message string // a part of it; "-" for none
}

func apps(kind string) model.GroupKind { return model.GroupKind{Group: "apps", Kind: kind} }

func TestOf(t *testing.T) {
	for gk, rows := range map[model.GroupKind][]row{
		apps("Deployment"): {
			{"complete", `{metadata: {generation: 2}, spec: {replicas: 3}, status: {observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3}}`, "Healthy", "-"},
			{"scaled to nothing", `{metadata: {generation: 1}, spec: {replicas: 0}, status: {observedGeneration: 1}}`, "Healthy", "-"},
			{"new", `{metadata: {generation: 1}, spec: {replicas: 0}}`, "Progressing", "waiting for the controller"},
			{"not observed", `{metadata: {generation: 3}, spec: {replicas: 1}, status: {observedGeneration: 2, updatedReplicas: 1, replicas: 1, availableReplicas: 1}}`, "Progressing", "controller"},
			{"updating", `{metadata: {generation: 1}, spec: {replicas: 3}, status: {observedGeneration: 1, replicas: 3, updatedReplicas: 1, availableReplicas: 3}}`, "Progressing", "1 of 3 replicas are updated"},
			{"default of one", `{metadata: {generation: 1}, status: {observedGeneration: 1}}`, "Progressing", "0 of 1"},
			{"old ones left", `{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 2, updatedReplicas: 1, availableReplicas: 2}}`, "Progressing", "1 old replicas"},
			{"not available", `{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, availableReplicas: 1}}`, "Progressing", "1 of 2 updated"},
			{"deadline", `{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: has timed out}]}}`, "Degraded", "has timed out"},
			{"old deadline, new spec", `{metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1, conditions: [{type: Progressing, reason: ProgressDeadlineExceeded}]}}`, "Progressing", "controller"},
			{"paused", `{metadata: {generation: 2}, spec: {paused: true}, status: {observedGeneration: 1}}`, "Suspended", "paused"},
			{"being deleted", `{metadata: {generation: 1, deletionTimestamp: "2026-11-23T00:00:00Z"}, spec: {replicas: 0}, status: {observedGeneration: 1}}`, "Progressing", "deletion"},
		},
		apps("ReplicaSet"): {
			{"complete", `{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, availableReplicas: 1}}`, "Healthy", "-"},
			{"not observed", `{metadata: {generation: 1}, spec: {replicas: 0}}`, "Progressing", "controller"},
			{"waiting", `{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, availableReplicas: 1}}`, "Progressing", "1 of 2"},
			{"quota", `{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: exceeded quota}]}}`, "Degraded", "exceeded quota"},
		},
		apps("StatefulSet"): {
			{"complete", `{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 2, updatedReplicas: 2, currentRevision: a, updateRevision: a}}`, "Healthy", "-"},
			{"new", `{metadata: {generation: 0}, spec: {replicas: 0}}`, "Progressing", "controller"},
			{"not ready", `{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 1}}`, "Progressing", "1 of 2 replicas are ready"},
			{"rolling", `{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`, "Progressing", "1 of 2 replicas are updated"},
			{"on delete", `{metadata: {generation: 1}, spec: {replicas: 2, updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1, readyReplicas: 2, currentRevision: a, updateRevision: b}}`, "Healthy", "-"},
			{"partition done", `{metadata: {generation: 1}, spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}, status: {observedGeneration: 1, readyReplicas: 3, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`, "Healthy", "-"},
			{"partition going", `{metadata: {generation: 1}, spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}, status: {observedGeneration: 1, readyReplicas: 3, updatedReplicas: 1}}`, "Progressing", "1 of 2"},
		},
		apps("DaemonSet"): {
			{"complete", `{metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}}`, "Healthy", "-"},
			{"no nodes", `{metadata: {generation: 1}, status: {observedGeneration: 1}}`, "Healthy", "-"},
			{"not observed", `{metadata: {generation: 1}}`, "Progressing", "controller"},
			{"updating", `{metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2}}`, "Progressing", "1 of 2 pods are updated"},
			{"not available", `{metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2}}`, "Progressing", "0 of 2 pods are available"},
			{"on delete", `{metadata: {generation: 1}, spec: {updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1, desiredNumberScheduled: 2}}`, "Healthy", "-"},
		},
		{Group: "batch", Kind: "Job"}: {
			{"running", `{status: {active: 1}}`, "Progressing", "not ended"},
			{"complete", `{status: {conditions: [{type: Complete, status: "True"}]}}`, "Healthy", ""},
			{"failed", `{status: {conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}}`, "Degraded", "BackoffLimitExceeded"},
			{"suspended", `{status: {conditions: [{type: Suspended, status: "True"}]}}`, "Suspended", "suspended"},
			{"about to fail", `{status: {conditions: [{type: FailureTarget, status: "True", reason: DeadlineExceeded}]}}`, "Progressing", "fails: DeadlineExceeded"},
			{"about to succeed", `{status: {conditions: [{type: SuccessCriteriaMet, status: "True"}]}}`, "Progressing", "succeeds"},
			{"complete after its success criteria were met", `{status: {conditions: [{type: SuccessCriteriaMet, status: "True"}, {type: Complete, status: "True"}]}}`, "Healthy", ""},
			{"failed while suspended", `{status: {conditions: [{type: Suspended, status: "True"}, {type: Failed, status: "True", message: too late}]}}`, "Degraded", "too late"},
			{"resumed", `{status: {conditions: [{type: Suspended, status: "False"}]}}`, "Progressing", "not ended"},
		},
		{Group: "batch", Kind: "CronJob"}: {
			{"new", `{spec: {schedule: "* * * * *"}}`, "Progressing", "status"},
			{"not scheduled yet", `{spec: {schedule: "* * * * *"}, status: {}}`, "Healthy", "no job has been scheduled"},
			{"suspended", `{spec: {suspend: true}}`, "Healthy", "suspended"},
			{"first job runs", `{status: {lastScheduleTime: "2026-11-23T10:00:00Z", active: [{name: a}]}}`, "Healthy", "-"},
			{"a job runs after a failure", `{status: {lastScheduleTime: "2026-11-23T10:00:00Z", lastSuccessfulTime: "2026-11-23T08:00:10Z", active: [{name: a}]}}`, "Healthy", "-"},
			{"never succeeded", `{status: {lastScheduleTime: "2026-11-23T10:00:00Z"}}`, "Healthy", "no job has succeeded"},
			{"succeeded", `{status: {lastScheduleTime: "2026-11-23T10:00:00Z", lastSuccessfulTime: "2026-11-23T10:00:10Z"}}`, "Healthy", "-"},
			{"last one failed", `{status: {lastScheduleTime: "2026-11-23T10:00:00Z", lastSuccessfulTime: "2026-11-23T08:00:10Z"}}`, "Degraded", "last job"},
		},
		{Kind: "Service"}: {
			{"cluster IP", `{spec: {type: ClusterIP}}`, "Healthy", "-"},
			{"load balancer", `{spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}`, "Healthy", "-"},
			{"no address yet", `{spec: {type: LoadBalancer}, status: {loadBalancer: {}}}`, "Progressing", "load balancer"},
		},
		{Group: "networking.k8s.io", Kind: "Ingress"}: {
			{"address", `{status: {loadBalancer: {ingress: [{hostname: a}]}}}`, "Healthy", "-"},
			{"no address yet", `{status: {loadBalancer: {}}}`, "Progressing", "address"},
		},
		{Kind: "PersistentVolumeClaim"}: {
			{"bound", `{status: {phase: Bound}}`, "Healthy", "-"},
			{"pending", `{status: {phase: Pending}}`, "Progressing", "volume"},
			{"lost", `{status: {phase: Lost}}`, "Degraded", "lost"},
			{"new", `{}`, "Progressing", "volume"},
			{"other", `{status: {phase: Odd}}`, "Unknown", "Odd"},
		},
		{Kind: "Namespace"}: {
			{"active", `{status: {phase: Active}}`, "Healthy", "-"},
			{"terminating", `{status: {phase: Terminating}}`, "Progressing", "deleted"},
		},
		{Group: "policy", Kind: "PodDisruptionBudget"}: {
			{"allowed", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: DisruptionAllowed, status: "True", reason: SufficientPods}]}}`, "Healthy", "-"},
			{"not allowed", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: DisruptionAllowed, status: "False", reason: InsufficientPods}]}}`, "Healthy", "no disruption"},
			{"failed", `{metadata: {generation: 1}, status: {observedGeneration: 1, conditions: [{type: DisruptionAllowed, status: "False", reason: SyncFailed, message: no scale}]}}`, "Degraded", "no scale"},
			{"not observed", `{metadata: {generation: 1}}`, "Progressing", "controller"},
			{"new", `{}`, "Progressing", "status"},
		},
		{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: {
			{"new", `{}`, "Progressing", "waiting"},
			{"able", `{status: {conditions: [{type: AbleToScale, status: "True", message: ready}]}}`, "Healthy", "ready"},
			{"no metrics", `{status: {conditions: [{type: AbleToScale, status: "True"}, {type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: no metrics}]}}`, "Healthy", "no metrics"},
			{"no metrics, and nothing else", `{status: {conditions: [{type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: no metrics}]}}`, "Degraded", "no metrics"},
			{"at its limit", `{status: {conditions: [{type: ScalingLimited, status: "True", message: at most 3}]}}`, "Healthy", "at most 3"},
			{"neither", `{status: {conditions: [{type: AbleToScale, status: "False", reason: BackoffBoth}]}}`, "Progressing", "waiting"},
			{"no target", `{status: {conditions: [{type: AbleToScale, status: "False", reason: FailedGetScale, message: not found}]}}`, "Degraded", "not found"},
			{"target scaled to nothing", `{status: {conditions: [{type: AbleToScale, status: "True"}, {type: ScalingActive, status: "False", reason: ScalingDisabled}]}}`, "Healthy", ""},
			{"v1", `{metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '[{"type":"AbleToScale","status":"True","message":"able"}]'}}}`, "Healthy", "able"},
			{"v1 without its target", `{metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '[{"type":"AbleToScale","status":"False","reason":"FailedGetScale","message":"none"}]'}}}`, "Degraded", "none"},
			{"v1 that says nothing", `{status: {currentReplicas: 2}}`, "Progressing", "waiting"},
			{"v1 with an annotation that is no JSON", `{metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '['}}}`, "Progressing", "waiting"},
		},
		{Group: "apiregistration.k8s.io", Kind: "APIService"}: {
			{"available", `{status: {conditions: [{type: Available, status: "True"}]}}`, "Healthy", "-"},
			{"not available", `{status: {conditions: [{type: Available, status: "False", message: no endpoints}]}}`, "Progressing", "no endpoints"},
			{"new", `{}`, "Progressing", "-"},
		},
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: {
			{"established", `{status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "True"}]}}`, "Healthy", "-"},
			{"new", `{}`, "Progressing", "established"},
			{"names taken", `{status: {conditions: [{type: NamesAccepted, status: "False", reason: ListKindConflict, message: taken}, {type: Established, status: "False"}]}}`, "Degraded", "taken"},
			{"terminating", `{status: {conditions: [{type: Terminating, status: "True"}, {type: Established, status: "True"}]}}`, "Progressing", "deleted"},
			{"installing", `{status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "False", reason: Installing}]}}`, "Progressing", "established"},
			{"not established", `{status: {conditions: [{type: NamesAccepted, status: "True"}, {type: Established, status: "False", reason: Odd, message: names}]}}`, "Degraded", "names"},
			{"schema", `{status: {conditions: [{type: Established, status: "True"}, {type: NonStructuralSchema, status: "True", message: "spec.x"}]}}`, "Degraded", "spec.x"},
		},
		{Kind: "PersistentVolume"}: {
			{"bound", `{status: {phase: Bound}}`, "Healthy", "-"},
			{"released", `{status: {phase: Released}}`, "Healthy", "-"},
			{"pending", `{status: {phase: Pending}}`, "Progressing", "available"},
			{"failed", `{status: {phase: Failed, message: no provisioner}}`, "Degraded", "no provisioner"},
			{"other", `{status: {phase: Odd}}`, "Unknown", "Odd"},
		},
		{Kind: "ReplicationController"}: {
			{"available", `{spec: {replicas: 1}, status: {availableReplicas: 1}}`, "Healthy", "-"},
			{"not available", `{spec: {replicas: 2}, status: {availableReplicas: 1}}`, "Progressing", "1 of 2"},
		},
		{Kind: "ConfigMap"}: {{"exists", `{data: {a: b}}`, "Healthy", "-"}},
		{Group: "example.com", Kind: "Widget"}: {
			{"no status", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}}`, "Healthy", "-"},
			{"ready", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, generation: 2}, status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}]}}`, "Healthy", "-"},
			{"not ready", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: [{type: Ready, status: "False", reason: Waiting, message: almost}]}}`, "Progressing", "almost"},
			{"not observed", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}}`, "Progressing", ""},
			{"stalled", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: [{type: Stalled, status: "True", reason: Broken, message: broken}]}}`, "Degraded", "broken"},
			{"a composite that fails", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: [{type: Synced, status: "False", reason: ReconcileError, message: cannot compose}, {type: Ready, status: "False", reason: Creating}]}}`, "Degraded", "cannot compose"},
			{"a composite that was ready and fails", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: [{type: Ready, status: "True"}, {type: Synced, status: "False", reason: ReconcileError, message: cannot compose}]}}`, "Degraded", "cannot compose"},
			{"a composite that failed before", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, generation: 2}, status: {conditions: [{type: Synced, status: "False", reason: ReconcileError, observedGeneration: 1}, {type: Ready, status: "False", message: almost}]}}`, "Progressing", "almost"},
			{"a composite that is paused", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: [{type: Synced, status: "False", reason: ReconcilePaused, message: paused}, {type: Ready, status: "True"}]}}`, "Suspended", "paused"},
			{"a composite that is made", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: [{type: Synced, status: "True"}, {type: Ready, status: "False", reason: Creating, message: being made}]}}`, "Progressing", "being made"},
			{"not synced for another reason", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: [{type: Synced, status: "False", reason: Waiting}, {type: Ready, status: "False", message: almost}]}}`, "Progressing", "almost"},
			{"odd conditions", `{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, status: {conditions: yes}}`, "Unknown", "conventions"},
			{"being deleted", `{metadata: {deletionTimestamp: "2026-11-23T00:00:00Z"}}`, "Progressing", "deletion"},
		},
	} {
		for _, r := range rows {
			t.Run(gk.Kind+"/"+r.name, func(t *testing.T) { check1(t, gk, r) })
		}
	}
}

func check1(t *testing.T, gk model.GroupKind, r row) {
	t.Helper()
	obj := decode(t, r.obj)
	before, _ := json.Marshal(obj)
	got := Of(gk, obj)
	if got.Status != r.want || r.message == "-" && got.Message != "" || r.message != "-" && !strings.Contains(got.Message, r.message) {
		t.Errorf("got %s %q, want %s %q", got.Status, got.Message, r.want, r.message)
	}
	if after, _ := json.Marshal(obj); string(after) != string(before) {
		t.Errorf("the object was changed to %s", after)
	}
}

func TestPod(t *testing.T) {
	for _, r := range []row{
		{"ready", `{spec: {restartPolicy: Always}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`, "Healthy", "-"},
		{"not ready", `{spec: {}, status: {phase: Running, conditions: [{type: Ready, status: "False", message: "containers with unready status: [a]"}]}}`, "Progressing", "unready"},
		{"restarted", `{spec: {}, status: {phase: Running, containerStatuses: [{name: a, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]}}`, "Degraded", "container a restarted: OOMKilled, exit code 137"},
		{"restarted and well", `{spec: {}, status: {phase: Running, conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: a, ready: true, lastState: {terminated: {exitCode: 1}}}]}}`, "Healthy", "-"},
		{"crash loop", `{spec: {}, status: {phase: Running, containerStatuses: [{name: a, state: {waiting: {reason: CrashLoopBackOff, message: back-off 5m}}}]}}`, "Degraded", "container a: CrashLoopBackOff: back-off 5m"},
		{"crash loop of a job", `{spec: {restartPolicy: OnFailure}, status: {phase: Running, containerStatuses: [{name: a, state: {waiting: {reason: CrashLoopBackOff}}}]}}`, "Progressing", "container a: CrashLoopBackOff"},
		{"image", `{spec: {}, status: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ImagePullBackOff}}}]}}`, "Degraded", "ImagePullBackOff"},
		{"image of a job", `{spec: {restartPolicy: Never}, status: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ErrImagePull}}}]}}`, "Progressing", "ErrImagePull"},
		{"image of a job that counts as running on", `{metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: "true"}}, spec: {restartPolicy: Never}, status: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ErrImagePull}}}]}}`, "Degraded", "ErrImagePull"},
		{"a hook that asks to count as running on", `{metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: "true", argocd.argoproj.io/hook: PostSync}}, spec: {restartPolicy: Never}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`, "Progressing", "until it ends"},
		{"a hook of a chart that asks to count as running on", `{metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: "true", helm.sh/hook: test}}, spec: {restartPolicy: Never}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`, "Progressing", "until it ends"},
		{"configuration", `{spec: {}, status: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: CreateContainerConfigError, message: secret "x" not found}}}]}}`, "Degraded", `secret "x" not found`},
		{"two containers", `{spec: {}, status: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ErrImagePull}}}, {name: b, state: {waiting: {reason: InvalidImageName}}}]}}`, "Degraded", "container a: ErrImagePull; container b: InvalidImageName"},
		{"init crash loop", `{spec: {}, status: {phase: Pending, initContainerStatuses: [{name: i, state: {waiting: {reason: CrashLoopBackOff}}}]}}`, "Degraded", "container i"},
		{"init failed once", `{spec: {}, status: {phase: Pending, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 3}}}]}}`, "Progressing", "init container i: exit code 3"},
		{"starting", `{spec: {}, status: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ContainerCreating}}}]}}`, "Progressing", "-"},
		{"unschedulable", `{spec: {}, status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: 0/1 nodes}]}}`, "Progressing", "0/1 nodes"},
		{"succeeded", `{spec: {restartPolicy: Never}, status: {phase: Succeeded}}`, "Healthy", "-"},
		{"failed", `{spec: {restartPolicy: Never}, status: {phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 2, reason: Error}}}]}}`, "Degraded", "container a: exit code 2"},
		{"evicted", `{spec: {}, status: {phase: Failed, reason: Evicted, message: low on memory}}`, "Degraded", "low on memory"},
		{"failed without a word", `{status: {phase: Failed, reason: NodeLost}}`, "Degraded", "NodeLost"},
		{"runs to its end", `{spec: {restartPolicy: Never}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`, "Progressing", "until it ends"},
		{"runs on by annotation", `{metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: "true"}}, spec: {restartPolicy: Never}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`, "Healthy", "-"},
		{"unknown", `{status: {phase: Unknown}}`, "Unknown", ""},
		{"empty", `{}`, "Unknown", ""},
		{"being deleted", `{metadata: {deletionTimestamp: "2026-11-23T00:00:00Z"}, status: {phase: Running}}`, "Progressing", "deletion"},
		{"being deleted, and held", `{metadata: {deletionTimestamp: "2026-11-23T00:00:00Z", finalizers: [example.com/a, example.com/b]}}`, "Progressing", "blocked by finalizers example.com/a, example.com/b"},
	} {
		t.Run(r.name, func(t *testing.T) { check1(t, model.GroupKind{Kind: "Pod"}, r) })
	}
}

func TestFacts(t *testing.T) {
	for name, c := range map[string]struct {
		gk     model.GroupKind
		obj    string
		images string
		info   string
	}{
		"pod":         {model.GroupKind{Kind: "Pod"}, `{spec: {initContainers: [{image: c}], containers: [{image: b}, {image: a}, {image: b}]}, status: {phase: Running, containerStatuses: [{ready: true, restartCount: 2}, {restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}}]}}`, "a,b,c", "Ready=1/3,Status=CrashLoopBackOff,Restarts=3"},
		"ending pod":  {model.GroupKind{Kind: "Pod"}, `{metadata: {deletionTimestamp: "2026-11-23T00:00:00Z"}, spec: {containers: [{image: a}]}, status: {phase: Running}}`, "a", "Ready=0/1,Status=Terminating"},
		"deployment":  {apps("Deployment"), `{spec: {replicas: 2, template: {spec: {containers: [{image: x}]}}}, status: {readyReplicas: 1}}`, "x", "Ready=1/2"},
		"replica set": {apps("ReplicaSet"), `{metadata: {annotations: {deployment.kubernetes.io/revision: "7"}}, spec: {replicas: 0}}`, "", "Ready=0/0,Revision=7"},
		"daemon set":  {apps("DaemonSet"), `{status: {numberReady: 1, desiredNumberScheduled: 3}}`, "", "Ready=1/3"},
		"job":         {model.GroupKind{Group: "batch", Kind: "Job"}, `{status: {succeeded: 1}}`, "", "Completions=1/1"},
		"cron job":    {model.GroupKind{Group: "batch", Kind: "CronJob"}, `{spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: why}]}}}}}}`, "why", ""},
		"other":       {model.GroupKind{Kind: "ConfigMap"}, `{spec: {containers: [{image: z}]}}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			images, info := Facts(c.gk, decode(t, c.obj))
			var parts []string
			for _, i := range info {
				parts = append(parts, i.Name+"="+i.Value)
			}
			if strings.Join(images, ",") != c.images || strings.Join(parts, ",") != c.info {
				t.Errorf("got %v %v", images, parts)
			}
		})
	}
}

// FuzzOf: whatever is in an object, judging it neither panics nor is endless.
func FuzzOf(f *testing.F) {
	for gk := range checks {
		f.Add(gk.Group, gk.Kind, `{"metadata":{"generation":1},"spec":{"replicas":"x","template":[]},"status":{"conditions":[1,{"type":2}],"containerStatuses":{}}}`)
	}
	for gk := range custom {
		f.Add(gk.Group, gk.Kind, `{"metadata":{"generation":1,"annotations":[]},"spec":{"nodeSets":[1],"clusters":"x"},"status":{"conditions":[1,{"type":["Ready"]}],"phase":7,"instances":[{}],"brokersState":[]}}`)
	}
	for _, g := range groups {
		f.Add("a"+g.group, "Widget", `{"status":{"statuses":{"a":1},"byPod":[{"errors":[null]}],"validationMessages":{}}}`)
	}
	f.Add("example.com", "Widget", `{"status":{"conditions":[{"type":"Ready","status":1}]}}`)
	f.Fuzz(func(t *testing.T, group, kind, doc string) {
		var obj map[string]any
		if utiljson.Unmarshal([]byte(doc), &obj) != nil {
			return
		}
		gk := model.GroupKind{Group: group, Kind: kind}
		got := Of(gk, obj)
		if got.Status == "" {
			t.Errorf("no judgement of %s", doc)
		}
		if len(got.Message) > maxMessage+8 {
			t.Errorf("message of %d bytes", len(got.Message))
		}
		Facts(gk, obj)
	})
}
