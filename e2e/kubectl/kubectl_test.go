package kubectl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

const patience = 90 * time.Second

type world struct {
	*rig.Rig
	t       *testing.T
	eu      *rig.Cluster
	kubelet *testbed.Kubelet
	kubectl string // the program
	config  string // kubeconfig of the hub's way to eu
}

func start(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	w := &world{t: t}
	var err error
	if w.kubectl, err = testbed.Kubectl(ctx, os.Stderr); err != nil {
		t.Fatal(err)
	}
	if w.kubelet, err = testbed.StartKubelet(testbed.KubeletOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kubelet.Close)
	w.Rig, err = rig.Start(ctx, rig.Options{Bin: rig.Programs(t), Log: os.Stderr, HubArgs: []string{"--database-url", ""}, AgentArgs: []string{"--allow-exec", "--allow-kubectl"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the hub's log:\n%s\nthe agent's log:\n%s", testbed.Tail(w.Hub.LogPath(), 30), testbed.Tail(filepath.Join(w.Dir, "agent-eu.log"), 30))
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.eu, err = w.AddClusterWith(ctx, testbed.Options{Name: "eu", Kubelet: w.kubelet}); err != nil {
		t.Fatal(err)
	}
	w.limited(ctx)
	w.config = filepath.Join(w.Dir, "through.kubeconfig")
	return w
}

// limited starts the agent as the service account of docs/agent-rbac.yaml, with the
// rules for kubectl that are comments there, and no others.
func (w *world) limited(ctx context.Context) {
	w.t.Helper()
	root, err := testbed.RepoRoot()
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "agent-rbac.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "only its code says so:\n")
	rules, after, more := strings.Cut(rest, "---\n")
	if !ok || !more || !strings.HasPrefix(rules, "# - apiGroups") {
		w.t.Fatal("the rules for kubectl are not where they were in docs/agent-rbac.yaml")
	}
	rules = strings.TrimPrefix(strings.ReplaceAll("\n"+rules, "\n# ", "\n"), "\n")
	rbac := filepath.Join(w.Dir, "agent-rbac.yaml")
	if err := os.WriteFile(rbac, []byte(before+"\n"+rules+"---\n"+after), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, w.kubectl, "--kubeconfig", w.eu.KubeconfigPath(), "apply", "-f", rbac).CombinedOutput(); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
	kubeconfig, err := w.eu.ServiceAccountKubeconfig(ctx, "hawser-system", "hawser-agent")
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.Dir, "service-account.kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := w.eu.Enrol(ctx, "--kubeconfig", file); err != nil {
		w.t.Fatal(err)
	}
}

// bind gives a cluster role to a user or group of the hub.
func (w *world) bind(name, role, kind, subject string) {
	w.t.Helper()
	admin, err := kubernetes.NewForConfig(w.eu.RESTConfig())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(w.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: kind, Name: subject}},
	}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) hawser(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	out, err := w.CLI(ctx, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out)
}

// through is kubectl on its way through the hub.
func (w *world) through(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.kubectl, append([]string{"--kubeconfig", w.config, "--cache-dir", filepath.Join(w.Dir, "cache")}, args...)...)
	cmd.Env = w.CLIEnv()
	return cmd
}

func (w *world) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	out, err := w.through(ctx, args...).CombinedOutput()
	return string(out), err
}

// says runs kubectl and wants it to succeed with a text.
func (w *world) says(want string, args ...string) {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil || !strings.Contains(out, want) {
		w.t.Errorf("kubectl %s: %v, without %q:\n%s", strings.Join(args, " "), err, want, out)
	}
}

// fails runs kubectl and wants it to fail with a text.
func (w *world) fails(want string, args ...string) {
	w.t.Helper()
	out, err := w.try(args...)
	if err == nil || !strings.Contains(out, want) {
		w.t.Errorf("kubectl %s: %v, without %q:\n%s", strings.Join(args, " "), err, want, out)
	}
}

// growing is what a program has written so far.
type growing struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *growing) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

func (g *growing) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.String()
}

// open starts a kubectl that goes on.
func (w *world) open(args ...string) (out *growing, ended chan error) {
	w.t.Helper()
	return w.openWith(nil, args...)
}

