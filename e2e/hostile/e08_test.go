package hostile

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hawser-dev/hawser/e2e/testbed"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
	"github.com/hawser-dev/hawser/shared/wire"
)

// agentUser is who the agent is at its API server, and agentHome its namespace.
const (
	agentUser = "hawser-agent"
	agentHome = "hawser-system"
	// everybody is a group of the hub's, which the cluster lets do all there is:
	// not the cluster's RBAC is tried here, but the agent.
	everybody = kubecall.Prefix + "everybody"
)

// taken is a real agent on a real control plane whose hub was taken over.
type taken struct {
	t      *testing.T
	hub    *Hub
	plane  *testbed.ControlPlane
	admin  kubernetes.Interface
	agent  *testbed.Process
	log    string
	s      *HubSession
	tunnel *tunnel.Session
	seq    int64
	pod    *app // with the pod web, once it is made
}

const longPatience = 90 * time.Second

func longer(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), longPatience, fmt.Errorf("%s has passed", longPatience))
	t.Cleanup(cancel)
	return ctx
}

// agentProgram is hawser-agent, built unless HAWSER_BIN has it.
func agentProgram(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("HAWSER_BIN"); bin != "" {
		path, err := filepath.Abs(filepath.Join(bin, "hawser-agent"))
		must(t, err)
		return path
	}
	root, err := testbed.RepoRoot()
	must(t, err)
	path := filepath.Join(t.TempDir(), "hawser-agent")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./agent/cmd/hawser-agent")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the agent: %v\n%s", err, out)
	}
	return path
}

// take starts the control plane, the hub and the agent, which may do all there is
// in its cluster and lets exec and kubectl in.
func take(t *testing.T) *taken {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	w := &taken{t: t}
	kubelet, err := testbed.StartKubelet(testbed.KubeletOptions{})
	must(t, err)
	t.Cleanup(kubelet.Close)
	w.plane = testbed.NeedControlPlane(t, testbed.Options{Name: "taken", Kubelet: kubelet})
	w.admin, err = kubernetes.NewForConfig(w.plane.RESTConfig())
	must(t, err)
	w.hub, err = StartHub(t.Context())
	must(t, err)
	t.Cleanup(w.hub.Stop)
	ctx := longer(t)
	_, err = w.admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "hub-everybody"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: everybody}},
	}, metav1.CreateOptions{})
	must(t, err)
	for _, ns := range []string{"shop", agentHome} {
		_, err = w.admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		must(t, err)
	}
	kubelet.Say("shop", "web", "main", canary)
	kubeconfig, err := w.plane.UserKubeconfig(agentUser, "system:masters")
	must(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "kubeconfig")
	must(t, os.WriteFile(file, kubeconfig, 0o600))
	w.log = filepath.Join(dir, "agent.log")
	w.agent, err = testbed.StartProcess("hawser-agent", w.log, dir, append(os.Environ(), "HAWSER_TOKEN=any"), agentProgram(t),
		"run", "--hub", w.hub.Address(), "--ca-hash", w.hub.CA.Hash(), "--kubeconfig", file, "--namespace", agentHome, "--log-level", "debug", "--allow-exec", "--allow-kubectl")
	must(t, err)
	t.Cleanup(func() {
		w.agent.Stop(10 * time.Second)
		if t.Failed() {
			t.Logf("the agent's log:\n%s", testbed.Tail(w.log, 40))
		}
	})
	return w
}

// meet waits for the agent's next session.
func (w *taken) meet() {
	w.t.Helper()
	select {
	case w.s = <-w.hub.Sessions():
	case <-w.agent.Exited():
		w.t.Fatalf("the agent has ended: %v\n%s", w.agent.Failure(), testbed.Tail(w.log, 20))
	case <-longer(w.t).Done():
		w.t.Fatal("the agent does not come")
	}
	w.tunnel = nil
	must(w.t, w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_InSync{InSync: &agentv1.InSync{}}}))
}

// app is an application that the hub made up.
type app struct {
	uid        model.AppUID
	name       string
	generation model.Generation
}

// everything is a project that allows all there is: the hub says what projects say.
var everything = model.AppProjectSpec{
	SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{{Server: "*", Namespace: "*"}, {Name: "*", Namespace: "*"}},
	ClusterResourceWhitelist: []model.KindRule{{Group: "*", Kind: "*"}},
}

func newApp(name string) *app { return &app{uid: model.AppUID(uuid.NewString()), name: name} }

