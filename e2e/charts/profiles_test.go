package charts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// patience is generous because the machine may be small and busy.
const patience = 90 * time.Second

// act is something that an account may try at the API server.
type act struct {
	verb, group, resource, sub, namespace, name string
	// may are the profiles that are allowed it.
	may string
}

// own stands for the agent's namespace.
const own = "OWN"

// acts hold the profiles apart. The last word is who may.
var acts = []act{
	{"list", "", "configmaps", "", "", "", "observe curated impersonate cluster-admin"},
	{"list", "", "configmaps", "", "shop", "", "observe namespaced curated impersonate cluster-admin"},
	{"list", "", "configmaps", "", "kube-system", "", "observe curated impersonate cluster-admin"},
	{"watch", "apps", "deployments", "", "till", "", "observe namespaced curated impersonate cluster-admin"},
	{"create", "", "configmaps", "", "shop", "", "namespaced curated cluster-admin"},
	{"create", "", "configmaps", "", "kube-system", "", "curated cluster-admin"},
	{"delete", "apps", "deployments", "", "kube-system", "x", "curated cluster-admin"},
	{"patch", "apps", "deployments", "", "shop", "x", "namespaced curated cluster-admin"},
	{"list", "", "secrets", "", own, "", "observe namespaced curated impersonate cluster-admin"},
	{"list", "", "secrets", "", "", "", "cluster-admin"},
	{"list", "", "secrets", "", "shop", "", "cluster-admin"},
	{"get", "", "secrets", "", "kube-system", "x", "cluster-admin"},
	{"create", "", "pods", "", "shop", "", "cluster-admin"},
	{"list", "", "pods", "", "shop", "", "observe namespaced curated impersonate cluster-admin"},
	{"list", "", "pods", "", "kube-system", "", "observe curated impersonate cluster-admin"},
	{"create", "", "pods", "exec", "shop", "x", "cluster-admin"},
	{"create", "", "pods", "attach", "shop", "x", "cluster-admin"},
	{"create", "", "pods", "portforward", "shop", "x", "cluster-admin"},
	{"create", "", "serviceaccounts", "token", "kube-system", "default", "cluster-admin"},
	{"create", "", "serviceaccounts", "token", "shop", "deployer", "cluster-admin"},
	{"impersonate", "", "users", "", "", "admin", "cluster-admin"},
	{"impersonate", "", "groups", "", "", "system:masters", "cluster-admin"},
	{"impersonate", "", "serviceaccounts", "", "kube-system", "default", "cluster-admin"},
	{"impersonate", "", "serviceaccounts", "", "shop", "default", "cluster-admin"},
	{"impersonate", "", "serviceaccounts", "", "shop", "deployer", "impersonate cluster-admin"},
	{"create", "", "namespaces", "", "", "", "curated cluster-admin"},
	{"delete", "", "namespaces", "", "", "till", "cluster-admin"},
	{"list", "", "namespaces", "", "", "", "observe curated impersonate cluster-admin"},
	{"list", "", "nodes", "", "", "", "observe curated impersonate cluster-admin"},
	{"get", "", "nodes", "proxy", "", "x", "cluster-admin"},
	{"create", "rbac.authorization.k8s.io", "clusterroles", "", "", "", "cluster-admin"},
	{"escalate", "rbac.authorization.k8s.io", "clusterroles", "", "", "x", "cluster-admin"},
	{"bind", "rbac.authorization.k8s.io", "clusterroles", "", "", "cluster-admin", "cluster-admin"},
	{"create", "rbac.authorization.k8s.io", "clusterrolebindings", "", "", "", "cluster-admin"},
	{"create", "rbac.authorization.k8s.io", "rolebindings", "", "shop", "", "cluster-admin"},
	{"patch", "rbac.authorization.k8s.io", "roles", "", own, "hawser-agent", "cluster-admin"},
	{"patch", "apps", "deployments", "", own, "hawser-agent", "curated cluster-admin"},
	{"create", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", "", "", "cluster-admin"},
	{"create", "apiextensions.k8s.io", "customresourcedefinitions", "", "", "", "cluster-admin"},
	{"create", "certificates.k8s.io", "certificatesigningrequests", "", "", "", "cluster-admin"},
	{"create", "coordination.k8s.io", "leases", "", "kube-system", "", "cluster-admin"},
}

// request is the act as a request of HTTP. Authorization comes before everything
// else, so that a body is not needed to be refused.
func (a act) request() (method, path string, header http.Header) {
	header = http.Header{}
	if a.verb == "impersonate" {
		switch a.resource {
		case "users":
			header.Set("Impersonate-User", a.name)
		case "groups":
			header.Set("Impersonate-User", "nobody")
			header.Set("Impersonate-Group", a.name)
		case "serviceaccounts":
			header.Set("Impersonate-User", "system:serviceaccount:"+a.namespace+":"+a.name)
		}
		return http.MethodGet, "/api", header
	}
	path = "/api/v1"
	if a.group != "" {
		path = "/apis/" + a.group + "/v1"
	}
	if a.namespace != "" {
		path += "/namespaces/" + a.namespace
	}
	path += "/" + a.resource
	for _, part := range []string{a.name, a.sub} {
		if part != "" {
			path += "/" + part
		}
	}
	switch a.verb {
	case "create":
		return http.MethodPost, path, header
	case "delete":
		return http.MethodDelete, path, header
	case "patch":
		header.Set("Content-Type", "application/merge-patch+json")
		return http.MethodPatch, path, header
	case "watch":
		return http.MethodGet, path + "?watch=1&timeoutSeconds=1", header
	case "get", "list":
		return http.MethodGet, path, header
	}
	return "", "", nil // escalate, bind: parts of what create is
}

// exceed tries the acts as an account, by asking and by doing.
func exceed(t *testing.T, ctx context.Context, kubeconfig []byte, namespace, profile string) {
	t.Helper()
	cfg, err := testbed.RESTConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, a := range acts {
		may := strings.Contains(" "+a.may+" ", " "+profile+" ")
		if a.namespace == own {
			a.namespace = namespace
		}
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: a.verb, Group: a.group, Resource: a.resource, Subresource: a.sub, Namespace: a.namespace, Name: a.name}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed != may {
			t.Errorf("%s: %+v is allowed: %v", profile, a, review.Status.Allowed)
		}
		method, path, header := a.request()
		if method == "" || may && method != http.MethodGet {
			continue // what it may write is what its application shows
		}
		req, err := http.NewRequestWithContext(ctx, method, cfg.Host+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if method == http.MethodGet {
			req.Body = http.NoBody
		}
		for k, v := range header {
			req.Header[k] = v
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		resp.Body.Close()
		tried++
		if refused := resp.StatusCode == http.StatusForbidden; refused == may {
			t.Errorf("%s: %s %s is answered with %s\n%s", profile, method, path, resp.Status, body)
		}
	}
	if tried < 10 {
		t.Errorf("%s: only %d requests were made", profile, tried)
	}
}

// installed is a chart in a cluster of which the agent runs outside.
type installed struct {
	*rig.Agent
	kubeconfig []byte
	namespace  string
	user       string
}

// install creates what the chart renders to, and starts the real agent with the
// arguments of its Deployment and a token of its account.
func install(t *testing.T, ctx context.Context, r *rig.Rig, in *installer, profile string) installed {
	t.Helper()
	ns := "agent-" + profile
	in.namespace(t, ctx, ns, true)
	vals := merge(values(t, agentLeast), values(t, profiles[profile]))
	var args []string
	account := ""
	for _, o := range objects(t, mustRender(t, agent, ns, vals)) {
		if o.GetKind() == "Deployment" {
			containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range containers[0].(map[string]any)["args"].([]any) {
				switch name, _, _ := strings.Cut(a.(string), "="); name {
				case "run", "--hub", "--ca-hash", "--log-level", "--log-format", "--metrics-listen", "--health-listen":
				default:
					args = append(args, a.(string))
				}
			}
			account, _, _ = unstructured.NestedString(o.Object, "spec", "template", "spec", "serviceAccountName")
			continue
		}
		if err := in.create(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig, err := controlPlane(t).ServiceAccountKubeconfig(ctx, ns, account)
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.NewAgent(rig.AgentOptions{Cluster: profile, Kubeconfig: kubeconfig, Namespace: ns, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Stop)
	connecting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.Enrol(connecting, profile+".log"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's log:\n%s", testbed.Tail(a.Log(), 40))
		}
	})
	// What the chart grants is what the preflight asks for: nothing is missing.
	if log, err := os.ReadFile(a.Log()); err != nil {
		t.Fatal(err)
	} else if n := strings.Count(string(log), "msg=preflight"); n != 9 || strings.Count(string(log), " outcome=ok ") != n {
		t.Errorf("%s: %d checks\n%s", profile, n, log)
	}
	return installed{a, kubeconfig, ns, "system:serviceaccount:" + ns + ":" + account}
}

// stuff is what the applications consist of.
const stuff = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: hello}
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
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1"}]}
`

func application(name, project, url, cluster, namespace, policy string) string {
	return fmt.Sprintf(`apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %s}
spec:
  project: %s
  source: {repoURL: %q, path: stuff, targetRevision: main}
  destination: {name: %s, namespace: %s}
  syncPolicy: %s
---
`, name, project, url, cluster, namespace, policy)
}

const (
	projects = `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: everything}
