package diff

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// benchObject is a Deployment of about 2 KB, or of about 100 KB with many
// environment variables, as it is desired and as it is live, with the field set
// that applying it leaves.
func benchObject(t testing.TB, variables int) (desired map[string]any, liveBody []byte, managers []live.FieldManager) {
	t.Helper()
	desired = object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web, team: a}, annotations: {argocd.argoproj.io/tracking-id: "web:apps/Deployment:shop/web"}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec:
      serviceAccountName: web
      containers:
      - name: web
        image: registry.example.com/shop/web:1.27.3
        ports: [{containerPort: 8080, name: http}, {containerPort: 9090, name: metrics}]
        resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 100m, memory: 256Mi}}
        readinessProbe: {httpGet: {path: /ready, port: http}}
        livenessProbe: {httpGet: {path: /live, port: http}}
        volumeMounts: [{name: tmp, mountPath: /tmp}, {name: config, mountPath: /etc/web}]
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        env: []
      volumes: [{name: tmp, emptyDir: {}}, {name: config, configMap: {name: web}}]
`)
	container := func(o map[string]any) map[string]any {
		return o["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	}
	env := make([]any, variables)
	fields := map[string]any{}
	for i := range env {
		name := fmt.Sprintf("SETTING_%04d", i)
		env[i] = map[string]any{"name": name, "value": fmt.Sprintf("value of the setting number %d, of a usual length", i)}
		fields[fmt.Sprintf(`k:{"name":%q}`, name)] = map[string]any{".": map[string]any{}, "f:name": map[string]any{}, "f:value": map[string]any{}}
	}
	container(desired)["env"] = env
	liveObj := deepCopy(desired).(map[string]any)
	meta := liveObj["metadata"].(map[string]any)
	meta["uid"], meta["resourceVersion"], meta["generation"], meta["creationTimestamp"] = "8d1b1b1a-0000-4000-8000-000000000000", "12345", int64(1), "2026-01-02T03:04:05Z"
	spec := liveObj["spec"].(map[string]any)
	spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"] = int64(10), int64(600)
	spec["strategy"] = map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxSurge": "25%", "maxUnavailable": "25%"}}
	pod := spec["template"].(map[string]any)["spec"].(map[string]any)
	for k, v := range map[string]any{"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": int64(30), "securityContext": map[string]any{}, "serviceAccount": "web"} {
		pod[k] = v
	}
	c := container(liveObj)
	c["terminationMessagePath"], c["terminationMessagePolicy"], c["imagePullPolicy"] = "/dev/termination-log", "File", "IfNotPresent"
	for _, p := range c["ports"].([]any) {
		p.(map[string]any)["protocol"] = "TCP"
	}
	c["resources"].(map[string]any)["limits"].(map[string]any)["cpu"] = "1"
	set := map[string]any{"f:metadata": json.RawMessage(`{"f:annotations":{"f:argocd.argoproj.io/tracking-id":{}},"f:labels":{"f:app":{},"f:team":{}}}`),
		"f:spec": map[string]any{"f:replicas": map[string]any{}, "f:selector": map[string]any{}, "f:template": map[string]any{
			"f:metadata": json.RawMessage(`{"f:labels":{"f:app":{},"f:version":{}}}`),
			"f:spec": map[string]any{"f:serviceAccountName": map[string]any{},
				"f:volumes": json.RawMessage(`{"k:{\"name\":\"config\"}":{".":{},"f:configMap":{"f:name":{}},"f:name":{}},"k:{\"name\":\"tmp\"}":{".":{},"f:emptyDir":{},"f:name":{}}}`),
				"f:containers": map[string]any{`k:{"name":"web"}`: map[string]any{".": map[string]any{}, "f:env": fields, "f:image": map[string]any{}, "f:name": map[string]any{},
					"f:ports":         json.RawMessage(`{"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{}},"k:{\"containerPort\":9090,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{}}}`),
					"f:resources":     json.RawMessage(`{"f:limits":{"f:cpu":{},"f:memory":{}},"f:requests":{"f:cpu":{},"f:memory":{}}}`),
					"f:volumeMounts":  json.RawMessage(`{"k:{\"mountPath\":\"/etc/web\"}":{".":{},"f:mountPath":{},"f:name":{}},"k:{\"mountPath\":\"/tmp\"}":{".":{},"f:mountPath":{},"f:name":{}}}`),
					"f:livenessProbe": json.RawMessage(`{"f:httpGet":{"f:path":{},"f:port":{}}}`), "f:readinessProbe": json.RawMessage(`{"f:httpGet":{"f:path":{},"f:port":{}}}`),
					"f:securityContext": json.RawMessage(`{"f:allowPrivilegeEscalation":{},"f:capabilities":{"f:drop":{}},"f:readOnlyRootFilesystem":{}}`),
				}}}}}}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return desired, manifest.AppendJSON(nil, liveObj), []live.FieldManager{own(string(raw)), other("kube-controller-manager", `{"f:metadata":{"f:annotations":{"f:deployment.kubernetes.io/revision":{}}}}`)}
}

func BenchmarkCompare(b *testing.B) {
	for _, size := range []struct {
		name      string
		variables int
	}{{"2KB", 0}, {"100KB", 1250}} {
		desired, liveBody, managers := benchObject(b, size.variables)
		run := func(name string, in Input, want int) {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(liveBody)))
				for b.Loop() {
					res, err := Compare(in)
					if err != nil || res.Total != want {
						b.Fatalf("%+v %v", res, err)
					}
				}
			})
		}
		in := Input{Desired: desired, Live: liveBody, Managers: managers, RedactionKey: []byte("k")}
		run("same", in, 0)
		changed := deepCopy(desired).(map[string]any)
		changed["spec"].(map[string]any)["replicas"] = int64(3)
		in.Desired = changed
		run("differs", in, 1)
		in.Ignore = []model.IgnoreDifferences{{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/replicas"}}}
		run("pointer", in, 0)
		in.Ignore = []model.IgnoreDifferences{{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{`.spec.replicas, (.spec.template.spec.containers[] | select(.name == "side"))`}}}
		run("jq", in, 0)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []struct {
		name      string
		variables int
	}{{"2KB", 0}, {"100KB", 1250}} {
		_, liveBody, _ := benchObject(b, size.variables)
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(liveBody)))
			for b.Loop() {
				if _, err := Decode(liveBody); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
