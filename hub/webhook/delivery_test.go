package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/hub/webhook"
)

// looks is a resolver that tells which repositories it was asked about.
type looks chan string

func (l looks) Resolve(_ context.Context, repoURL string, targets []fleet.Target) (map[fleet.Target]source.Resolved, error) {
	l <- repoURL
	out := map[fleet.Target]source.Resolved{}
	for _, t := range targets {
		out[t] = source.Resolved{}
	}
	return out, nil
}

// From a real request to the poller's look, as hub/app wires it.
func TestASignedDeliveryOfEveryProviderReachesThePoller(t *testing.T) {
	const secret = "s3cret"
	mac := func(body string) string {
		m := hmac.New(sha256.New, []byte(secret))
		m.Write([]byte(body))
		return hex.EncodeToString(m.Sum(nil))
	}
	deliveries := map[string]struct {
		watched, body string
		event         []string // headers
		credential    func(body string) (name, value string)
	}{
		"GitHub": {
			"https://github.com/team/app", `{"ref":"refs/heads/main","repository":{"clone_url":"https://github.com/team/app.git"}}`, []string{"X-GitHub-Event", "push"},
			func(b string) (string, string) { return "X-Hub-Signature-256", "sha256=" + mac(b) },
		},
		"GitLab": {
			"git@gitlab.com:g/s/app.git", `{"object_kind":"push","project":{"git_http_url":"https://gitlab.com/g/s/app.git"}}`, []string{"X-Gitlab-Event", "Push Hook"},
			func(string) (string, string) { return "X-Gitlab-Token", secret },
		},
		"Gitea": {
			"https://git.example.com/team/app.git", `{"repository":{"clone_url":"https://git.example.com/team/app.git"}}`, []string{"X-Gitea-Event", "push", "X-GitHub-Event", "push"},
			func(b string) (string, string) { return "X-Gitea-Signature", mac(b) },
		},
		"Bitbucket Cloud": {
			"git@bitbucket.org:team/app.git", `{"repository":{"full_name":"team/app"},"push":{"changes":[]}}`, []string{"X-Event-Key", "repo:push", "X-Hook-UUID", "u"},
			func(b string) (string, string) { return "X-Hub-Signature", "sha256=" + mac(b) },
		},
		"Bitbucket Data Center": {
			"https://bb.example.com/scm/key/app.git", `{"repository":{"slug":"app","project":{"key":"KEY"}},"changes":[]}`, []string{"X-Event-Key", "repo:refs_changed"},
			func(b string) (string, string) { return "X-Hub-Signature", "sha256=" + mac(b) },
		},
		"Azure DevOps": {
			"git@ssh.dev.azure.com:v3/org/team/app2", `{"eventType":"git.push","resource":{"repository":{"remoteUrl":"https://dev.azure.com/org/team/_git/app2"}}}`, []string{"X-Vss-Activityid", "a"},
			func(string) (string, string) {
				return "Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+secret))
			},
		},
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets, err := webhook.LoadSecrets(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	looked := make(looks)
	poller := source.NewPoller(source.PollerOptions{Sources: looked, Interval: time.Hour, Changed: func(string, map[fleet.Target]source.Resolved, error) {}})
	var targets []fleet.Target
	for _, d := range deliveries {
		targets = append(targets, fleet.Target{RepoURL: d.watched, Revision: "main"})
	}
	poller.SetTargets(targets)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { poller.Run(ctx) })
	defer running.Wait()
	defer cancel()
	next := func() string {
		t.Helper()
		select {
		case url := <-looked:
			return url
		case <-time.After(30 * time.Second):
			t.Fatal("nobody looked")
			return ""
		}
	}
	for range deliveries { // the first looks
		next()
	}
	server := httptest.NewServer(webhook.Handler(webhook.Options{
		Secrets: secrets, Known: poller.Repositories, Poke: func(u string) { _ = poller.Poke(u) },
	}))
	defer server.Close()
	post := func(body string, headers []string) (int, time.Duration) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/api/webhook", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		started := time.Now()
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(started)
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, took
	}
	for name, d := range deliveries {
		// Refused, so the look that follows is that of the next.
		if code, _ := post(d.body, d.event); code != http.StatusUnauthorized {
			t.Errorf("%s, unsigned: %d", name, code)
		}
		key, value := d.credential(d.body)
		code, took := post(d.body, append([]string{key, value}, d.event...))
		if code != http.StatusAccepted {
			t.Errorf("%s: %d", name, code)
			continue
		}
		if url := next(); url != d.watched {
			t.Errorf("%s: looked at %s", name, url)
		}
		if took > time.Second { // milliseconds, on a machine that does nothing else
			t.Errorf("%s: answered after %v", name, took)
		}
	}
	select {
	case url := <-looked:
		t.Errorf("one more look at %s", url)
	default:
	}
}
