package source

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// answering notes requests and answers the first with what it has, and each later
// one with the content of a file.
type answering struct {
	status        int
	body, content []byte
	asked         []*http.Request
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.asked = append(a.asked, r)
	if len(a.asked) > 1 {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a.content))), Request: r}, nil
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {lfsType}}, Body: io.NopCloser(strings.NewReader(string(a.body))), Request: r}, nil
}

// isBounded fails on a text that is too long to show, or steers what shows it.
func isBounded(t *testing.T, err error) {
	t.Helper()
	if s := err.Error(); len(s) > 1500 || strings.ContainsFunc(s, unicode.IsControl) {
		t.Fatalf("the error is %q", s)
	}
}

// Whatever a server of large files answers: the credential goes to that server only,
// files come by https, headers that steer the connection are not taken over, and what
// is kept is the file that was asked for.
func FuzzBatchAnswer(f *testing.F) {
	const content = "a large file"
	sum := sha256.Sum256([]byte(content))
	id := hex.EncodeToString(sum[:])
	object := func(action string) string { return `{"objects":[{"oid":"` + id + `","size":12,` + action + `}]}` }
	for _, s := range []string{
		object(`"actions":{"download":{"href":"https://store.example.org/a","header":{"X-Key":"k","Host":"evil","transfer-encoding":"chunked"}}}`),
		object(`"actions":{"download":{"href":"https://git.example.org/a"}}`), object(`"actions":{"download":{"href":"/a"}}`), object(`"actions":{"download":{"href":"//u:p@x/a"}}`),
		object(`"actions":{"download":{"href":"https://git.example.org:8443/a"}}`), object(`"actions":{"download":{"href":"http://git.example.org/a"}}`),
		object(`"actions":{"download":{"href":"file:///etc/passwd"}}`), object(`"error":{"code":404,"message":"\u001b[2Jgone"}`), object(`"actions":{"download":{"href":"?x","header":{"A\r\nB":"c"}}}`),
		`{"transfer":"\u202emulti","objects":[]}`, `{"objects":[{"oid":null}]}`, `[]`, ``,
	} {
		f.Add([]byte(s), true)
	}
	f.Add([]byte(object(`"actions":{"download":{"href":"/a"}}`)), false)
	f.Fuzz(func(t *testing.T, body []byte, right bool) {
		a := &answering{status: 200, body: body, content: []byte(content)}
		if !right {
			a.content = []byte("another file")
		}
		server := &url.URL{Scheme: "https", Host: "git.example.org", Path: "/app.git/info/lfs"}
		l := &largeFetch{
			dir: filepath.Join(t.TempDir(), "lfs"), repo: URL{Scheme: "https", Host: "git.example.org", Path: "/app.git"}, remote: &workerv1.Remote{Username: "u", Password: "canary"},
			left: 1 << 20, server: server, client: &http.Client{Transport: a, CheckRedirect: checkRedirect},
		}
		if err := os.Mkdir(l.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		err := l.batch(t.Context(), []*workerv1.GitLargeFile{{Id: id, Size: int64(len(content))}})
		if err != nil {
			isBounded(t, err)
		}
		if len(a.asked) > 2 {
			t.Fatalf("%q has %d requests made", body, len(a.asked))
		}
		for _, r := range a.asked {
			if r.URL.Scheme != "https" || r.URL.User != nil || r.Host != "" && r.Host != r.URL.Host {
				t.Fatalf("%q leads to %s as %q", body, r.URL, r.Host)
			}
			if user, password, ok := r.BasicAuth(); ok && user == "u" && password == "canary" && !sameServer(r.URL, server) {
				t.Fatalf("%q has the credential sent to %s", body, r.URL)
			}
			for name := range r.Header {
				if slices.Contains([]string{"host", "connection", "transfer-encoding", "content-length", "upgrade", "proxy-authorization"}, strings.ToLower(name)) {
					t.Fatalf("%q sets %s", body, name)
				}
			}
		}
		kept, readErr := os.ReadFile(largePath(filepath.Dir(l.dir), id))
		if (err == nil) != (readErr == nil) || readErr == nil && (!right || string(kept) != content) {
			t.Fatalf("%q: %v, and %q is kept, %v", body, err, kept, readErr)
		}
		if left, err := filepath.Glob(filepath.Join(l.dir, "tmp-*")); err != nil || len(left) > 0 {
			t.Fatalf("%q leaves %q, %v", body, left, err)
		}
	})
}

// Where a server says over SSH that its large files are is a place that files may be
// fetched from.
func FuzzLargePlace(f *testing.F) {
	for _, s := range []string{
		`{"href":"https://git.example.org/app.git/info/lfs","header":{"Authorization":"RemoteAuth x"},"expires_in":600}`, `{"href":"http://git.example.org/"}`, `{"href":"https:///x"}`,
		`{"href":"https://u:canary@git.example.org/"}`, `{"href":"https:x"}`, `{"href":"HTTPS://git.example.org","header":null}`, `{"href":7}`, `{}`, ``,
	} {
		f.Add([]byte(s), false)
	}
	f.Add([]byte(`{"href":"http://git.example.org/"}`), true)
	f.Fuzz(func(t *testing.T, text []byte, plain bool) {
		u, header, err := largePlace("ssh://git.example.org/app.git", text, plain)
		if err != nil {
			isBounded(t, err)
			return
		}
		if u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !plain) || header == nil {
			t.Fatalf("%q leads to %+v with %q", text, u, header)
		}
	})
}

// Whatever GitHub's API answers, a token comes out of it or an error that can be
// shown; neither has the statement in it that the App signed.
func FuzzAppToken(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		`{"token":"ghs_x","expires_at":"2026-01-31T12:00:00Z"}`, `{"token":""}`, `{"token":"x","expires_at":"9999-12-31T23:59:59Z"}`, `{"token":"x","expires_at":"0001-01-01T00:00:00Z"}`,
		`{"token":"x\u000d\u000ay"}`, `{"message":"\u001b[2JBad credentials https://u:p@x/"}`, `{"id":-1}`, `null`, `[]`, ``,
	} {
		f.Add(uint16(201), []byte(s))
		f.Add(uint16(401), []byte(s))
	}
	f.Add(uint16(503), []byte("<html>"))
	f.Fuzz(func(t *testing.T, status uint16, body []byte) {
		if status < 200 || status >= 300 && status < 400 || status > 599 {
			return
		}
		a := &answering{status: int(status), body: body}
		g := &github{app: &workerv1.GitHubApp{AppId: 7}, base: &url.URL{Scheme: "https", Host: "api.github.com"}, key: key, client: &http.Client{Transport: a, CheckRedirect: checkRedirect}}
		got, err := g.token(t.Context(), 1)
		statement := strings.TrimPrefix(a.asked[0].Header.Get("Authorization"), "Bearer ")
		if (err == nil) != (got != nil) || err == nil && status/100 != 2 {
			t.Fatalf("%d %q: %v, %v", status, body, got, err)
		}
		if err != nil {
			isBounded(t, err)
			if fault.As(err).Code == "" || strings.Contains(err.Error(), statement) {
				t.Fatalf("%d %q: %v", status, body, err)
			}
			return
		}
		if got.Token == "" || strings.ContainsFunc(got.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || got.ExpiresUnix > time.Now().Add(time.Hour).Unix() {
			t.Fatalf("%q is taken for %q until %d", body, got.Token, got.ExpiresUnix)
		}
	})
}