// desire sends objects as an application's whole desired state, and waits until the
// agent has taken it.
func (w *taken) desire(a *app, options []string, objects ...string) {
	w.t.Helper()
	objs, err := manifest.Parse("objects.yaml", []byte(strings.Join(objects, "\n---\n")), manifest.Limits{})
	must(w.t, err)
	encoded, digest, err := manifest.EncodeBundle(objs)
	must(w.t, err)
	a.generation++
	p, err := wire.DesiredToProto(model.Desired{
		App: a.uid, Name: a.name, Project: "everything", Generation: a.generation, Bundle: digest, BundleBytes: int64(len(encoded)),
		Revision: model.Revision{Commit: strings.Repeat("a", 40)}, ProjectSpec: everything,
		Spec: model.DesiredSpec{Namespace: "shop", Destination: model.Destination{Name: "eu", Namespace: "shop"}, ClusterName: "eu", SourceRepos: []string{"https://git.example/x"},
			SyncPolicy: &model.SyncPolicy{Automated: &model.AutomatedSync{Prune: true, SelfHeal: true, AllowEmpty: true}, SyncOptions: options}},
	}, encoded)
	must(w.t, err)
	must(w.t, w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_Desired{Desired: p}}))
	m, err := w.s.Heard(longer(w.t), func(m *agentv1.AgentMessage) bool {
		return m.GetAck().GetAppUid() == string(a.uid) && m.GetAck().GetGeneration() == int64(a.generation)
	})
	must(w.t, err)
	if m.GetAck().ErrorCode != "" {
		w.t.Fatalf("the agent refuses %s: %s", a.name, m.GetAck().Error)
	}
}

// command has an operation carried out, and answers how it ended.
func (w *taken) command(a *app, kind model.OperationKind, spec model.OperationSpec) *agentv1.OperationUpdate {
	w.t.Helper()
	w.seq++
	c := model.Command{ID: model.OperationID(uuid.NewString()), Seq: w.seq, App: a.uid, Kind: kind, Spec: spec, InitiatedBy: "nobody"}
	p, err := wire.CommandToProto(c)
	must(w.t, err)
	must(w.t, w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_Operation{Operation: p}}))
	return w.operated(c.ID)
}

func (w *taken) operated(id model.OperationID) *agentv1.OperationUpdate {
	w.t.Helper()
	m, err := w.s.Heard(longer(w.t), func(m *agentv1.AgentMessage) bool {
		u := m.GetOperation()
		return u.GetId() == string(id) && model.OperationPhase(u.Phase).Terminal()
	})
	must(w.t, err)
	return m.GetOperation()
}

// ask sends a request through the agent's tunnel, and answers all that comes back.
func (w *taken) ask(r model.AccessRequest, body ...byte) (text string, err error) {
	w.t.Helper()
	ctx := longer(w.t)
	if w.tunnel == nil || w.tunnel.Err() != nil {
		must(w.t, w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_OpenTunnel{OpenTunnel: &agentv1.OpenTunnel{Id: uuid.NewString()}}}))
		select {
		case conn := <-w.hub.Tunnels():
			w.tunnel, err = tunnel.NewOpener(conn, tunnel.Options{})
			must(w.t, err)
		case <-ctx.Done():
			w.t.Fatal("the agent opens no tunnel")
		}
	}
	st, err := w.tunnel.Open()
	must(w.t, err)
	defer st.Close()
	if r.ID == "" {
		r.ID = uuid.NewString()
	}
	must(w.t, st.Send(ctx, wire.AccessRequestToProto(r)))
	if r.Kube != nil && r.Kube.Body {
		_ = st.Send(ctx, wire.AccessInputToProto(model.AccessInput{Stdin: body})) // it may be refused already
		_ = st.Send(ctx, wire.AccessInputToProto(model.AccessInput{StdinEnd: true}))
	}
	for {
		var p agentv1.AccessAnswer
		if err := st.Receive(ctx, &p); err != nil {
			return text, err
		}
		a, err := wire.AccessAnswer(&p)
		must(w.t, err)
		text += string(a.Object) + string(a.Data)
		for _, l := range a.Lines {
			text += string(l.Text)
		}
		if a.Output != nil {
			text += string(a.Output.Stdout)
		}
		if a.Kube != nil {
			text += fmt.Sprintf("HTTP %d\n", a.Kube.Status)
			if a.Kube.Status == 101 {
				return text, nil
			}
		}
		if a.End != nil {
			return text, a.End.Err
		}
	}
}

// kubectl makes a request as somebody whom the cluster lets do everything.
func (w *taken) kubectl(method, path string, change func(*model.KubeRequest, *kubecall.Statement), body string) (string, error) {
	w.t.Helper()
	path, query, _ := strings.Cut(path, "?")
	q := model.KubeRequest{Method: method, Path: path, Query: query, Body: body != ""}
	q.Headers = []model.KubeHeader{{Name: "Accept", Values: []string{"application/json"}}}
	if body != "" {
		q.Headers = append(q.Headers, model.KubeHeader{Name: "Content-Type", Values: []string{map[string]string{"PATCH": "application/merge-patch+json"}[method] + map[string]string{"POST": "application/json"}[method]}})
	}
	s := kubecall.Statement{Cluster: w.hub.Cluster, Request: uuid.NewString(), Digest: kubecall.Digest(method, path, query), User: kubecall.Prefix + "nobody", Groups: []string{everybody}, At: time.Now()}
	id := s.Request
	if change != nil {
		change(&q, &s)
	}
	if q.Identity.Statement == nil {
		q.Identity = w.hub.Sign(s)
	}
	return w.ask(model.AccessRequest{ID: id, Kube: &q}, []byte(body)...)
}

