package rbac

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	namespace = "hawser-system"
	account   = "hawser-agent"
	// patience is generous because the machine may be small and busy.
	patience = 2 * time.Minute
)

// resources of the kinds in docs/agent-rbac.yaml.
var resources = map[string]schema.GroupVersionResource{
	"Namespace":          {Version: "v1", Resource: "namespaces"},
	"ServiceAccount":     {Version: "v1", Resource: "serviceaccounts"},
	"Role":               {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	"RoleBinding":        {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	"ClusterRole":        {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
	"ClusterRoleBinding": {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
}

// grant creates what docs/agent-rbac.yaml says, as a person would.
func grant(t *testing.T, ctx context.Context, cp *testbed.ControlPlane, root string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "agent-rbac.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	documents := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for n := 0; ; n++ {
		var o unstructured.Unstructured
		if err := documents.Decode(&o.Object); errors.Is(err, io.EOF) {
			if n == 0 {
				t.Fatal("the file holds no objects")
			}
			return
		} else if err != nil {
			t.Fatalf("document %d: %v", n+1, err)
		}
		gvr, ok := resources[o.GetKind()]
		if !ok {
			t.Fatalf("document %d is a %q, which this test cannot create", n+1, o.GetKind())
		}
		into := dynamic.ResourceInterface(client.Resource(gvr))
		if ns := o.GetNamespace(); ns != "" {
			into = client.Resource(gvr).Namespace(ns)
		}
		if _, err := into.Create(ctx, &o, metav1.CreateOptions{FieldValidation: "Strict"}); err != nil {
			t.Fatalf("document %d, %s %s: %v", n+1, o.GetKind(), o.GetName(), err)
		}
	}
}

const everyKind = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {password: open-sesame}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1"}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: "example.com/c:1"}]}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quiet}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
`

const replaced = `apiVersion: v1
kind: ConfigMap
metadata: {name: replaced, annotations: {argocd.argoproj.io/sync-options: "Replace=true"}}
data: {round: "%d"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: recreated, annotations: {argocd.argoproj.io/sync-options: "Replace=true,Force=true"}}
data: {round: "%d"}
`

const notGranted = `apiVersion: v1
kind: ConfigMap
metadata: {name: beside}
data: {a: b}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
`

func application(name, url string, automated bool) string {
	policy := `{syncOptions: [CreateNamespace=true]}`
	if automated {
		policy = `{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}`
	}
	return fmt.Sprintf(`apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %s}
spec:
  project: everything
  source: {repoURL: %q, path: %s, targetRevision: main}
  destination: {name: limited, namespace: %s}
  syncPolicy: %s
---
`, name, url, name, name, policy)
}

const project = `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: everything}
spec:
  sourceRepos: ["*"]
  destinations: [{name: "*", namespace: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
---
`

// lookAt has everything looked at that people can look at.
func lookAt(t *testing.T, ctx context.Context, r *rig.Rig) {
	t.Helper()
	out, err := r.CLI(ctx, "app", "tree", "shop", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var tree model.ResourceTree
	if err := json.Unmarshal(out, &tree); err != nil {
		t.Fatal(err)
	}
	pods := 0
	for _, n := range tree.Nodes {
		kind := n.Kind
		if n.Group != "" {
			kind += "." + n.Group
		}
		if out, err := r.CLI(ctx, "app", "resource", "shop", kind+"/"+n.Name); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		if n.Kind != "Pod" {
			continue
		}
		pods++
		for _, args := range [][]string{{"exec", "shop", "--pod", n.Name, "--", "echo", "x"}, {"logs", "shop", "--kind", "pod", "--name", n.Name}, {"events", "shop"}} {
			if out, err := r.CLI(ctx, append([]string{"app"}, args...)...); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		}
	}
	if pods == 0 {
		t.Errorf("no pod is in the tree: %s", out)
	}
}

func TestAgentWithTheDocumentedRules(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	root, err := testbed.RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t), HubArgs: []string{"--poll-interval", "2s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	kubelet, err := testbed.StartKubelet(testbed.KubeletOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kubelet.Close)
	c, err := r.AddClusterWith(ctx, testbed.Options{Name: "limited", Kubelet: kubelet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's log:\n%s", testbed.Tail(c.AgentLog(), 40))
		}
	})
	grant(t, ctx, c.ControlPlane, root)
	kubeconfig, err := c.ServiceAccountKubeconfig(ctx, namespace, account)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(r.Dir, "service-account.kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	audit := c.Audit()
	if err := c.Enrol(ctx, "--kubeconfig", file, "--allow-exec"); err != nil {
		t.Fatal(err)
	}

	repo, err := r.Git.CreateRepo(ctx, "fleet")
	if err != nil {
		t.Fatal(err)
	}
	commit := func(files map[string]string) {
		t.Helper()
		content := map[string][]byte{}
		for path, text := range files {
			content[path] = []byte(text)
		}
		if _, err := repo.Commit(ctx, "change", content); err != nil {
			t.Fatal(err)
		}
	}
	cli := func(args ...string) {
		t.Helper()
		if out, err := r.CLI(ctx, args...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	commit(map[string]string{"shop/all.yaml": everyKind, "swap/all.yaml": fmt.Sprintf(replaced, 1, 1), "denied/all.yaml": notGranted})
	declared := project + application("shop", repo.URL(), true) + application("swap", repo.URL(), true) + application("denied", repo.URL(), false)
	if out, err := r.CLIInput(ctx, []byte(declared), "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cli("app", "wait", "shop", "swap", "--timeout", patience.String())
	lookAt(t, ctx, r)

	configMaps := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	await := func(ns, name, what string, holds func(*unstructured.Unstructured) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		o, err := c.Object(configMaps, ns, name)
		if err == nil {
			err = o.Await(ctx, what, holds)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// Drift, a missing object, and pruning.
	settings, err := c.Object(configMaps, "shop", "settings")
	if err != nil {
		t.Fatal(err)
	}
	if err := settings.Patch(ctx, map[string]any{"data": map[string]any{"greeting": "ahoy"}}); err != nil {
		t.Fatal(err)
	}
	await("shop", "settings", "the drift is repaired", func(o *unstructured.Unstructured) bool {
		return o != nil && rig.Field(o, "data", "greeting") == "hello"
	})
	if err := settings.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	await("shop", "settings", "it is created again", func(o *unstructured.Unstructured) bool { return o != nil })
	commit(map[string]string{
		"shop/all.yaml": everyKind[strings.Index(everyKind, "---\n")+4:],
		"swap/all.yaml": fmt.Sprintf(replaced, 2, 2),
	})
	await("shop", "settings", "it is pruned", func(o *unstructured.Unstructured) bool { return o == nil })
	for _, name := range []string{"replaced", "recreated"} {
		await("swap", name, "the second round", func(o *unstructured.Unstructured) bool {
			return o != nil && rig.Field(o, "data", "round") == "2"
		})
	}
	cli("app", "wait", "shop", "swap", "--timeout", patience.String())
	// A restart reads the journal again; then everything is deleted.
	c.KillAgent()
	if err := c.RestartAgent(); err != nil {
		t.Fatal(err)
	}
	cli("app", "delete", "shop", "--cascade", "--yes", "--timeout", patience.String())
	cli("app", "delete", "swap", "--cascade=false", "--yes", "--timeout", patience.String())

	requests, refused := 0, 0
	events, err := audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range events {
		if ev.User != "system:serviceaccount:"+namespace+":"+account {
			continue
		}
		requests++
		// The one application whose kind is not granted comes later.
		if (ev.Code == http.StatusForbidden || ev.Code == http.StatusUnauthorized) && ev.Resource != "roles" {
			refused++
			t.Errorf("refused: %s", ev)
		}
	}
	if requests < 20 {
		t.Errorf("only %d requests of the agent are in the audit log", requests)
	}
	t.Logf("%d requests, %d refused", requests, refused)

	// What is not granted says so, and does not keep the rest from being done.
	out, err := r.CLI(ctx, "app", "sync", "denied", "--timeout", patience.String(), "-o", "json")
	var failed *rig.CLIError
	if !errors.As(err, &failed) {
		t.Fatalf("a sync of a kind that is not granted ends with %v\n%s", err, out)
	}
	if said := failed.Stdout + failed.Stderr; !strings.Contains(said, "Role denied/reader") || !strings.Contains(said, "the agent's account may not") {
		t.Errorf("the sync says:\n%s", said)
	}
	await("denied", "beside", "the other object is applied", func(o *unstructured.Unstructured) bool { return o != nil })
	out, err = r.CLI(ctx, "cluster", "get", "limited", "-o", "json")
	var got map[string]any
	if err != nil || json.Unmarshal(out, &got) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "Kind rbac.authorization.k8s.io/Role is not observed") {
		t.Errorf("the cluster's conditions do not name the kind that cannot be watched:\n%s", out)
	}

	// The account suffices to obey the cluster's own policy.
	veto := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "hawser-veto", "namespace": namespace},
		"data": map[string]any{"policy.yaml": "deny: [{namespaces: [denied], reason: closed}]"},
	}}
	client, err := dynamic.NewForConfig(c.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(configMaps).Namespace(namespace).Create(ctx, veto, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for {
		out, err = r.CLI(ctx, "app", "sync", "denied", "--timeout", patience.String(), "-o", "json")
		if !errors.As(err, &failed) {
			t.Fatalf("a sync into a closed namespace ends with %v\n%s", err, out)
		}
		// Until the agent has heard of the policy, its account is what is in the way.
		if strings.Contains(failed.Stdout, "is vetoed by the cluster's own policy (deny[0]: closed)") {
			break
		}
		if ctx.Err() != nil || !strings.Contains(failed.Stdout, "the agent's account may not") {
			t.Fatalf("the policy is not obeyed: %v\n%s", err, failed.Stdout+failed.Stderr)
		}
	}
}
