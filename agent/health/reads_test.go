package health

import (
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// without is a value without what is at a path.
func without(v any, path []string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if k != path[0] {
				out[k] = x
			} else if len(path) > 1 {
				out[k] = without(x, path[1:])
			}
		}
		return out
	case []any:
		var out []any
		for _, x := range v {
			out = append(out, without(x, path))
		}
		return out
	}
	return v
}

func paths(v any) (out [][]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			out = append(out, []string{k})
			for _, p := range paths(x) {
				out = append(out, append([]string{k}, p...))
			}
		}
	case []any:
		for _, x := range v {
			out = append(out, paths(x)...)
		}
	}
	return out
}

// kept reports whether Parts keep what is at a path.
func (p Parts) kept(path []string) bool {
	for _, f := range path {
		if p == nil {
			return true
		}
		next, named := p[f]
		if !named {
			if next, named = p["*"]; !named {
				return false
			}
		}
		p = next
	}
	return true
}

// TestReads: what the judgement and the facts of an object depend on is kept.
func TestReads(t *testing.T) {
	pod := `restartPolicy: Never, nodeName: n, containers: [{name: a, image: x, env: [{name: A, value: b}]}], initContainers: [{name: i, image: y}]`
	objects := map[model.GroupKind][]string{
		{Kind: "Pod"}: {
			`{metadata: {name: p, annotations: {argocd.argoproj.io/ignore-restart-policy: "true"}}, spec: {` + pod + `}, status: {phase: Running, conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: a, ready: true, restartCount: 2}]}}`,
			`{metadata: {name: p, labels: {a: b}}, spec: {restartPolicy: Always, containers: [{name: a, image: x}]}, status: {phase: Running, hostIP: 10.0.0.1, containerStatuses: [{name: a, imageID: y, state: {waiting: {reason: ErrImagePull, message: m}}}]}}`,
			`{metadata: {name: p}, spec: {restartPolicy: Always}, status: {phase: Running, conditions: [{type: Ready, status: "False", reason: x, message: m, lastTransitionTime: t}], containerStatuses: [{name: a, lastState: {terminated: {exitCode: 3}}}]}}`,
			`{metadata: {name: p}, spec: {restartPolicy: Never}, status: {phase: Failed, reason: Evicted, startTime: t, initContainerStatuses: [{name: i, containerID: c, state: {terminated: {exitCode: 2}}}]}}`,
			`{metadata: {name: p}, spec: {}, status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", message: m}], initContainerStatuses: [{name: i, state: {terminated: {exitCode: 2}}}]}}`,
			`{metadata: {name: p, deletionTimestamp: t, finalizers: [f], ownerReferences: [{uid: u}]}, spec: {containers: [{name: a}]}, status: {phase: Unknown, message: m}}`,
		},
		apps("Deployment"): {
			`{metadata: {generation: 2}, spec: {replicas: 2, minReadySeconds: 5, template: {metadata: {labels: {a: b}}, spec: {` + pod + `}}}, status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2, readyReplicas: 2}}`,
			`{metadata: {generation: 2}, spec: {paused: true, template: {spec: {` + pod + `}}}}`,
		},
		apps("ReplicaSet"):                {`{metadata: {generation: 1, annotations: {deployment.kubernetes.io/revision: "3"}}, spec: {replicas: 2, template: {spec: {` + pod + `}}}, status: {observedGeneration: 1, availableReplicas: 2, readyReplicas: 2}}`},
		apps("StatefulSet"):               {`{metadata: {generation: 1}, spec: {replicas: 2, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}, volumeClaimTemplates: [{metadata: {name: v}}], template: {spec: {` + pod + `}}}, status: {observedGeneration: 1, readyReplicas: 2, updatedReplicas: 1, updateRevision: a, currentRevision: b}}`},
		apps("DaemonSet"):                 {`{metadata: {generation: 1}, spec: {updateStrategy: {type: OnDelete}, template: {spec: {` + pod + `}}}, status: {observedGeneration: 1, numberReady: 1, desiredNumberScheduled: 2}}`},
		{Group: "batch", Kind: "Job"}:     {`{spec: {completions: 3, parallelism: 2, template: {spec: {` + pod + `}}}, status: {succeeded: 1, conditions: [{type: Failed, status: "True", message: m}]}}`},
		{Group: "batch", Kind: "CronJob"}: {`{spec: {suspend: true, schedule: "* * * * *", jobTemplate: {spec: {backoffLimit: 1, template: {spec: {` + pod + `}}}}}, status: {}}`},
	}
	for gk := range reads {
		if len(objects[gk]) == 0 {
			t.Errorf("%s is not tried", gk)
		}
		for _, doc := range objects[gk] {
			obj := decode(t, doc)
			whole := Of(gk, obj)
			images, info := Facts(gk, obj)
			for _, p := range paths(obj) {
				if Reads(gk).kept(p) {
					continue
				}
				less := without(obj, p).(map[string]any)
				i, f := Facts(gk, less)
				if got := Of(gk, less); got != whole || !reflect.DeepEqual(i, images) || !reflect.DeepEqual(f, info) {
					t.Errorf("%s: %v is read and not kept", gk, p)
				}
			}
		}
	}
}

func TestStaticKinds(t *testing.T) {
	for gk := range inert {
		obj := decode(t, `{metadata: {name: a}, spec: {x: 1}, status: {conditions: [{type: Ready, status: "False"}]}}`)
		images, info := Facts(gk, obj)
		if got := Of(gk, obj); !Static(gk) || got != (model.HealthFacet{Status: "Healthy"}) || images != nil || info != nil {
			t.Errorf("%s is %+v with facts %v %v", gk, got, images, info)
		}
	}
	if Static(model.GroupKind{Kind: "Pod"}) || Static(model.GroupKind{Group: "example.com", Kind: "ConfigMap"}) {
		t.Error("a kind that is not static")
	}
}