// canary is what is in the Secret and in the log of the cluster.
const canary = "canary-of-the-shop-0xC0FFEE"

func configMapOf(ns, name, value string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, namespace: %s}, data: {v: %q}}", name, ns, value)
}

// attack is something that a hub that was taken over does. do answers whether it
// went well for him; n keeps the names of two runs apart.
type attack struct {
	what string
	do   func(w *taken, n string) bool
}

// appears waits until an object that the hub wanted is there, or the agent has said
// that it is not written.
func (w *taken) appears(a *app, resource, ns, name string) bool {
	w.t.Helper()
	ctx := longer(w.t)
	for {
		if w.there(resource, ns, name) {
			return true
		}
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		_, err := w.s.Heard(short, func(m *agentv1.AgentMessage) bool {
			return slices.ContainsFunc(m.GetReports().GetReports(), func(r *agentv1.AppReport) bool {
				return r.AppUid == string(a.uid) && r.Generation == int64(a.generation) &&
					(strings.Contains(string(r.StatusJson), `"vetoed"`) || strings.Contains(string(r.StatusJson), "which is the agent's own"))
			})
		})
		cancel()
		if err == nil {
			return w.there(resource, ns, name)
		}
		if ctx.Err() != nil {
			w.t.Fatalf("%s: neither done nor refused", a.name)
		}
	}
}

func (w *taken) there(resource, ns, name string) bool {
	w.t.Helper()
	path := "/api/v1/namespaces/" + ns + "/" + resource + "/" + name
	if ns == "" {
		path = "/apis/rbac.authorization.k8s.io/v1/" + resource + "/" + name
	}
	return w.admin.CoreV1().RESTClient().Get().AbsPath(path).Do(longer(w.t)).Error() == nil
}

// deployed is an attack by desired state.
func deployed(what, resource, ns string, object func(name string) string) attack {
	return attack{what, func(w *taken, n string) bool {
		w.t.Helper()
		name := "taken-" + n
		a := newApp(resource + "-" + ns + "-" + n)
		w.desire(a, nil, object(name), configMapOf("shop", "beside-"+resource+"-"+ns+n, "1"))
		return w.appears(a, resource, ns, name)
	}}
}

// called is an attack by kubectl: it went well when the answer says so.
func called(what, method, path, body, success string) attack {
	return attack{what, func(w *taken, n string) bool {
		w.t.Helper()
		text, err := w.kubectl(method, strings.ReplaceAll(path, "NAME", "taken-"+n), func(q *model.KubeRequest, _ *kubecall.Statement) {
			if strings.Contains(path, "/exec?") {
				q.Upgrade = "websocket"
				q.Headers = append(q.Headers, model.KubeHeader{Name: "Sec-Websocket-Version", Values: []string{"13"}},
					model.KubeHeader{Name: "Sec-Websocket-Key", Values: []string{"dGhlIHNhbXBsZSBub25jZQ=="}}, model.KubeHeader{Name: "Sec-Websocket-Protocol", Values: []string{"v5.channel.k8s.io"}})
			}
		}, strings.ReplaceAll(body, "NAME", "taken-"+n))
		if err != nil && !fault.HasCode(err, "vetoed") {
			w.t.Errorf("%s: %v", what, err)
		}
		return err == nil && strings.Contains(text, success)
	}}
}

