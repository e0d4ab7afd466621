package source

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// appTokens are the tokens of GitHub Apps, by App, installation and owner. They
// are kept in memory only.
type appTokens struct {
	mu sync.Mutex
	m  map[string]appToken
}

type appToken struct {
	token   string
	expires time.Time
}

// tokenMargin is how long before its end a token is not used any more.
const tokenMargin = 5 * time.Minute

// maxTokens bounds how many are kept.
const maxTokens = 1000

// withAccess calls f with how to reach a repository. A GitHub App becomes a
// token first; when a token that was kept is refused, f is called again with a
// new one.
func (s *Sources) withAccess(ctx context.Context, u URL, cred *fleet.Credential, f func(*workerv1.Remote) error) error {
	r := s.remote(u.String(), cred)
	if r.GithubApp == nil {
		return f(r)
	}
	if u.Scheme == "http" && !s.opts.AllowHTTPCredentials {
		return errInsecure()
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return fault.New(fault.Invalid, "github_app_invalid", "a GitHub App opens repositories over https only, and this is %s", u)
	}
	app := r.GithubApp
	key := tokenKey(app, u)
	for {
		token, kept, err := s.token(ctx, key, u, r)
		if err != nil {
			return err
		}
		r.GithubApp, r.Username, r.Password, r.BearerToken = nil, "x-access-token", token, ""
		err = f(r)
		if !kept || !fault.HasCode(err, "git_auth_failed") {
			return err
		}
		s.apps.drop(key)
		r.GithubApp = app
	}
}

func tokenKey(app *workerv1.GitHubApp, u URL) string {
	sum := sha256.Sum256([]byte(app.GetPrivateKey()))
	key := fmt.Sprintf("%d %d %x %s %s", app.GetAppId(), app.GetInstallationId(), sum, app.GetBaseUrl(), net.JoinHostPort(u.Host, u.Port))
	if app.GetInstallationId() == 0 {
		owner, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
		key += " " + strings.ToLower(owner)
	}
	return key
}

// token is a token for a repository, and whether it was kept from before.
func (s *Sources) token(ctx context.Context, key string, u URL, r *workerv1.Remote) (token string, kept bool, err error) {
	if t, ok := s.apps.get(key); ok {
		return t, true, nil
	}
	unlock, err := s.lock(ctx, "token "+key)
	if err != nil {
		return "", false, err
	}
	defer unlock()
	if t, ok := s.apps.get(key); ok {
		return t, true, nil
	}
	answer, err := s.converse(ctx, "github "+key, u.String(), &workerv1.GitRequest{Request: &workerv1.GitRequest_AppToken{AppToken: &workerv1.GitAppToken{Remote: r}}})
	if err != nil {
		return "", false, err
	}
	got := answer.GetAppToken()
	s.apps.put(key, appToken{got.GetToken(), time.Unix(got.GetExpiresUnix(), 0)})
	return got.GetToken(), false, nil
}

func (a *appTokens) get(key string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.m[key]
	return t.token, ok && time.Until(t.expires) > tokenMargin
}

func (a *appTokens) put(key string, t appToken) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.m == nil || len(a.m) >= maxTokens {
		a.m = map[string]appToken{}
	}
	a.m[key] = t
}

func (a *appTokens) drop(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.m, key)
}
