package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	advertiseSuffix = "/info/refs"
	maxRedirects    = 5
	// stallLimit is how long a server may send nothing in the middle of an
	// answer.
	stallLimit = 30 * time.Second
)

type httpRemote struct {
	repo   URL
	opts   connectOptions
	client *http.Client
	base   *url.URL // changes with redirects
	auth   bool     // credentials belong to base
	bodies []io.Closer
}

func newHTTPRemote(u URL, o connectOptions) (remote, error) {
	if u.Scheme == "http" && o.password != "" && !o.allowHTTPCredentials {
		return nil, fault.New(fault.Invalid, "repo_insecure", "credentials over plain http are refused; use https or ssh")
	}
	transport, err := httpTransport(o)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(strings.TrimRight(u.String(), "/"))
	if err != nil {
		return nil, err
	}
	return &httpRemote{
		repo: u, opts: o, base: base, auth: true,
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// transports keeps connections between jobs of one worker process. They are
// apart for each set of trusted certificates.
var transports = struct {
	sync.Mutex
	m map[[32]byte]*http.Transport
}{m: map[[32]byte]*http.Transport{}}

func httpTransport(o connectOptions) (*http.Transport, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%q %v", o.caBundle, o.blocked))
	transports.Lock()
	defer transports.Unlock()
	if t, ok := transports.m[key]; ok {
		return t, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.caBundle != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(o.caBundle)) {
			return nil, fault.New(fault.Invalid, "ca_bundle_invalid", "the CA bundle of this repository has no certificate in PEM format")
		}
		conf.RootCAs = pool
	}
	if len(transports.m) >= 64 {
		for k, t := range transports.m {
			t.CloseIdleConnections()
			delete(transports.m, k)
		}
	}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer(o.blocked),
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  stallLimit,
		IdleConnTimeout:        4 * time.Minute,
		MaxIdleConnsPerHost:    2,
		MaxIdleConns:           32,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	transports.m[key] = t
	return t, nil
}

func (h *httpRemote) close() {
	for _, b := range h.bodies {
		_ = b.Close() // read as far as anybody wanted
	}
}

func (h *httpRemote) advertise(ctx context.Context) (*advertised, error) {
	where := *h.base
	where.Path += advertiseSuffix
	where.RawQuery = "service=git-upload-pack"
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
		if err != nil {
			return nil, err
		}
		resp, err := h.do(req)
		if err != nil {
			return nil, err
		}
		if next := redirection(resp); next != nil {
			if err := h.follow(&where, next); err != nil {
				return nil, err
			}
			continue
		}
		if err := h.check(resp, "application/x-git-upload-pack-advertisement"); err != nil {
			return nil, err
		}
		return readAdvertised(bufio.NewReaderSize(h.body(resp), 64<<10), true)
	}
	return nil, fault.New(fault.Upstream, "git_unavailable", "%s redirects more than %d times", h.repo, maxRedirects)
}

func (h *httpRemote) request(ctx context.Context, body []byte) (io.Reader, error) {
	where := *h.base
	where.Path += "/git-upload-pack"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 1<<10 {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(body); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		if req, err = http.NewRequestWithContext(ctx, http.MethodPost, where.String(), &packed); err != nil {
			return nil, err
		}
		req.Header.Set("Content-Encoding", "gzip")
	}
	req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	req.Header.Set("Accept", "application/x-git-upload-pack-result")
	resp, err := h.do(req)
	if err != nil {
		return nil, err
	}
	if err := h.check(resp, "application/x-git-upload-pack-result"); err != nil {
		return nil, err
	}
	return h.body(resp), nil
}

func (h *httpRemote) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", "git/hawser")
	if h.auth && (h.opts.username != "" || h.opts.password != "") {
		req.SetBasicAuth(h.opts.username, h.opts.password)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	h.bodies = append(h.bodies, resp.Body)
	return resp, nil
}

func redirection(resp *http.Response) *url.URL {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if u, err := resp.Location(); err == nil {
			return u
		}
	}
	return nil
}