spec:
  sourceRepos: ["*"]
  destinations: [{name: "*", namespace: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: as-deployer}
spec:
  sourceRepos: ["*"]
  destinations: [{name: "*", namespace: "*"}]
  destinationServiceAccounts: [{server: "*", namespace: "*", defaultServiceAccount: deployer}]
---
`
	automated = `{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}`
	inPlace   = `{automated: {prune: true, selfHeal: true}}`
	byHand    = `{}`
)

// TestProfiles runs the real agent with the account that each profile makes: it
// syncs what it may, the API server refuses it nothing on the way, and what is
// beyond the profile is refused.
func TestProfiles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	cp := controlPlane(t)
	in := newInstaller(t, cp)
	in.targets(t, ctx)
	deployer(t, ctx, in, "shop")
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t), HubArgs: []string{"--poll-interval", "2s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	repo, err := r.Git.CreateRepo(ctx, "fleet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(ctx, "stuff", map[string][]byte{"stuff/all.yaml": []byte(stuff)}); err != nil {
		t.Fatal(err)
	}
	if out, err := r.CLIInput(ctx, []byte(projects), "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	audit := cp.Audit()

	apply := func(t *testing.T, text string) {
		t.Helper()
		if out, err := r.CLIInput(ctx, []byte(text), "apply", "-f", "-"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	cli := func(t *testing.T, args ...string) {
		t.Helper()
		if out, err := r.CLI(ctx, args...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	refusedWith := func(t *testing.T, words string, args ...string) {
		t.Helper()
		out, err := r.CLI(ctx, args...)
		var failed *rig.CLIError
		if !errors.As(err, &failed) {
			t.Fatalf("%v ends with %v\n%s", args, err, out)
		}
		if said := failed.Stdout + failed.Stderr; !strings.Contains(said, words) {
			t.Errorf("%v says\n%s\nwant %q", args, said, words)
		}
	}
	there := func(t *testing.T, ns string) bool {
		t.Helper()
		_, err := in.client.CoreV1().ConfigMaps(ns).Get(ctx, "settings", metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		return err == nil
	}

	for _, p := range []struct {
		profile string
		works   func(t *testing.T)
	}{
		{"curated", func(t *testing.T) {
			apply(t, application("c", "everything", repo.URL(), "curated", "made-by-curated", automated))
			cli(t, "app", "wait", "c", "--timeout", patience.String())
			if !there(t, "made-by-curated") {
				t.Error("nothing was applied")
			}
			cli(t, "app", "delete", "c", "--cascade", "--yes", "--timeout", patience.String())
		}},
		{"namespaced", func(t *testing.T) {
			apply(t, application("n", "everything", repo.URL(), "namespaced", "shop", inPlace))
			cli(t, "app", "wait", "n", "--timeout", patience.String())
			if !there(t, "shop") {
				t.Error("nothing was applied")
			}
			if err := in.client.CoreV1().ConfigMaps("shop").Delete(ctx, "settings", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			awaitThere(t, ctx, func() bool { return there(t, "shop") })
			apply(t, application("n2", "everything", repo.URL(), "namespaced", "elsewhere", byHand))
			refusedWith(t, "the agent is installed for shop, till only", "app", "sync", "n2", "--timeout", patience.String())
			cli(t, "app", "delete", "n", "--cascade", "--yes", "--timeout", patience.String())
			cli(t, "app", "delete", "n2", "--cascade=false", "--yes", "--timeout", patience.String())
		}},
		{"impersonate", func(t *testing.T) {
			apply(t, application("i", "as-deployer", repo.URL(), "impersonate", "shop", inPlace))
			cli(t, "app", "wait", "i", "--timeout", patience.String())
			if !there(t, "shop") {
				t.Error("nothing was applied")
			}
			cli(t, "app", "delete", "i", "--cascade", "--yes", "--timeout", patience.String())
		}},
		{"observe", func(t *testing.T) {
			apply(t, application("o", "everything", repo.URL(), "observe", "shop", byHand))
			refusedWith(t, "the agent is installed with the profile observe", "app", "sync", "o", "--timeout", patience.String())
			if there(t, "shop") {
				t.Error("an agent that observes has applied something")
			}
			out, err := r.CLI(ctx, "app", "get", "o", "-o", "json")
			if err != nil || !strings.Contains(string(out), `"OutOfSync"`) {
				t.Errorf("the application is not compared: %v\n%s", err, out)
			}
			cli(t, "app", "delete", "o", "--cascade=false", "--yes", "--timeout", patience.String())
		}},
		{"cluster-admin", func(t *testing.T) {
			apply(t, application("a", "everything", repo.URL(), "cluster-admin", "made-by-admin", automated))
			cli(t, "app", "wait", "a", "--timeout", patience.String())
			if !there(t, "made-by-admin") {
				t.Error("nothing was applied")
			}
			cli(t, "app", "delete", "a", "--cascade", "--yes", "--timeout", patience.String())
		}},
	} {
		t.Run(p.profile, func(t *testing.T) {
			got := install(t, ctx, r, in, p.profile)
			p.works(t)
			got.Stop()
			// One cluster after the other: the hub knows a cluster by its kube-system.
			cli(t, "cluster", "delete", p.profile, "--yes")
			requests, impersonated := 0, 0
			events, err := audit.Next()
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range events {
				if ev.User != got.user {
					continue
				}
				requests++
				if ev.ImpersonatedUser != "" {
					impersonated++
				}
				if ev.Code == http.StatusForbidden || ev.Code == http.StatusUnauthorized {
					t.Errorf("refused: %s", ev)
				}
			}
			if requests < 20 || (impersonated > 0) != (p.profile == "impersonate") {
				t.Errorf("%d requests of %s are in the audit log, %d of them as another", requests, got.user, impersonated)
			}
			exceed(t, ctx, got.kubeconfig, got.namespace, p.profile)
			if _, err := audit.Next(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func awaitThere(t *testing.T, ctx context.Context, there func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !there() {
		select {
		case <-ctx.Done():
			t.Fatal("it is not created again")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// deployer makes an account that a project may have its applications deployed as.
func deployer(t *testing.T, ctx context.Context, in *installer, namespace string) {
	t.Helper()
	_, err := in.client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer"}}, metav1.CreateOptions{})
	if err == nil {
		_, err = in.client.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "deployer"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"", "apps"}, Resources: []string{"configmaps", "services", "deployments"}, Verbs: []string{"get", "create", "update", "patch", "delete"}},
		}}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = in.client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "deployer"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "deployer"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "deployer"}}}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}
