package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientauth "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// kubectl gets a token of one cluster and never the login's own; it is kept for
// its owner alone, and for this login and cluster alone.
func TestKubeCredentialIsOfOneCluster(t *testing.T) {
	until := time.Now().Add(8 * time.Minute).UTC().Truncate(time.Second)
	answered := func(token string) answer {
		return answer{201, `{"token":"` + token + `","expiresAt":"` + until.Format(time.RFC3339) + `"}`}
	}
	hub := newHubOf(t, map[string]answer{"POST /clusters/eu/kubectl-token": answered("hwk_eu"), "POST /clusters/us/kubectl-token": answered("hwk_us")})
	cache := t.TempDir()
	t.Setenv("HAWSER_CACHE", cache)
	ask := func(cluster, want string) {
		t.Helper()
		r := run(t, "", "kube-credential", cluster)
		var got clientauth.ExecCredential
		if err := json.Unmarshal([]byte(r.out), &got); r.code != 0 || err != nil || got.Status == nil || got.Status.Token != want || got.APIVersion != "client.authentication.k8s.io/v1" {
			t.Fatalf("%+v, %v", r, err)
		}
		if e := got.Status.ExpirationTimestamp; e == nil || !e.UTC().Equal(until) {
			t.Errorf("it expires at %v, want %v", e, until)
		}
		if strings.Contains(r.out, "CANARY") {
			t.Error("the login's own token was printed")
		}
	}
	ask("eu", "hwk_eu")
	ask("eu", "hwk_eu")
	if n := strings.Count(hub.requests(), "kubectl-token"); n != 1 {
		t.Errorf("the hub was asked %d times", n)
	}
	ask("us", "hwk_us")
	t.Setenv("HAWSER_TOKEN", "hwt_CANARY2")
	ask("eu", "hwk_eu")
	if n := strings.Count(hub.requests(), "kubectl-token"); n != 3 {
		t.Errorf("another cluster and another login: asked %d times", n)
	}
	kept := 0
	_ = filepath.Walk(cache, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			kept++
			if text, _ := os.ReadFile(path); info.Mode().Perm() != 0o600 || strings.Contains(string(text), "CANARY") {
				t.Errorf("%s: %s, %s", path, info.Mode(), text)
			}
		}
		return nil
	})
	if kept != 3 {
		t.Errorf("%d are kept", kept)
	}
}

const otherContexts = `apiVersion: v1
kind: Config
current-context: work
clusters: [{name: work, cluster: {server: "https://work:6443"}}]
users: [{name: me, user: {token: mine}}]
contexts: [{name: work, context: {cluster: work, user: me, namespace: shop}}]
`

// What is in a kubeconfig stays there, also which context is the current one.
func TestKubeconfigIsMerged(t *testing.T) {
	for name, c := range map[string]struct {
		before, current string
		contexts        int
	}{"none": {"", "hawser-eu", 1}, "others": {otherContexts, "work", 2}} {
		newHubOf(t, map[string]answer{"GET /clusters/eu": {200, `{"id":"1","name":"eu","kubectl":true}`}})
		path := filepath.Join(t.TempDir(), "kube", "config")
		t.Setenv("KUBECONFIG", path)
		if c.before != "" {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // again changes nothing
			if r := run(t, "", "cluster", "kubeconfig", "eu", "--merge"); r.code != 0 || !strings.Contains(r.err, "kubectl --context hawser-eu") {
				t.Fatalf("%s: %+v", name, r)
			}
		}
		got, err := clientcmd.LoadFromFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		if got.CurrentContext != c.current || len(got.Contexts) != c.contexts || got.AuthInfos["hawser-eu"].Token != "" {
			t.Errorf("%s: %+v", name, got)
		}
		if c.before != "" && (got.AuthInfos["me"].Token != "mine" || got.Contexts["work"].Namespace != "shop" || got.Clusters["work"].Server != "https://work:6443") {
			t.Errorf("%s: what was there is gone: %+v", name, got)
		}
		if args := strings.Join(got.AuthInfos["hawser-eu"].Exec.Args, " "); !strings.HasPrefix(args, "kube-credential eu --hub https://") {
			t.Errorf("%s: %s", name, args)
		}
		if text, _ := os.ReadFile(path); strings.Contains(string(text), "CANARY") {
			t.Errorf("%s: a token is in it", name)
		}
	}
	path := filepath.Join(t.TempDir(), "config")
	t.Setenv("KUBECONFIG", path)
	if err := os.WriteFile(path, []byte("not: [a kubeconfig"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "", "cluster", "kubeconfig", "eu", "--merge"); r.code == 0 || !strings.Contains(r.err, "cannot be understood") {
		t.Errorf("%+v", r)
	}
	if text, _ := os.ReadFile(path); string(text) != "not: [a kubeconfig" {
		t.Errorf("it was overwritten: %s", text)
	}
}