// vetoable is what a hub can do in a cluster without a policy, and not in one with.
var vetoable = []attack{
	deployed("deploys a ClusterRoleBinding", "clusterrolebindings", "", func(name string) string {
		return fmt.Sprintf(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: %s}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: evil}]}`, name)
	}),
	deployed("deploys a Secret", "secrets", "shop", func(name string) string {
		return fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: %s, namespace: shop}, stringData: {a: b}}`, name)
	}),
	deployed("deploys into kube-system", "configmaps", "kube-system", func(name string) string { return configMapOf("kube-system", name, "x") }),
	{"takes over and forces an object that is kept", func(w *taken, n string) bool {
		w.t.Helper()
		ctx := longer(w.t)
		_, err := w.admin.CoreV1().ConfigMaps("shop").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "precious-" + n}, Data: map[string]string{"v": "ours"}}, metav1.CreateOptions{})
		must(w.t, err)
		a := newApp("precious-" + n)
		w.desire(a, nil, configMapOf("shop", "precious-"+n, "theirs"))
		u := w.command(a, model.OperationSync, model.OperationSpec{Prune: true, SyncOptions: []string{"Replace=true", "Force=true"}})
		o, err := w.admin.CoreV1().ConfigMaps("shop").Get(ctx, "precious-"+n, metav1.GetOptions{})
		must(w.t, err)
		return u.Phase == string(model.PhaseSucceeded) && o.Data["v"] == "theirs"
	}},
	{"runs an action", func(w *taken, n string) bool {
		w.t.Helper()
		a := newApp("web-" + n)
		w.desire(a, nil, fmt.Sprintf(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: web-%[1]s, namespace: shop}, spec: {replicas: 0, selector: {matchLabels: {a: %[1]s}}, template: {metadata: {labels: {a: %[1]s}}, spec: {containers: [{name: main, image: x}]}}}}`, n))
		await(w.t, "the deployment", func() bool {
			_, err := w.admin.AppsV1().Deployments("shop").Get(w.t.Context(), "web-"+n, metav1.GetOptions{})
			return err == nil
		})
		u := w.command(a, model.OperationAction, model.OperationSpec{Action: &model.ActionSpec{Resource: model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web-" + n}, Name: "restart"}})
		return u.Phase == string(model.PhaseSucceeded)
	}},
	{"deletes everything of an application", func(w *taken, n string) bool {
		w.t.Helper()
		a := newApp("all-" + n)
		var objects []string
		for i := range 9 {
			objects = append(objects, configMapOf("shop", fmt.Sprintf("all-%s-%d", n, i), "1"))
		}
		w.desire(a, nil, objects...)
		left := func() (left int) {
			for i := range 9 {
				if w.there("configmaps", "shop", fmt.Sprintf("all-%s-%d", n, i)) {
					left++
				}
			}
			return left
		}
		await(w.t, "what there is to delete", func() bool { return left() == 9 })
		// By an empty state, by confirmed prunes, and by withdrawing it.
		w.desire(a, nil, configMapOf("shop", "left-"+n, "1"))
		for range 3 {
			confirm := left()
			w.command(a, model.OperationSync, model.OperationSpec{Prune: true, ConfirmPrune: &confirm, ApproveDeletions: true})
		}
		w.seq++
		a.generation++
		p, err := wire.WithdrawToProto(model.Withdraw{App: a.uid, Name: a.name, Generation: a.generation, Mode: model.WithdrawCascade, Operation: model.OperationID(uuid.NewString()), OperationSeq: w.seq, ApproveDeletions: true})
		must(w.t, err)
		must(w.t, w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_Withdraw{Withdraw: p}}))
		// One that is vetoed goes on trying and says nothing: that it is given some time
		// is all that can be done. The record at the end has what it did.
		ctx, cancel := context.WithTimeout(longer(w.t), 3*time.Second)
		defer cancel()
		m, err := w.s.Heard(ctx, func(m *agentv1.AgentMessage) bool {
			return m.GetOperation().GetId() == p.OperationId && model.OperationPhase(m.GetOperation().Phase).Terminal()
		})
		w.t.Logf("%s: %d of 9 are left; the withdrawal: %s %v", n, left(), m.GetOperation().GetPhase(), err)
		return left() < 5
	}},
	{"runs a command", func(w *taken, n string) bool {
		w.t.Helper()
		text, err := w.ask(model.AccessRequest{App: w.pods().uid, Exec: &model.ExecQuery{ObjectSelector: model.ObjectSelector{Kind: "Pod", Name: "web"}, Command: []string{"echo", "here"}}})
		return err == nil && strings.Contains(text, "here")
	}},
	{"reads a log", func(w *taken, n string) bool {
		w.t.Helper()
		text, err := w.ask(model.AccessRequest{App: w.pods().uid, Logs: &model.LogQuery{ObjectSelector: model.ObjectSelector{Kind: "Pod", Name: "web"}}})
		return err == nil && strings.Contains(text, canary)
	}},
	called("reads a Secret", "GET", "/api/v1/namespaces/shop/secrets/bank", "", "HTTP 200"),
	called("lists Secrets", "GET", "/api/v1/namespaces/shop/secrets", "", "HTTP 200"),
	called("makes a ClusterRoleBinding by kubectl", "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
		`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"NAME-kubectl"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"evil"}]}`, "HTTP 201"),
	called("makes a Secret by kubectl", "POST", "/api/v1/namespaces/shop/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"NAME-kubectl"},"stringData":{"a":"b"}}`, "HTTP 201"),
	called("writes to kube-system by kubectl", "POST", "/api/v1/namespaces/kube-system/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"NAME-kubectl"}}`, "HTTP 201"),
	called("makes a token of an account of kube-system", "POST", "/api/v1/namespaces/kube-system/serviceaccounts/default/token", `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`, "HTTP 201"),
	called("changes what is kept by kubectl", "PATCH", "/api/v1/namespaces/shop/configmaps/precious-free", `{"data":{"v":"theirs"}}`, "HTTP 200"),
	called("runs a command by kubectl", "GET", "/api/v1/namespaces/shop/pods/web/exec?command=echo&command=here&container=main&stdout=true", "", "HTTP 101"),
	called("deletes a collection", "DELETE", "/api/v1/namespaces/shop/configmaps?labelSelector=a%3Dnothing", "", "HTTP 200"),
}

