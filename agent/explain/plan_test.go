package explain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/manifest"
)

func objectsOf(t *testing.T, yaml string) []manifest.Object {
	t.Helper()
	objs, err := manifest.Parse("t.yaml", []byte(yaml), manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

func planLines(r PlanReport) string {
	var b strings.Builder
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "%s %d %s %s\n", s.Phase, s.Wave, s.Operation, s.key())
	}
	for _, list := range []struct {
		name  string
		steps []PlanStep
	}{{"on failure", r.OnFailure}, {"on delete", r.OnDelete}, {"skipped", r.Skipped}} {
		for _, s := range list.steps {
			fmt.Fprintf(&b, "%s: %s %s\n", list.name, s.Phase, s.key())
		}
	}
	return b.String()
}

const hooked = `apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/sync-wave: "-1"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: late, annotations: {argocd.argoproj.io/sync-wave: "5"}}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
---
apiVersion: batch/v1
kind: Job
metadata: {name: notify, annotations: {helm.sh/hook: "post-install,post-upgrade", helm.sh/hook-weight: "3"}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: alarm, annotations: {argocd.argoproj.io/hook: SyncFail}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: backup, annotations: {argocd.argoproj.io/hook: PreDelete}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: check, annotations: {helm.sh/hook: test}}
---
apiVersion: v1
kind: Namespace
metadata: {name: space, namespace: stray}
`

func TestPlanOfAnEmptyCluster(t *testing.T) {
	r, err := Plan(PlanOptions{App: "app", Namespace: "ns"}, objectsOf(t, hooked), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `PreSync -1 create batch/Job ns/migrate
Sync 0 create Namespace space
Sync 0 create Service ns/web
Sync 0 create apps/Deployment ns/web
Sync 5 create ConfigMap ns/late
PostSync 3 create batch/Job ns/notify
SyncFail 0 create batch/Job ns/alarm
PreDelete 0 create batch/Job ns/backup
on failure: SyncFail batch/Job ns/alarm
on delete: PreDelete batch/Job ns/backup
skipped: Sync batch/Job ns/check
`
	if got := planLines(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPlanOverLiveObjects(t *testing.T) {
	present := `apiVersion: v1
kind: ConfigMap
metadata: {name: late, namespace: ns, uid: x, resourceVersion: "7", annotations: {argocd.argoproj.io/sync-wave: "5"}}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ns}
spec: {replicas: 3}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-1, namespace: ns, ownerReferences: [{kind: Deployment, name: web, uid: x, apiVersion: apps/v1}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: old-early, namespace: ns}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: old-late, namespace: ns, annotations: {argocd.argoproj.io/sync-wave: "3"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: old-last, namespace: ns, annotations: {argocd.argoproj.io/sync-options: PruneLast=true, argocd.argoproj.io/sync-wave: "9"}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: old-kept, namespace: ns, annotations: {argocd.argoproj.io/sync-options: Prune=false}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: foreign, namespace: ns, annotations: {argocd.argoproj.io/tracking-id: "other:/ConfigMap:ns/foreign"}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: old-hook, namespace: ns, annotations: {argocd.argoproj.io/hook: PreSync}}
`
	r, err := Plan(PlanOptions{Namespace: "ns"}, objectsOf(t, hooked), objectsOf(t, present))
	if err != nil {
		t.Fatal(err)
	}
	want := `PreSync -1 create batch/Job ns/migrate
Sync 0 create Namespace space
Sync 0 create Service ns/web
Sync 0 configure apps/Deployment ns/web
Sync 5 unchanged ConfigMap ns/late
Sync 3 prune ConfigMap ns/old-late
Sync 0 keep ConfigMap ns/old-kept
Sync 0 prune ConfigMap ns/old-early
Sync 9 prune ConfigMap ns/old-last
PostSync 3 create batch/Job ns/notify
SyncFail 0 create batch/Job ns/alarm
PreDelete 0 create batch/Job ns/backup
on failure: SyncFail batch/Job ns/alarm
on delete: PreDelete batch/Job ns/backup
skipped: Sync batch/Job ns/check
`
	if got := planLines(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