// follow moves to where a server redirects to. Credentials stay with the host
// that they were given for.
func (h *httpRemote) follow(where, next *url.URL) error {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.Upstream, "git_redirect_refused", "%s redirects to %s", h.repo, fmt.Sprintf(format, args...))
	}
	if next.Scheme != "https" && next.Scheme != "http" {
		return refuse("scheme %q, which is not followed", printable(next.Scheme))
	}
	if where.Scheme == "https" && next.Scheme == "http" {
		return refuse("plain http, which is not followed")
	}
	if !hostAllowed(next.Hostname(), h.opts.allowedHosts) {
		return errHostNotAllowed(next.Hostname(), h.opts.allowedHosts)
	}
	path, ok := strings.CutSuffix(next.Path, advertiseSuffix)
	if !ok {
		return fault.New(fault.Upstream, "git_not_git", "%s redirects to another page, as a login does; it is not a Git repository, or needs a credential", h.repo)
	}
	if !strings.EqualFold(next.Host, where.Host) || next.Scheme != where.Scheme {
		h.auth = false
	}
	h.base = &url.URL{Scheme: next.Scheme, Host: next.Host, Path: path}
	*where = *h.base
	where.Path += advertiseSuffix
	where.RawQuery = "service=git-upload-pack"
	return nil
}

// check turns an answer that is not what was asked for into an error.
func (h *httpRemote) check(resp *http.Response, contentType string) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err == nil && got == contentType {
			return nil
		}
		what := "something that is not Git"
		switch {
		case got == "text/html":
			what = "a web page (text/html) instead of Git"
		case got != "":
			what = fmt.Sprintf("%q instead of Git", printable(got))
		}
		return fault.New(fault.Upstream, "git_not_git", "%s answers with %s; the last good state stays", h.repo, what).
			WithFix("check that the URL is the one that git clone takes")
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		if !h.auth {
			return fault.New(fault.Upstream, "git_auth_failed", "%s redirects to %s, which asks for a credential (%d); credentials are not sent to another host", h.repo, h.base.Host, code).
				WithFix("register the repository under its new URL")
		}
		if h.opts.username == "" && h.opts.password == "" {
			return fault.New(fault.Upstream, "git_auth_failed", "%s asks for a credential (%d) and none is registered for it", h.repo, code).
				WithFix("hawser repo add %s --username … --password-stdin", h.repo)
		}
		return fault.New(fault.Upstream, "git_auth_failed", "the Git server %s refused the credential %q (%d). Check that it has not expired and may read this repository", h.base.Host, clip(h.opts.username, 60), code)
	case code == http.StatusNotFound || code == http.StatusGone:
		return fault.New(fault.Upstream, "repository_not_found", "%s does not exist, or the credential may not see it (%d)", h.repo, code).
			WithFix("check the URL, and add a credential with hawser repo add when the repository is private")
	case code == http.StatusTooManyRequests:
		return fault.New(fault.Upstream, "git_unavailable", "the Git server %s limits the rate of requests (429); it is asked again later", h.base.Host)
	default:
		return fault.New(fault.Upstream, "git_unavailable", "the Git server %s answered %d %s", h.base.Host, code, http.StatusText(code))
	}
}

// body is the body of an answer, which may not stall.
func (h *httpRemote) body(resp *http.Response) io.Reader {
	return &stallReader{r: resp.Body, close: resp.Body.Close, limit: stallLimit}
}

// stallReader ends a transfer that stands still.
type stallReader struct {
	r     io.Reader
	close func() error
	limit time.Duration
}

var errStalled = errors.New("nothing came for too long")

func (s *stallReader) Read(b []byte) (int, error) {
	stalled := make(chan struct{})
	timer := time.AfterFunc(s.limit, func() {
		close(stalled)
		_ = s.close() // makes the read return
	})
	n, err := s.r.Read(b)
	if !timer.Stop() {
		<-stalled
		return n, fault.Wrap(errStalled, fault.Upstream, "git_unavailable", "the Git server sent nothing for %s in the middle of an answer", s.limit)
	}
	return n, err
}