func (w *world) openWith(in *os.File, args ...string) (out *growing, ended chan error) {
	w.t.Helper()
	out, ended = &growing{}, make(chan error, 1)
	cmd := w.through(w.t.Context(), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if in != nil {
		cmd.Stdin = in
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	w.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return out, ended
}

func await(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

const objects = `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web}}
spec: {containers: [{name: main, image: x}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {a: b}
`

func TestKubectlThroughTheHub(t *testing.T) {
	w := start(t)
	file := filepath.Join(w.Dir, "objects.yaml")
	if err := os.WriteFile(file, []byte(objects), 0o600); err != nil {
		t.Fatal(err)
	}
	w.hawser("cluster", "kubeconfig", "eu", "--file", w.config)
	text, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("hwt_")) || bytes.Contains(text, []byte("token:")) || !bytes.Contains(text, []byte("/k8s/clusters/eu")) {
		t.Fatalf("the kubeconfig:\n%s", text)
	}

	// Off until somebody turns it on.
	w.fails("kubectl is not let through to cluster", "get", "pods")
	w.hawser("cluster", "kubectl", "eu", "--enable")
	// And then with the rights of the user in the cluster, which are none.
	w.fails(`User "hawser:token:admin" cannot list resource "pods"`, "get", "pods")
	// Who may look may no more, although the agent itself may read Secrets and write
	// ConfigMaps.
	w.bind("hub-view", "view", "User", "hawser:token:admin")
	await(t, "the binding to count", patience, func() bool { _, err := w.try("get", "pods"); return err == nil })
	w.fails(`User "hawser:token:admin" cannot list resource "secrets"`, "get", "secrets")
	w.fails(`User "hawser:token:admin" cannot create resource "configmaps"`, "create", "configmap", "beyond")
	w.fails(`User "hawser:token:admin" cannot list resource "secrets"`, "get", "secrets", "--as", "system:admin", "--as-group", "system:masters")
	// And who may everything may what the agent itself may not.
	w.bind("hub-admins", "cluster-admin", "Group", "hawser:role:admin")
	await(t, "the binding to count", patience, func() bool { _, err := w.try("get", "clusterroles"); return err == nil })

	w.says("pod/web created", "apply", "-f", file)
	w.says("configmap/settings unchanged", "apply", "-f", file)
	w.says("pod/web condition met", "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
	w.says("Running", "get", "pods")
	w.says("a: b", "get", "configmap", "settings", "-o", "yaml")
	w.says("Labels:           app=web", "describe", "pod", "web")
	w.says(`"gitVersion":`, "version", "-o", "json")

	w.kubelet.Say("default", "web", "main", "first line")
	w.says("first line", "logs", "web")
	logs, logsEnded := w.open("logs", "-f", "web")
	await(t, "the log that is there", patience, func() bool { return strings.Contains(logs.String(), "first line") })
	w.kubelet.Say("default", "web", "main", "second line")
	await(t, "the log that comes", patience, func() bool { return strings.Contains(logs.String(), "second line") })

	w.says("hello there", "exec", "web", "--", "echo", "hello there")
	out, err := w.try("exec", "web", "--", "exit", "3")
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("a command that exits with 3: %v\n%s", err, out)
	}
	w.stdin()
	w.attach()
	w.portForward()
	// The protocol of older programs, SPDY.
	t.Setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false")
	t.Setenv("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false")
	w.says("hello there", "exec", "web", "--", "echo", "hello there")
	w.stdin()
	w.attach()
	w.portForward()

	watch, watchEnded := w.open("get", "configmaps", "-w", "-o", "json")
	await(t, "what is there", patience, func() bool { return strings.Contains(watch.String(), `"name": "settings"`) })
	w.says("created", "create", "configmap", "another")
	await(t, "what comes", patience, func() bool { return strings.Contains(watch.String(), `"name": "another"`) })

	// The agent's own namespace is nobody's, and the kubelet's pages are not let through.
	w.fails("the agent's own namespace", "get", "secrets", "-n", "hawser-system")
	w.fails("the agent's own; name a namespace", "get", "secrets", "-A")
	w.fails("path_refused", "get", "--raw", "/api/v1/nodes/eu-0/proxy/pods")

	// Somebody who sees the cluster and may not go there, and one who sees nothing.
	for grant, want := range map[string]string{"viewer:*": "you may not proxy clusters eu", "viewer:nothing": "cluster_unknown"} {
		w.fails(want, "get", "pods", "--token", w.token(strings.NewReplacer(":", "-", "*", "all").Replace(grant), grant))
	}

	// What is open ends with the permission, within 5 seconds.
	w.hawser("cluster", "kubectl", "eu", "--disable")
	off := time.Now()
	for what, ended := range map[string]chan error{"a watch": watchEnded, "a log": logsEnded} {
		select {
		case <-ended:
			t.Logf("%s ended after %s", what, time.Since(off))
		case <-time.After(5*time.Second - time.Since(off)):
			t.Errorf("%s goes on after 5 s", what)
		}
	}
	if !strings.Contains(watch.String(), "kubectl is not let through") {
		t.Errorf("the watch ended with\n%s", watch)
	}
	w.hawser("cluster", "kubectl", "eu", "--enable")
	w.audited()

	w.eu.StopAgent()
	await(t, "the hub to know that the agent is gone", patience, func() bool {
		out, _ := w.try("get", "pods")
		return strings.Contains(out, "ServiceUnavailable") && strings.Contains(out, `the agent of cluster "eu" is not connected`)
	})
}

// token issues a token with a grant.
func (w *world) token(name, grant string) string {
	w.t.Helper()
	out := w.hawser("token", "create", name, "--grant", grant, "-o", "json")
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Token == "" {
		w.t.Fatalf("%v: %s", err, out)
	}
	return got.Token
}

func (w *world) stdin() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	cmd := w.through(ctx, "exec", "-i", "web", "--", "cat")
	in := strings.Repeat("0123456789abcde\n", 20_000)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.Output()
	if err != nil || string(out) != in {
		w.t.Errorf("cat: %v, %d bytes of %d", err, len(out), len(in))
	}
}

// attach hears what the container says, tells it something, and ends with it.
func (w *world) attach() {
	w.t.Helper()
	in, tell, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	defer tell.Close() // after the end, which is to be the container's
	out, ended := w.openWith(in, "attach", "-i", "web")
	in.Close()
	fmt.Fprintln(tell, "is anybody there?")
	await(w.t, "the container to repeat it", patience, func() bool { return strings.Contains(out.String(), "is anybody there?") })
	w.kubelet.Say("default", "web", "main", "a line of its own")
	await(w.t, "what the container says", patience, func() bool { return strings.Contains(out.String(), "a line of its own") })
	w.kubelet.Restart("default", "web", "main")
	select {
	case err := <-ended:
		if err != nil {
			w.t.Errorf("attach ended with %v:\n%s", err, out)
		}
	case <-time.After(patience):
		w.t.Error("attach goes on after the container's end")
	}
}

var forwarding = regexp.MustCompile(`127\.0\.0\.1:(\d+) -> 80`)

func (w *world) portForward() {
	w.t.Helper()
	out, _ := w.open("port-forward", "--address", "127.0.0.1", "pod/web", ":80")
	await(w.t, "the port", patience, func() bool { return forwarding.MatchString(out.String()) })
	for range 2 {
		conn, err := net.Dial("tcp", "127.0.0.1:"+forwarding.FindStringSubmatch(out.String())[1])
		if err != nil {
			w.t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintln(conn, "hello")
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || line != "web:80 hello\n" {
			w.t.Errorf("through the port: %q, %v\n%s", line, err, out)
		}
		conn.Close()
	}
}

// audited looks for the records of what was done and refused.
func (w *world) audited() {
	w.t.Helper()
	var records []string
	wanted := map[string]string{
		"a read":                   `"command" "done" "GET /api/v1/namespaces/default/pods,`,
		"a write":                  `"command" "done" "POST /api/v1/namespaces/default/configmaps,`,
		"a refusal":                `"refusal" "denied" "GET /api/v1/namespaces/default/pods,`,
		"what the cluster refused": `"command" "denied" "GET /api/v1/namespaces/default/pods,`,
		"a command's begin":        `"begun" "unknown" "GET /api/v1/namespaces/default/pods/web/exec, program \"echo\""`,
		"an attachment's end":      `"command" "done" "GET /api/v1/namespaces/default/pods/web/attach,`,
		"a command's end":          `"command" "done" "GET /api/v1/namespaces/default/pods/web/exec, program \"echo\",`,
		"a watch's begin":          `"begun" "unknown" "GET /api/v1/namespaces/default/configmaps"`,
		"a watch's end":            `"command" "denied" "GET /api/v1/namespaces/default/configmaps,`,
	}
	missing := func() (out []string) {
		records = nil
		for line := range strings.Lines(w.hawser("audit", "export")) {
			var r struct {
				Record struct{ Kind, Outcome, Action, Reason, Actor, Cluster string }
			}
			if json.Unmarshal([]byte(line), &r) == nil && r.Record.Action == "kubectl" {
				records = append(records, fmt.Sprintf("%q %q %q", r.Record.Kind, r.Record.Outcome, r.Record.Reason))
			}
		}
		all := strings.Join(records, "\n")
		for what, text := range wanted {
			if !strings.Contains(all, text) {
				out = append(out, what)
			}
		}
		return out
	}
	if m := missing(); len(m) > 0 {
		w.t.Errorf("no record of %v in\n%s", m, strings.Join(records, "\n"))
	}
	if strings.Contains(strings.Join(records, "\n"), "hello there") {
		w.t.Error("the words of a command are in the records")
	}
}
