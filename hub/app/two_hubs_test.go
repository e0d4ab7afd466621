package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/vault"
)

// hubProcess is a hub in a process of its own, of several that share a database and
// a Redis.
type hubProcess struct {
	*killable
	metrics string
}

func startHubOf(t *testing.T, dsn string, env ...string) hubProcess {
	t.Helper()
	return startHubWith(t, dsn, nil, env...)
}

// startHubWith is startHubOf with further flags.
func startHubWith(t *testing.T, dsn string, flags []string, env ...string) hubProcess {
	t.Helper()
	var addresses [2]string
	for i := range addresses {
		port, err := testbed.ReservePort()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(port.Release)
		addresses[i] = port.Addr()
	}
	k := &killable{t: t, addr: addresses[0], dir: t.TempDir(), dsn: dsn,
		args: append([]string{"--metrics-listen", addresses[1], "--poll-interval", "1h"}, flags...),
		env:  append(env, vault.EnvKey+"="+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, vault.KeySize)))}
	k.client = http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	k.start()
	t.Cleanup(k.kill)
	return hubProcess{k, addresses[1]}
}

// call asks the API with a token or the secret of a session.
func (h hubProcess) call(ctx context.Context, method, path, token, kind, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+h.addr+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// ok is call for what must succeed.
func (h hubProcess) ok(t *testing.T, method, path, token, kind, body string) string {
	t.Helper()
	status, text, err := h.call(t.Context(), method, path, token, kind, body)
	if err != nil || status >= 300 || status == http.StatusMultiStatus {
		t.Fatalf("%s %s: %d %s %v", method, path, status, text, err)
	}
	return text
}

// enter logs in, and returns the secret of the session.
func (h hubProcess) enter(t *testing.T, with map[string]string) string {
	t.Helper()
	body, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ Token string }
	if err := json.Unmarshal([]byte(h.ok(t, "POST", "/login", "", "application/json", string(body))), &out); err != nil || out.Token == "" {
		t.Fatalf("no session: %v", err)
	}
	return out.Token
}

// asked sums the looks into Redis that a hub tells of in its metrics.
func (h hubProcess) asked(t *testing.T, space, result string) float64 {
	t.Helper()
	return h.looks(t, "redis", space, result)
}

// looks sums those into a store; of any space, or with any result, when it is "".
func (h hubProcess) looks(t *testing.T, store, space, result string) (n float64) {
	t.Helper()
	resp, err := h.client.Get("http://" + h.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "hawser_cache_requests_total{") && strings.Contains(line, `store="`+store+`"`) &&
			(result == "" || strings.Contains(line, `result="`+result+`"`)) && (space == "" || strings.Contains(line, `cache="`+space+`"`)) {
			v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:len(line)-1], 64)
			if err != nil {
				t.Fatal(err)
			}
			n += v
		}
	}
	return n
}

