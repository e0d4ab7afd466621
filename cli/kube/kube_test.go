package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

var apps = Resource{Group: "argoproj.io", Version: "v1alpha1", Plural: "applications"}

// open makes a cluster of a handler, through a kubeconfig with a token.
func open(t *testing.T, handler http.HandlerFunc) *Cluster {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS() // a token is not given to a server without TLS
	t.Cleanup(srv.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	c, err := Open(kubeconfig(t, srv.URL+"/", "certificate-authority-data: "+base64.StdEncoding.EncodeToString(ca)), "old-hub")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kubeconfig(t *testing.T, server string, more ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: other, clusters: [{name: c, cluster: {server: %q, %s}}], users: [{name: u, user: {token: secret}}],
contexts: [{name: old-hub, context: {cluster: c, user: u}}, {name: broken, context: {cluster: nix, user: u}}]}`, server, strings.Join(more, ", "))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestListsAreReadPageByPage(t *testing.T) {
	var asked []string
	c := open(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next := map[string]string{"": "two", "two": "three"}[r.URL.Query().Get("continue")]
		fmt.Fprintf(w, `{"kind":"ApplicationList","metadata":{"continue":%q},"items":[]}`, next)
	})
	pages := 0
	there, err := c.List(t.Context(), apps, "team a", "a=b", func([]byte) error { pages++; return nil })
	if err != nil || !there || pages != 3 {
		t.Fatalf("%v %v, %d pages", there, err, pages)
	}
	want := "GET /apis/argoproj.io/v1alpha1/namespaces/team%20a/applications?continue=two&labelSelector=a%3Db&limit=500"
	if asked[1] != want {
		t.Errorf("asked %q", asked)
	}
	// Who takes the pages ends the list.
	stop := fault.New(fault.Invalid, "x", "enough")
	if there, err = c.List(t.Context(), Resource{Version: "v1", Plural: "secrets"}, "", "", func([]byte) error { return stop }); there || err == nil || asked[len(asked)-1] != "GET /api/v1/secrets?limit=500" {
		t.Errorf("%v %v %q", there, err, asked)
	}
}

func TestWhatAnAPIServerRefuses(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		code   string
		kind   fault.Kind
		says   string
	}{
		{404, `{"message":"applications \"x\" not found"}`, "object_not_found", fault.NotFound, `"x" not found`},
		{409, `{"message":"modified"}`, "object_changed", fault.Conflict, "modified"},
		{401, ``, "cluster_forbidden", fault.Denied, "Unauthorized"},
		{403, `{"message":"no"}`, "cluster_forbidden", fault.Denied, "no"},
		{500, `<html>`, "cluster_refused", fault.Upstream, "Internal Server Error"},
	} {
		cluster := open(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		})
		_, err := cluster.Get(t.Context(), apps, "argocd", "x")
		if !fault.HasCode(err, c.code) || !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), `context "old-hub"`) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v", c.status, err)
		}
		there, err := cluster.List(t.Context(), apps, "", "", func([]byte) error { t.Error("a page of a refusal"); return nil })
		if there || (err == nil) != (c.status == 404) { // a kind that is not there is an answer
			t.Errorf("list, %d: %v %v", c.status, there, err)
		}
	}
}

func TestCredentialsGoNowhereElse(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked", r.Host) }))
	t.Cleanup(other.Close)
	c := open(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	if _, err := c.Get(t.Context(), apps, "argocd", "x"); !fault.HasCode(err, "cluster_refused") {
		t.Error(err)
	}
}

func TestPatchesAreMergePatchesOfTheImport(t *testing.T) {
	var body map[string]any
	var method, uri, kind string
	c := open(t, func(w http.ResponseWriter, r *http.Request) {
		method, uri, kind = r.Method, r.URL.String(), r.Header.Get("Content-Type")
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, `{"kind":"Application"}`)
	})
	got, err := c.Patch(t.Context(), apps, "argocd", "web", map[string]any{"spec": map[string]any{"automated": nil}})
	if err != nil || string(got) != `{"kind":"Application"}` {
		t.Fatalf("%s %v", got, err)
	}
	if method != http.MethodPatch || kind != "application/merge-patch+json" || uri != "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web?fieldManager=hawser-import" {
		t.Errorf("%s %s %s", method, uri, kind)
	}
	if spec := body["spec"].(map[string]any); len(spec) != 1 || spec["automated"] != nil {
		t.Errorf("sent %v", body)
	}
	if _, err := c.Patch(t.Context(), apps, "argocd", "web", func() {}); err == nil {
		t.Error("a function was sent")
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	none := func([]byte) error { return nil }
	c := open(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	if _, err := c.List(t.Context(), apps, "", "", none); !fault.HasCode(err, "answer_invalid") {
		t.Errorf("no JSON: %v", err)
	}
	c = open(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "{")
	})
	if _, err := c.List(t.Context(), apps, "", "", none); !fault.HasCode(err, "cluster_unreachable") {
		t.Errorf("half an answer: %v", err)
	}
	away, err := Open(kubeconfig(t, "http://127.0.0.1:1"), "old-hub")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := away.Get(t.Context(), apps, "a", "b"); !fault.HasCode(err, "cluster_unreachable") || !fault.Is(err, fault.Unavailable) {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := away.Get(ctx, apps, "a", "b"); err != context.Canceled { //nolint:errorlint // as it is
		t.Errorf("cancelled: %v", err)
	}
}

func TestContextsThatCannotBeUsed(t *testing.T) {
	file := kubeconfig(t, "http://127.0.0.1:1")
	invalid := filepath.Join(t.TempDir(), "invalid")
	if err := os.WriteFile(invalid, []byte("a: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, context, code string }{
		{file, "nix", "context_unknown"},
		{file, "", "context_unknown"}, // the current one is never meant
		{file, "broken", "kubeconfig_invalid"},
		{file + "-nix", "old-hub", "kubeconfig_not_found"},
		{invalid, "old-hub", "kubeconfig_invalid"},
	} {
		if _, err := Open(c.file, c.context); !fault.HasCode(err, c.code) {
			t.Errorf("%s %q: %v", filepath.Base(c.file), c.context, err)
		}
	}
	t.Setenv("KUBECONFIG", file)
	if c, err := Open("", "old-hub"); err != nil || c.Context != "old-hub" {
		t.Errorf("the usual place: %v", err)
	}
}