// pods is an application with the pod web; it is made once.
func (w *taken) pods() *app {
	w.t.Helper()
	if w.pod == nil {
		w.pod = newApp("pods")
		w.desire(w.pod, nil, `{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {containers: [{name: main, image: x}]}}`)
		await(w.t, "the pod to run", func() bool {
			p, err := w.admin.CoreV1().Pods("shop").Get(w.t.Context(), "web", metav1.GetOptions{})
			return err == nil && p.Status.Phase == corev1.PodRunning
		})
		await(w.t, "the agent to know", func() bool {
			_, err := w.ask(model.AccessRequest{App: w.pod.uid, Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "Pod", Name: "web"}}})
			return err == nil
		})
	}
	return w.pod
}

// never is what no hub can do in any cluster.
var never = []attack{
	{"sees what is in a Secret of an application", func(w *taken, n string) bool {
		w.t.Helper()
		a := newApp("secretive-" + n)
		w.desire(a, nil, fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: secretive-%s, namespace: shop}, stringData: {a: %s}}`, n, canary))
		made := w.appears(a, "secrets", "shop", "secretive-"+n)
		for {
			text, err := w.ask(model.AccessRequest{App: a.uid, Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "Secret", Name: "secretive-" + n}, ManagedFields: true}})
			if made && err != nil && w.t.Context().Err() == nil { // the agent does not know it yet
				continue
			}
			return strings.Contains(text, canary) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(canary)))
		}
	}},
	called("reads the agent's own Secrets", "GET", "/api/v1/namespaces/hawser-system/secrets", "", "HTTP 200"),
	called("lists the Secrets of all namespaces", "GET", "/api/v1/secrets", "", "HTTP 200"),
	called("deletes the policy", "DELETE", "/api/v1/namespaces/hawser-system/configmaps/hawser-veto", "", "HTTP 200"),
	called("writes the policy", "PATCH", "/api/v1/namespaces/hawser-system/configmaps/hawser-veto", `{"data":{"policy.yaml":"exec: true"}}`, "HTTP 200"),
	called("deletes the agent's namespace", "DELETE", "/api/v1/namespaces/hawser-system", "", "HTTP 200"),
	deployed("deploys the policy", "configmaps", agentHome, func(string) string { return configMapOf(agentHome, "hawser-veto", "x") }),
	forged("is system:masters", func(_ *model.KubeRequest, s *kubecall.Statement) { s.Groups = []string{"system:masters"} }),
	forged("is a service account", func(_ *model.KubeRequest, s *kubecall.Statement) {
		s.User = "system:serviceaccount:kube-system:default"
	}),
	forged("is nobody", func(_ *model.KubeRequest, s *kubecall.Statement) { s.User = "" }),
	forged("speaks of another cluster", func(_ *model.KubeRequest, s *kubecall.Statement) { s.Cluster = "another" }),
	forged("speaks of another request", func(_ *model.KubeRequest, s *kubecall.Statement) { s.Request = "another" }),
	forged("speaks of another path", func(_ *model.KubeRequest, s *kubecall.Statement) { s.Digest = kubecall.Digest("GET", "/version", "") }),
	forged("speaks of yesterday", func(_ *model.KubeRequest, s *kubecall.Statement) { s.At = s.At.Add(-24 * time.Hour) }),
	forged("says who he is himself", func(q *model.KubeRequest, s *kubecall.Statement) {
		s.Groups = nil // who is nobody may do nothing
		q.Headers = append(q.Headers, model.KubeHeader{Name: "Impersonate-Group", Values: []string{"system:masters"}})
	}),
	forged("does not sign", func(q *model.KubeRequest, _ *kubecall.Statement) {
		q.Identity = model.KubeIdentity{Statement: []byte("{}"), Signature: []byte("x")}
	}),
}

// forged is a request with a statement that no hub makes.
func forged(what string, change func(*model.KubeRequest, *kubecall.Statement)) attack {
	return attack{what, func(w *taken, _ string) bool {
		text, err := w.kubectl("GET", "/api/v1/namespaces/shop/configmaps", change, "")
		return err == nil && strings.Contains(text, "HTTP 200")
	}}
}

const policyOfTheCluster = `
exec: false
deny:
- kinds: [Secret, "rbac.authorization.k8s.io/*"]
- namespaces: ["kube-*"]
- names: ["precious-*"]
  verbs: [update, delete]
- verbs: [action, logs]
maxDeletes: {perOperation: 2, perHour: 3}
`

// A hub that was taken over does in a cluster without a policy what the agent's
// rights let it. With the cluster's own policy it does nothing that is vetoed: the
// API server's own record says what was asked of it.
func TestE08_AHubThatWasTakenOverDoesNotPassThePolicyOfACluster(t *testing.T) {
	w := take(t)
	w.meet()
	_, err := w.admin.CoreV1().Secrets("shop").Create(longer(t), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "bank"}, StringData: map[string]string{"password": canary}}, metav1.CreateOptions{})
	must(t, err)
	w.pods()

	for _, a := range vetoable {
		if !a.do(w, "free") {
			t.Errorf("without a policy a hub that %s fails: the attack shows nothing", a.what)
		}
	}
	for _, a := range never {
		if a.do(w, "free") {
			t.Errorf("without a policy: a hub %s", a.what)
		}
	}

	_, err = w.admin.CoreV1().ConfigMaps(agentHome).Create(longer(t), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "hawser-veto"}, Data: map[string]string{"policy.yaml": policyOfTheCluster}}, metav1.CreateOptions{})
	must(t, err)
	await(t, "the policy to count", func() bool {
		_, err := w.kubectl("GET", "/api/v1/namespaces/shop/secrets/bank", nil, "")
		return fault.HasCode(err, "vetoed")
	})
	record, err := w.plane.AuditFromNow()
	must(t, err)
	for _, a := range slices.Concat(vetoable, never) {
		if a.do(w, "kept") {
			t.Errorf("with the policy: a hub %s", a.what)
		}
	}
	// What the policy says nothing about is done all the same.
	fine := newApp("fine")
	w.desire(fine, nil, configMapOf("shop", "fine", "1"))
	await(t, "what is not vetoed", func() bool { return w.there("configmaps", "shop", "fine") })
	if _, err := w.kubectl("GET", "/api/v1/namespaces/shop/configmaps/fine", nil, ""); err != nil {
		t.Errorf("a read that is not vetoed: %v", err)
	}

	deletes, writes := 0, 0
	for _, e := range w.requests(record) {
		home := e.Namespace == agentHome
		done := e.User == agentUser && e.Code < 300 && !strings.Contains(e.RequestURI, "dryRun=All")
		switch {
		case e.User != agentUser:
		case e.Subresource == "exec" || e.Subresource == "log" || e.Subresource == "attach" || e.Subresource == "portforward":
			t.Errorf("it was asked for: %s", e)
		case e.Resource == "secrets" && e.Verb == "get" && !home && e.Name != "":
			t.Errorf("a Secret was read: %s", e)
		case !e.Write() || !done:
		case home && (e.Resource == "secrets" && strings.HasPrefix(e.Name, "hawser-") || e.Resource == "leases"): // its journal, its count and its lease
		case home, strings.HasPrefix(e.Namespace, "kube-"), e.Resource == "secrets", e.Group == rbacv1.GroupName, strings.HasPrefix(e.Name, "precious-"):
			t.Errorf("it was done: %s", e)
		case strings.HasPrefix(e.Verb, "delete"):
			deletes++
			fallthrough
		default:
			writes++
			t.Logf("done: %s %s/%s %s", e.Verb, e.Resource, e.Subresource, e.Name)
		}
	}
	if deletes > 3 {
		t.Errorf("%d objects were deleted; the policy allows 3", deletes)
	}
	if writes == 0 {
		t.Error("the record has nothing of what was done")
	}
	o, err := w.admin.CoreV1().ConfigMaps(agentHome).Get(longer(t), "hawser-veto", metav1.GetOptions{})
	must(t, err)
	if o.Data["policy.yaml"] != policyOfTheCluster {
		t.Errorf("the policy is\n%s", o.Data["policy.yaml"])
	}
}

// What a hub that was taken over says against the protocol ends its own session or
// changes nothing: the agent lives, small, and comes to the next session.
func TestE08_E11_AHubThatKeepsToNoProtocol(t *testing.T) {
	w := take(t)
	w.meet()
	held := newApp("held")
	w.desire(held, nil, configMapOf("shop", "held", "1"))
	await(t, "an application", func() bool { return w.there("configmaps", "shop", "held") })
	pid := w.agent.PID()
	start, err := testbed.ProcessUsage(pid)
	must(t, err)

	bundle := func(name string) ([]byte, model.Digest) {
		objs, err := manifest.Parse("x.yaml", []byte(configMapOf("shop", name, "1")), manifest.Limits{})
		must(t, err)
		encoded, digest, err := manifest.EncodeBundle(objs)
		must(t, err)
		return encoded, digest
	}
	desired := func(name string, change func(*agentv1.Desired)) *agentv1.HubMessage {
		encoded, digest := bundle(name)
		p, err := wire.DesiredToProto(model.Desired{App: model.AppUID(uuid.NewString()), Name: name, Project: "everything", Generation: 1, Bundle: digest, BundleBytes: int64(len(encoded)), ProjectSpec: everything,
			Spec: model.DesiredSpec{Namespace: "shop", Destination: model.Destination{Name: "eu", Namespace: "shop"}, ClusterName: "eu", SourceRepos: []string{"x"}, SyncPolicy: &model.SyncPolicy{Automated: &model.AutomatedSync{Prune: true}}}}, encoded)
		must(t, err)
		change(p)
		return &agentv1.HubMessage{Message: &agentv1.HubMessage_Desired{Desired: p}}
	}
	// Each names its objects refused-…, none of which may ever be there.
	for _, c := range []struct {
		what string
		ends bool // the session
		say  func()
	}{
		{"another epoch", true, func() {
			m := desired("refused-epoch", func(*agentv1.Desired) {})
			m.Epoch = &agentv1.Epoch{Incarnation: w.s.Epoch.Incarnation, Number: w.s.Epoch.Number + 1}
			_ = w.s.Say(m)
		}},
		{"an epoch of another life", true, func() {
			m := desired("refused-life", func(*agentv1.Desired) {})
			m.Epoch = &agentv1.Epoch{Incarnation: 7, Number: w.s.Epoch.Number}
			_ = w.s.Say(m)
		}},
		{"no generation", true, func() { _ = w.s.Say(desired("refused-none", func(d *agentv1.Desired) { d.Generation = 0 })) }},
		{"a negative generation", true, func() { _ = w.s.Say(desired("refused-negative", func(d *agentv1.Desired) { d.Generation = -5 })) }},
		{"a generation that was before", false, func() {
			_ = w.s.Say(desired("refused-before", func(d *agentv1.Desired) { d.AppUid, d.Name = string(held.uid), held.name }))
		}},
		{"a bundle of another digest", false, func() {
			_ = w.s.Say(desired("refused-digest", func(d *agentv1.Desired) { _, other := bundle("other"); d.BundleDigest = string(other) }))
		}},
		{"a bundle of a terabyte", false, func() {
			_ = w.s.Say(desired("refused-terabyte", func(d *agentv1.Desired) { d.InlineBundle, d.BundleBytes = nil, 1<<40 }))
		}},
		{"a bundle without an end", false, func() {
			_ = w.s.Say(desired("refused-endless", func(d *agentv1.Desired) { d.InlineBundle, d.BundleBytes = nil, 1000 }))
		}},
		{"an unknown project", false, func() {
			_ = w.s.Say(desired("refused-project", func(d *agentv1.Desired) { d.Project, d.ProjectJson = "ghost", []byte("{}") }))
		}},
		{"a spec that is none", false, func() {
			_ = w.s.Say(desired("refused-spec", func(d *agentv1.Desired) { d.SpecJson = []byte(`{"syncPolicy":7}`) }))
		}},
		{"an unknown mode", false, func() {
			_ = w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_Withdraw{Withdraw: &agentv1.Withdraw{AppUid: string(held.uid), Name: held.name, Generation: 2, Mode: 99, OperationId: "x", OperationSeq: 1}}})
		}},
		{"an unknown kind of operation", false, func() {
			_ = w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_Operation{Operation: &agentv1.Operation{Id: "y", Seq: 2, AppUid: string(held.uid), Kind: "destroy", SpecJson: []byte("{}")}}})
		}},
		{"settings of another digest", false, func() {
			_ = w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_Settings{Settings: &agentv1.Settings{Version: 1, Digest: "sha256:" + strings.Repeat("0", 64), CustomizationsJson: []byte(`{"a":"b"}`)}}})
		}},
		{"what nobody knows", false, func() { _ = w.s.Say(&agentv1.HubMessage{}) }},
		{"a second welcome", true, func() { _ = w.s.Say(w.hub.Honest(w.s.Epoch)) }},
		{"64 MiB", true, func() {
			_ = w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_Refresh{Refresh: &agentv1.Refresh{AppUids: []string{strings.Repeat("x", 64<<20)}}}})
		}},
		{"thousands of tunnels", false, func() {
			for range 5000 {
				_ = w.s.Say(&agentv1.HubMessage{Message: &agentv1.HubMessage_OpenTunnel{OpenTunnel: &agentv1.OpenTunnel{Id: uuid.NewString()}}})
			}
		}},
	} {
		if strings.Contains(c.what, "without an end") {
			w.hub.Bundle = endlessBundle
		}
		s := w.s
		c.say()
		if c.ends {
			select {
			case <-s.Ended():
			case <-longer(t).Done():
				t.Fatalf("%s: the session goes on", c.what)
			}
			w.meet()
			continue
		}
		w.hears(c.what)
	}
	// What was asked for is at most a few tunnels; what flows there ends them alone.
	open := 0
	for {
		var conn net.Conn
		select {
		case conn = <-w.hub.Tunnels():
		case <-time.After(500 * time.Millisecond): // no more come
		}
		if conn == nil {
			break
		}
		open++
		if open%2 == 0 {
			_, _ = conn.Write(bytes.Repeat(YamuxFrame(YamuxWindow, YamuxSyn, 2, 0, nil), 4096))
		} else {
			_, _ = conn.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 4096))
		}
		_, _ = io.Copy(io.Discard, conn) // until the agent has closed it
		conn.Close()
		if open > 64 {
			t.Fatal("the agent opens as many tunnels as it is told to")
		}
	}
	if open == 0 {
		t.Error("no tunnel was opened")
	}
	w.hears("what flowed in tunnels")

	for what, welcome := range map[string]func(*agentv1.Welcome, *agentv1.Hello){
		"another version":         func(m *agentv1.Welcome, _ *agentv1.Hello) { m.Protocol = 999 },
		"no version":              func(m *agentv1.Welcome, _ *agentv1.Hello) { m.Protocol = 0 },
		"an epoch that has been":  func(m *agentv1.Welcome, h *agentv1.Hello) { m.Epoch = h.LastEpoch },
		"a life without proof":    func(m *agentv1.Welcome, _ *agentv1.Hello) { m.Epoch.Incarnation = 9 },
		"a signature that is not": func(m *agentv1.Welcome, _ *agentv1.Hello) { m.IncarnationSignature = []byte("x") },
	} {
		w.hub.Greet(func(h *agentv1.Hello) *agentv1.HubMessage {
			m := w.hub.Honest(&agentv1.Epoch{Incarnation: 1, Number: h.GetLastEpoch().GetNumber() + 1000})
			welcome(m.GetWelcome(), h)
			m.Epoch = m.GetWelcome().Epoch
			return m
		})
		w.s.Cut()
		select {
		case s := <-w.hub.Sessions():
			_ = s.Say(desired("refused-welcome", func(*agentv1.Desired) {}))
			select {
			case <-s.Ended():
			case <-longer(t).Done():
				t.Errorf("%s: the agent stays", what)
			}
		case <-longer(t).Done():
			t.Fatalf("%s: the agent does not come", what)
		}
		w.hub.Greet(nil)
		w.meet()
	}
	log, err := os.ReadFile(w.log)
	must(t, err)
	for _, code := range []string{"agent_too_old", "hub_too_old", "epoch_stale", "epoch_not_above"} {
		if !strings.Contains(string(log), "code="+code) {
			t.Errorf("the agent's log has no %s", code)
		}
	}

	w.hears("all of it")
	list, err := w.admin.CoreV1().ConfigMaps("shop").List(longer(t), metav1.ListOptions{})
	must(t, err)
	for _, o := range list.Items {
		if strings.HasPrefix(o.Name, "refused") {
			t.Errorf("%s was deployed", o.Name)
		}
	}
	if !w.there("configmaps", "shop", "held") {
		t.Error("what was deployed is gone")
	}
	now, err := testbed.ProcessUsage(pid)
	must(t, err)
	t.Logf("the agent's resident memory was %d MiB, is %d, at most %d", start.RSS>>20, now.RSS>>20, now.PeakRSS>>20)
	if now.PeakRSS-start.RSS > 32<<20 {
		t.Errorf("the agent grew by %d MiB", (now.PeakRSS-start.RSS)>>20)
	}
}

// endlessBundle goes on whatever was announced.
func endlessBundle(_ *agentv1.GetBundleRequest, stream grpc.ServerStreamingServer[agentv1.BundleChunk]) error {
	for {
		if err := stream.Send(&agentv1.BundleChunk{Data: make([]byte, 256<<10), Total: 1000}); err != nil {
			return err
		}
	}
}

// hears fails the test unless the agent still does what it is told in its session.
func (w *taken) hears(after string) {
	w.t.Helper()
	w.seq++
	a := newApp("alive-" + fmt.Sprint(w.seq))
	select {
	case <-w.s.Ended():
		w.t.Fatalf("%s: the session has ended", after)
	default:
	}
	w.desire(a, nil, configMapOf("shop", a.name, "1"))
}

// requests are those since the reader's place, up to now.
func (w *taken) requests(r *testbed.AuditReader) (all []testbed.AuditEvent) {
	w.t.Helper()
	mark := "mark-" + uuid.NewString()
	if _, err := w.admin.CoreV1().ConfigMaps("default").Get(longer(w.t), mark, metav1.GetOptions{}); err == nil {
		w.t.Fatal("the mark is there")
	}
	_, err := r.Await(longer(w.t), func(e testbed.AuditEvent) bool {
		all = append(all, e)
		return e.Name == mark
	})
	must(w.t, err)
	return all
}