// TestA38_TwoHubsWithARedisThatIsKilledFlushedAndPoisoned: two hub processes on one
// Postgres and one redis-server share sessions and renders, and answer the same
// whatever becomes of the Redis.
func TestA38_TwoHubsWithARedisThatIsKilledFlushedAndPoisoned(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	dsn := dbtest.Postgres(t)
	git, err := testbed.StartGitServer(t.Context(), testbed.GitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer git.Close()
	repo, err := git.CreateRepo(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	revision, err := repo.Commit(t.Context(), "first", map[string][]byte{"web/a.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: hello}\n")})
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), `INSERT INTO clusters (id, name, labels, created_at, enrolled_at) VALUES ('6f1c1b52-6d0c-4a3e-9a57-0a4b6a1f0001', 'eu', '{}', now(), now())`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	one := startHubOf(t, dsn, "REDIS_URL=redis://"+server.Addr())
	two := startHubOf(t, dsn, "REDIS_URL=redis://"+server.Addr())
	code, err := os.ReadFile(one.codeFile())
	if err != nil {
		t.Fatal(err)
	}
	const password = "correct horse battery"
	admin := one.enter(t, map[string]string{"code": strings.TrimSpace(string(code)), "username": "root", "password": password})
	one.ok(t, "POST", "/apply", admin, "application/yaml", fmt.Sprintf(`apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web}
spec:
  project: default
  source: {repoURL: %q, path: web, targetRevision: main}
  destination: {name: eu, namespace: web}
`, git.URL("shop")))
	manifests := "/applications/web/manifests?revision=" + revision

	// What one has rendered the other takes.
	rendered := one.ok(t, "GET", manifests, admin, "", "")
	if !strings.Contains(rendered, `"greeting":"hello"`) {
		t.Fatalf("%s", rendered)
	}
	if got := two.ok(t, "GET", manifests, admin, "", ""); got != rendered {
		t.Fatalf("the second hub answers\n%s\nthe first\n%s", got, rendered)
	}
	if two.asked(t, "manifests", "hit") == 0 {
		t.Error("the second hub has not taken the manifests from the Redis")
	}

	// A session of one works at the other; taken back at one it works nowhere within
	// 5 s, with everything that was ever in the Redis put back all the time.
	thief := newThief(t, server)
	session := one.enter(t, map[string]string{"username": "root", "password": password})
	for _, h := range []hubProcess{one, two} {
		h.ok(t, "GET", "/whoami", session, "", "")
		thief.replay()
	}
	if len(thief.stolen) == 0 {
		t.Fatal("nothing was in the Redis")
	}
	for try := 0; two.asked(t, "sessions", "hit") == 0; try++ { // the epoch may change between the two
		if try == 40 {
			t.Fatal("the second hub takes no session from the Redis")
		}
		one.ok(t, "GET", "/whoami", session, "", "")
		two.ok(t, "GET", "/whoami", session, "", "")
		time.Sleep(250 * time.Millisecond) // until one of them remembers no more
	}
	thief.replay()
	one.ok(t, "POST", "/logout", session, "", "")
	revoked := time.Now()
	for i, h := range []hubProcess{one, two} {
		for {
			thief.replay()
			began := time.Now()
			status, text, err := h.call(t.Context(), "GET", "/whoami", session, "", "")
			if err != nil {
				t.Fatal(err)
			}
			if status == http.StatusUnauthorized {
				break
			}
			if began.Sub(revoked) > 5*time.Second {
				t.Fatalf("hub %d answers %d %s %v after it was revoked", i+1, status, text, began.Sub(revoked))
			}
			time.Sleep(50 * time.Millisecond) // an attacker who tries all the time
		}
	}
	t.Logf("refused at both after %v", time.Since(revoked))

	// The Redis is flushed, and then every name in it has garbage. Answers stay, and
	// the garbage is told of.
	if err := thief.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	same := func(when string) {
		t.Helper()
		for _, h := range []hubProcess{one, two} {
			if got := h.ok(t, "GET", manifests, admin, "", ""); got != rendered {
				t.Fatalf("%s: %s", when, got)
			}
		}
	}
	same("flushed")
	for k := range thief.stolen {
		thief.Set(t.Context(), k, "garbage", 0)
	}
	three := startHubOf(t, dsn, "REDIS_URL=redis://"+server.Addr()) // it remembers nothing, so it looks
	if got := three.ok(t, "GET", manifests, admin, "", ""); got != rendered {
		t.Fatalf("poisoned: %s", got)
	}
	same("poisoned")
	if three.asked(t, "", "tampered") == 0 {
		t.Error("the garbage is not counted")
	}
	three.kill()
	if !strings.Contains(three.said.String(), "code=cache_tampered") {
		t.Errorf("the garbage is not in the log:\n%s", three.said.String())
	}

	// It is killed in the middle of load. No request fails, and both hubs stay ready.
	var asked atomic.Int64
	killed, done := make(chan struct{}), make(chan struct{})
	var load sync.WaitGroup
	for i := range 8 {
		h := []hubProcess{one, two}[i%2]
		path := []string{"/whoami", manifests, "/applications?limit=50", "/applications/web/resources"}[i/2]
		load.Go(func() {
			for after := 0; after < 10; {
				status, text, err := h.call(t.Context(), "GET", path, admin, "", "")
				if err != nil || status != http.StatusOK {
					t.Errorf("%s: %d %s %v", path, status, text, err)
					return
				}
				asked.Add(1)
				select {
				case <-killed:
					after++
				default:
				}
			}
		})
	}
	go func() { load.Wait(); close(done) }()
	for asked.Load() < 100 {
		select {
		case <-done:
			t.Fatal("the load has ended before the Redis was killed")
		case <-time.After(5 * time.Millisecond):
		}
	}
	server.Kill()
	close(killed)
	<-done
	for _, h := range []hubProcess{one, two} {
		resp, err := h.client.Get("https://" + h.addr + "/readyz?verbose")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `"cache_unreachable"`) {
			t.Errorf("%d %s %v", resp.StatusCode, text, err)
		}
	}
	same("without a Redis")
	t.Logf("%d requests", asked.Load())
}
