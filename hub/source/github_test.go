package source

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// fakeGitHub is the part of GitHub's API that Apps use, and a Git server that
// takes the tokens it gave out.
type fakeGitHub struct {
	git   *testbed.GitServer
	key   *rsa.PrivateKey
	owner string // the App is installed for

	mu     sync.Mutex
	calls  []string
	issued int
	valid  string // the one token that is good
	lives  time.Duration
}

func newFakeGitHub(t *testing.T) (g *fakeGitHub, url string, pair keyPair) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g = &fakeGitHub{git: gitServer(t, testbed.GitOptions{}), key: key, owner: "shop", lives: time.Hour}
	url, pair = startTLS(t, g, "")
	return g, url, pair
}

func (g *fakeGitHub) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(g.key)}))
}

func (g *fakeGitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, isAPI := strings.CutPrefix(r.URL.Path, "/api/v3/")
	if !isAPI {
		if _, password, _ := r.BasicAuth(); g.valid == "" || password != g.valid {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		g.git.ServeHTTP(w, r)
		return
	}
	g.calls = append(g.calls, r.Method+" "+at)
	if err := g.verify(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"message":%q}`, err.Error())
		return
	}
	switch {
	case at == "orgs/"+g.owner+"/installation":
		fmt.Fprint(w, `{"id":42}`)
	case at == "app/installations/42/access_tokens" && r.Method == http.MethodPost:
		g.issued++
		g.valid = fmt.Sprintf("CANARY-ghs-%d", g.issued)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":%q,"expires_at":%q}`, g.valid, time.Now().Add(g.lives).UTC().Format(time.RFC3339))
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"Not Found"}`)
	}
}

// verify checks a JSON web token as GitHub does.
func (g *fakeGitHub) verify(jwt string) error {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return fmt.Errorf("no JSON web token")
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return err
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], raw[2]); err != nil {
		return fmt.Errorf("a JSON web token could not be decoded")
	}
	var claims struct {
		Iat, Exp int64
		Iss      string
	}
	if err := json.Unmarshal(raw[1], &claims); err != nil {
		return err
	}
	now := time.Now().Unix()
	if claims.Iss != "7" || claims.Iat > now || claims.Exp < now || claims.Exp-claims.Iat > 600 {
		return fmt.Errorf("the claims are wrong")
	}
	return nil
}

func (g *fakeGitHub) asked() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := strings.Join(g.calls, ", ")
	g.calls = nil
	return out
}

func TestGitHubApp(t *testing.T) {
	g, url, pair := newFakeGitHub(t)
	_, head := createRepo(t, g.git, "shop/web", map[string]string{"a": "1"})
	_, other := createRepo(t, g.git, "shop/api", map[string]string{"a": "2"})
	cred := fleet.Credential{GitHubAppID: 7, GitHubAppPrivateKey: g.pem(), CABundle: pair.authority}
	s := newSources(t, always(cred))
	if got := mustResolve(t, s, url+"/shop/web.git", "main"); got != head {
		t.Fatalf("got %s", got)
	}
	// The installation is that of the owner, by the API that Enterprise has.
	if got, want := g.asked(), "GET repos/shop/web/installation, GET orgs/shop/installation, POST app/installations/42/access_tokens"; got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
	for range 3 {
		mustResolve(t, s, url+"/shop/web.git", "main")
	}
	if got := mustResolve(t, s, url+"/shop/api.git", "main"); got != other {
		t.Errorf("got %s", got)
	}
	if got := g.asked(); got != "" {
		t.Errorf("a token that is good was not kept: %s", got)
	}
	// One that was withdrawn is replaced without anybody noticing.
	g.mu.Lock()
	g.valid = ""
	g.mu.Unlock()
	mustResolve(t, s, url+"/shop/web.git", "main")
	if got := strings.Count(g.asked(), "POST"); got != 1 {
		t.Errorf("%d tokens were asked for", got)
	}
}

// A token opens what GitHub gave it out for, and nothing at another server,
// for another owner or of another App.
func TestGitHubAppTokensAreApart(t *testing.T) {
	seen := map[string]string{}
	for _, c := range []struct {
		url string
		app *workerv1.GitHubApp
	}{
		{"https://github.com/shop/web", &workerv1.GitHubApp{AppId: 7, PrivateKey: "a"}},
		{"https://github.com/bank/web", &workerv1.GitHubApp{AppId: 7, PrivateKey: "a"}},
		{"https://github.com/shop/web", &workerv1.GitHubApp{AppId: 8, PrivateKey: "a"}},
		{"https://github.com/shop/web", &workerv1.GitHubApp{AppId: 7, PrivateKey: "b"}},
		{"https://github.com/shop/web", &workerv1.GitHubApp{AppId: 7, PrivateKey: "a", InstallationId: 1}},
		{"https://github.com/shop/web", &workerv1.GitHubApp{AppId: 7, PrivateKey: "a", InstallationId: 2}},
		{"https://github.com/shop/web", &workerv1.GitHubApp{AppId: 7, PrivateKey: "a", BaseUrl: "https://x"}},
		{"https://github.com:8443/shop/web", &workerv1.GitHubApp{AppId: 7, PrivateKey: "a"}},
		{"https://github.com.evil/shop/web", &workerv1.GitHubApp{AppId: 7, PrivateKey: "a"}},
	} {
		u, err := ParseURL(c.url, false)
		if err != nil {
			t.Fatal(err)
		}
		name, key := c.url+" "+c.app.String(), tokenKey(c.app, u)
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s share a token", name, other)
		}
		seen[key] = name
	}
}

func TestGitHubAppTokensAreNotUsedUntilTheirLastMinute(t *testing.T) {
	g, url, pair := newFakeGitHub(t)
	g.lives = 4 * time.Minute
	createRepo(t, g.git, "shop/web", map[string]string{"a": "1"})
	s := newSources(t, always(fleet.Credential{GitHubAppID: 7, GitHubAppInstallationID: 42, GitHubAppBaseURL: url + "/api/v3/", GitHubAppPrivateKey: g.pem(), CABundle: pair.authority}))
	for range 2 {
		mustResolve(t, s, url+"/shop/web.git", "main")
	}
	if got, want := g.asked(), "POST app/installations/42/access_tokens, POST app/installations/42/access_tokens"; got != want {
		t.Errorf("asked %s", got)
	}
}

func TestGitHubAppsThatDoNotOpen(t *testing.T) {
	g, url, pair := newFakeGitHub(t)
	createRepo(t, g.git, "shop/web", map[string]string{"a": "1"})
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	strangerKey := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(stranger)}))
	good := fleet.Credential{GitHubAppID: 7, GitHubAppPrivateKey: g.pem(), CABundle: pair.authority}
	for name, tt := range map[string]struct {
		url        string
		change     func(c *fleet.Credential)
		code, text string
	}{
		"another key":       {url + "/shop/web.git", func(c *fleet.Credential) { c.GitHubAppPrivateKey = strangerKey }, "git_auth_failed", "refused the GitHub App 7 (401)"},
		"another App":       {url + "/shop/web.git", func(c *fleet.Credential) { c.GitHubAppID = 8 }, "git_auth_failed", "refused the GitHub App 8"},
		"another owner":     {url + "/stranger/web.git", func(*fleet.Credential) {}, "git_auth_failed", "not installed for stranger"},
		"no installation":   {url + "/shop/web.git", func(c *fleet.Credential) { c.GitHubAppInstallationID = 1 }, "git_auth_failed", "(404)"},
		"rubbish key":       {url + "/shop/web.git", func(c *fleet.Credential) { c.GitHubAppPrivateKey = "CANARY" }, "github_app_invalid", "RSA key in PEM"},
		"no owner":          {url + "/web.git", func(*fleet.Credential) {}, "github_app_invalid", "OWNER/NAME"},
		"base URL is http":  {url + "/shop/web.git", func(c *fleet.Credential) { c.GitHubAppBaseURL = "http://127.0.0.1/api/v3" }, "repo_insecure", "https://"},
		"base URL is none":  {url + "/shop/web.git", func(c *fleet.Credential) { c.GitHubAppBaseURL = "api" }, "github_app_invalid", "base URL"},
		"base URL blocked":  {url + "/shop/web.git", func(c *fleet.Credential) { c.GitHubAppBaseURL = "https://169.254.169.254/" }, "address_blocked", "link-local"},
		"base URL no API":   {url + "/shop/web.git", func(c *fleet.Credential) { c.GitHubAppBaseURL = url + "/shop" }, "git_auth_failed", ""},
		"over SSH":          {"ssh://git@127.0.0.1/shop/web.git", func(*fleet.Credential) {}, "github_app_invalid", "over https only"},
		"authority unknown": {url + "/shop/web.git", func(c *fleet.Credential) { c.CABundle = "" }, "git_tls_untrusted", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cred := good
			tt.change(&cred)
			err := newSources(t, Options{}).Check(t.Context(), tt.url, &cred)
			if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("got %v", err)
			}
		})
	}
}
