package charts

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hawser-dev/hawser/agent/preflight"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

// found is what `hawser-agent preflight -o json` prints.
type found struct {
	OK     bool `json:"ok"`
	Checks []struct {
		Check, Outcome, Code, ID, Message, Fix string
	} `json:"checks"`
}

// failures are "check code" of what failed.
func (f found) failures() (out []string) {
	for _, c := range f.Checks {
		if c.Outcome == "failed" {
			out = append(out, c.Check+" "+c.Code)
		}
	}
	return out
}

// said is the message of a check.
func (f found) said(name string) string {
	for _, c := range f.Checks {
		if c.Check == name {
			return c.Message
		}
	}
	return ""
}

// olderFront is a front of the API server that calls it older.
func olderFront(t *testing.T, kubeconfig []byte, gitVersion string) []byte {
	t.Helper()
	cfg, err := testbed.RESTConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(to)
	forward.Transport = transport
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			json.NewEncoder(w).Encode(map[string]string{"gitVersion": gitVersion})
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	c := clientcmdapi.NewConfig()
	c.Clusters["front"] = &clientcmdapi.Cluster{Server: front.URL}
	c.Contexts["front"] = &clientcmdapi.Context{Cluster: "front"}
	c.CurrentContext = "front"
	out, err := clientcmd.Write(*c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPreflight runs `hawser-agent preflight` with the arguments of the chart's test
// pod against a real hub and a real API server, with everything as it should be and
// with one thing wrong at a time.
func TestPreflight(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cp := controlPlane(t)
	in := newInstaller(t, cp)
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	const ns = "agent-preflight"
	in.namespace(t, ctx, ns, true)
	vals := merge(values(t, agentLeast), map[string]any{"hub": map[string]any{"address": r.Hub.Addr, "caHash": r.Hub.CAHash}, "serviceAccount": map[string]any{"name": "whole"}})
	var args []string
	for _, o := range objects(t, mustRender(t, agent, ns, vals)) {
		if pod := podOf(t, o); o.GetKind() == "Pod" {
			args = pod.Spec.Containers[0].Args
		}
		if o.GetKind() != "Deployment" {
			if err := in.create(ctx, o); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(args) == 0 || args[0] != "preflight" {
		t.Fatalf("the test pod runs %q", args)
	}
	if _, err := in.client.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "poor"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	as := func(account string) []byte {
		t.Helper()
		kubeconfig, err := cp.ServiceAccountKubeconfig(ctx, ns, account)
		if err != nil {
			t.Fatal(err)
		}
		return kubeconfig
	}
	whole, poor := as("whole"), as("poor")
	mint := func(cluster string) string {
		t.Helper()
		out, err := r.CLI(ctx, "cluster", "enroll", cluster, "--yes", "-o", "json")
		var minted struct{ Token string }
		if err != nil || json.Unmarshal(out, &minted) != nil || minted.Token == "" {
			t.Fatalf("no token: %v\n%s", err, out)
		}
		return minted.Token
	}
	run := func(t *testing.T, kubeconfig []byte, token string, more ...string) (found, int) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "kubeconfig")
		if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(ctx, filepath.Join(r.Bin, "hawser-agent"), slices.Concat(args, []string{"--kubeconfig", file, "--namespace", ns, "-o", "json"}, more)...)
		cmd.Env = append(os.Environ(), "HAWSER_TOKEN="+token)
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		var f found
		if err := json.Unmarshal(out, &f); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, c := range f.Checks {
			if c.Outcome == "failed" && (c.ID == "" || c.Message == "" || c.Fix == "") {
				t.Errorf("%+v does not say what, its number and what to do", c)
			}
		}
		if token != "" && strings.Contains(string(out), token) {
			t.Error("the token is in the output")
		}
		return f, cmd.ProcessState.ExitCode()
	}
	enrolment := func(t *testing.T, cluster string) (checks []string) {
		t.Helper()
		out, err := r.CLI(ctx, "cluster", "enrolment", "list", "-o", "json")
		if err != nil {
			t.Fatal(err)
		}
		var all struct {
			Items []struct {
				Cluster   string
				Preflight struct {
					Checks []struct{ Check, Outcome, Code string }
				}
			}
		}
		if err := json.Unmarshal(out, &all); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, x := range all.Items {
			if x.Cluster == cluster {
				for _, c := range x.Preflight.Checks {
					checks = append(checks, strings.TrimSpace(c.Check+" "+c.Outcome+" "+c.Code))
				}
			}
		}
		return checks
	}
	inspecting, err := testbed.StartConnectProxy(testbed.ConnectOptions{Intercept: "Corp Inspection CA"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inspecting.Close)

	t.Run("everything is there", func(t *testing.T) {
		f, exit := run(t, whole, mint("whole"))
		if !f.OK || exit != 0 || len(f.Checks) != 9 || len(f.failures()) > 0 {
			t.Errorf("exit %d: %+v", exit, f)
		}
		if got := enrolment(t, "whole"); len(got) != 8 || got[0] != "dns ok" || slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "failed") }) {
			t.Errorf("the hub has %q", got)
		}
	})
	t.Run("too few rights", func(t *testing.T) {
		f, exit := run(t, poor, mint("poor"))
		if got := f.failures(); exit != 1 || len(got) != 2 || got[0] != "rights agent_rights_missing" || got[1] != "state journal_unwritable" {
			t.Errorf("exit %d: %q", exit, got)
		}
		for _, words := range []string{"get, list, create, update, delete secrets in " + ns, "list, watch, get pods in all namespaces", "list, watch configmaps hawser-veto in " + ns} {
			if !strings.Contains(f.said("rights"), words) {
				t.Errorf("%q does not say %q", f.said("rights"), words)
			}
		}
		// Whoever waits at the hub sees it.
		if got := enrolment(t, "poor"); !slices.Contains(got, "rights failed agent_rights_missing") {
			t.Errorf("the hub has %q", got)
		}
	})
	t.Run("an old Kubernetes", func(t *testing.T) {
		f, exit := run(t, olderFront(t, whole, "v1.22.17"), mint("old"))
		if got := f.failures(); exit != 1 || len(got) != 1 || got[0] != "kubernetes kubernetes_unsupported" || !strings.Contains(f.said("kubernetes"), "v1.22.17; 1.28 or newer") {
			t.Errorf("exit %d: %q %s", exit, got, f.said("kubernetes"))
		}
	})
	t.Run("a proxy that opens TLS", func(t *testing.T) {
		token := mint("inspected")
		f, exit := run(t, whole, token, "--proxy", inspecting.URL())
		if got := f.failures(); exit != 1 || len(got) != 1 || got[0] != "tls hub_identity_changed" || !strings.Contains(f.said("tls"), `"Corp Inspection CA"`) {
			t.Errorf("exit %d: %q %s", exit, got, f.said("tls"))
		}
		if got := enrolment(t, "inspected"); len(got) > 0 {
			t.Errorf("the token went through the proxy: %q", got)
		}
	})
	t.Run("no room for its state", func(t *testing.T) {
		quotas := in.client.CoreV1().ResourceQuotas(ns)
		if _, err := quotas.Create(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "full"},
			Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/secrets": resource.MustParse("0")}}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { quotas.Delete(context.WithoutCancel(ctx), "full", metav1.DeleteOptions{}) })
		for { // the quota counts when its status is written
			q, err := quotas.Get(ctx, "full", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(q.Status.Hard) > 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		f, exit := run(t, whole, mint("full"))
		if got := f.failures(); exit != 1 || len(got) != 1 || got[0] != "state journal_unwritable" || !strings.Contains(f.said("state"), "exceeded quota") {
			t.Errorf("exit %d: %q %s", exit, got, f.said("state"))
		}
	})
	t.Run("a token that is used, and the log of an agent", func(t *testing.T) {
		a, err := r.NewAgent(rig.AgentOptions{Cluster: "whole", Kubeconfig: whole, Namespace: ns, Args: slices.DeleteFunc(slices.Clone(args[1:]), func(a string) bool { return !strings.HasPrefix(a, "--rights=") })})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Stop)
		token := mint("whole")
		if err := a.Start("whole.log", "HAWSER_TOKEN="+token); err != nil {
			t.Fatal(err)
		}
		waiting, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := a.AwaitConnected(waiting); err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(a.Log())
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(log), "msg=preflight"); n != 9 || strings.Count(string(log), " outcome=ok ") != 9 || strings.Index(string(log), "msg=preflight") > strings.Index(string(log), "msg=enrolled") {
			t.Errorf("%d lines of the preflight before it enrolled:\n%s", n, log)
		}
		if f, exit := run(t, whole, token); exit != 0 || !strings.Contains(f.said("token"), "is enrolled") {
			t.Errorf("exit %d: %+v", exit, f)
		}
		// Without what is stored, the token is what it is.
		if f, exit := run(t, whole, token, "--namespace", "default"); exit != 1 || !slices.Contains(f.failures(), "token enrolment_token_used") {
			t.Errorf("exit %d: %+v", exit, f)
		}
	})
}

// The oldest Kubernetes is one, whoever says it.
func TestTheOldestKubernetesIsOne(t *testing.T) {
	oldest := version.MustParseGeneric(preflight.Oldest)
	for _, chart := range []string{agent, hubName} {
		if got, want := load(t, chart).Metadata.KubeVersion, ">="+oldest.String()+"-0"; got != want {
			t.Errorf("%s wants %s, the preflight %s", chart, got, want)
		}
	}
}
