package source

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// appTokenFor asks GitHub for a token that may read the repository of a remote,
// in the child process. The key of the App signs a short-lived statement and is
// sent nowhere.
func appTokenFor(ctx context.Context, r *workerv1.Remote) (*workerv1.GitAppTokenAnswer, error) {
	u, err := ParseURL(r.GetUrl(), false)
	if err != nil {
		return nil, err
	}
	owner, name, ok := strings.Cut(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"), "/")
	if !ok || !githubName.MatchString(owner) || !githubName.MatchString(name) {
		return nil, fault.New(fault.Invalid, "github_app_invalid", "a GitHub App opens repositories named https://HOST/OWNER/NAME, and this is %s", u)
	}
	g, err := newGitHub(r, u)
	if err != nil {
		return nil, err
	}
	id := r.GetGithubApp().GetInstallationId()
	if id == 0 {
		if id, err = g.installation(ctx, owner, name); err != nil {
			return nil, upstream(u.String(), g.base.Host, err)
		}
	}
	answer, err := g.token(ctx, id)
	if err != nil {
		return nil, upstream(u.String(), g.base.Host, err)
	}
	return answer, nil
}

var githubName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// github is GitHub's API for one App.
type github struct {
	app    *workerv1.GitHubApp
	base   *url.URL
	key    *rsa.PrivateKey
	client *http.Client
}

func newGitHub(r *workerv1.Remote, repo URL) (*github, error) {
	app := r.GetGithubApp()
	raw := app.GetBaseUrl()
	switch {
	case raw != "":
	case repo.Host == "github.com" || strings.HasSuffix(repo.Host, ".ghe.com"):
		raw = "https://api." + repo.Host
	default: // GitHub Enterprise Server
		raw = "https://" + repo.Host + "/api/v3"
		if repo.Port != "" {
			raw = "https://" + repo.Host + ":" + repo.Port + "/api/v3"
		}
	}
	base, err := url.Parse(raw)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, fault.New(fault.Invalid, "github_app_invalid", "the base URL of the GitHub App is no URL of an API, such as https://github.example.com/api/v3")
	}
	if base.Scheme != "https" && !(base.Scheme == "http" && r.GetAllowHttpCredentials()) {
		return nil, fault.New(fault.Invalid, "repo_insecure", "the base URL of the GitHub App must begin with https://")
	}
	key, err := appKey(app.GetPrivateKey())
	if err != nil {
		return nil, err
	}
	t, err := transport(r, base)
	if err != nil {
		return nil, err
	}
	return &github{app: app, base: base, key: key, client: &http.Client{Transport: t, CheckRedirect: checkRedirect, Timeout: time.Minute}}, nil
}

func appKey(text string) (*rsa.PrivateKey, error) {
	invalid := fault.New(fault.Invalid, "github_app_invalid", "the private key of the GitHub App cannot be read; it must be an RSA key in PEM format, as GitHub gives it out")
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, invalid
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, invalid
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, invalid
	}
	return key, nil
}

// statement is a JSON web token in the name of the App.
func (g *github) statement(now time.Time) (string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	claims, err := json.Marshal(map[string]any{
		// A minute back, because clocks differ; GitHub takes ten minutes at most.
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(8 * time.Minute).Unix(),
		"iss": strconv.FormatInt(g.app.GetAppId(), 10),
	})
	if err != nil {
		return "", err
	}
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, g.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + encode(signature), nil
}

// maxAPIAnswer bounds what GitHub answers.
const maxAPIAnswer = 1 << 20

// errAPI is an answer with another status than the one that is good.
type errAPI struct {
	status  int
	message string
}

func (e *errAPI) Error() string { return fmt.Sprintf("GitHub answered %d: %s", e.status, e.message) }

func (g *github) call(ctx context.Context, method, at string, body, out any) error {
	where := *g.base
	where.Path = path.Join("/", where.Path, at)
	var send io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, where.String(), send)
	if err != nil {
		return err
	}
	jwt, err := g.statement(time.Now())
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+jwt)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", "hawser")
	resp, err := g.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAPIAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(data, &said) // the status says enough
		return &errAPI{resp.StatusCode, printable(said.Message)}
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fault.New(fault.Upstream, "github_app_failed", "%s answers with something that is not GitHub's API", where.Host).
			WithFix("check the base URL of the GitHub App")
	}
	return nil
}

// installation finds the one of a repository's owner.
func (g *github) installation(ctx context.Context, owner, name string) (int64, error) {
	for _, at := range []string{
		"repos/" + owner + "/" + name + "/installation", "orgs/" + owner + "/installation", "users/" + owner + "/installation",
	} {
		var out struct {
			ID int64 `json:"id"`
		}
		err := g.call(ctx, http.MethodGet, at, nil, &out)
		var said *errAPI
		switch {
		case err == nil && out.ID > 0:
			return out.ID, nil
		case errors.As(err, &said) && said.status != http.StatusNotFound:
			return 0, g.refused(said)
		case err != nil && said == nil:
			return 0, err
		}
	}
	return 0, fault.New(fault.Upstream, "git_auth_failed", "the GitHub App %d is not installed for %s at %s", g.app.GetAppId(), clip(owner, 60), g.base.Host).
		WithFix("install the App for this owner, or name the installation")
}

func (g *github) token(ctx context.Context, installation int64) (*workerv1.GitAppTokenAnswer, error) {
	var out struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	// No more than is needed to read.
	ask := map[string]any{"permissions": map[string]string{"contents": "read"}}
	err := g.call(ctx, http.MethodPost, fmt.Sprintf("app/installations/%d/access_tokens", installation), ask, &out)
	var said *errAPI
	switch {
	case errors.As(err, &said):
		return nil, g.refused(said)
	case err != nil:
		return nil, err
	case out.Token == "" || strings.ContainsFunc(out.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return nil, fault.New(fault.Upstream, "github_app_failed", "%s gave out no token for the GitHub App", g.base.Host)
	}
	// GitHub's are good for an hour; one that says more is asked for again then.
	if most := time.Now().Add(time.Hour); out.ExpiresAt.IsZero() || out.ExpiresAt.After(most) {
		out.ExpiresAt = most
	}
	return &workerv1.GitAppTokenAnswer{Token: out.Token, ExpiresUnix: out.ExpiresAt.Unix()}, nil
}

func (g *github) refused(e *errAPI) error {
	if e.status >= 500 || e.status == http.StatusTooManyRequests {
		return fault.Wrap(e, fault.Upstream, "git_unavailable", "GitHub's API at %s answered %d", g.base.Host, e.status)
	}
	return fault.New(fault.Upstream, "git_auth_failed", "%s refused the GitHub App %d (%d): %s", g.base.Host, g.app.GetAppId(), e.status, clip(e.message, 100)).
		WithFix("check the App's id, its private key, and that it may read contents")
}
