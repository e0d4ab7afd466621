package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	advertiseSuffix = "/info/refs"
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
	if u.Scheme == "http" && secret(o.Remote) && !o.GetAllowHttpCredentials() {
		return nil, errInsecure()
	}
	base, err := url.Parse(strings.TrimRight(u.String(), "/"))
	if err != nil {
		return nil, err
	}
	t, err := transport(o.Remote, base)
	if err != nil {
		return nil, err
	}
	return &httpRemote{
		repo: u, opts: o, base: base, auth: true,
		client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

func errInsecure() error {
	return fault.New(fault.Invalid, "repo_insecure", "credentials over plain http are refused; use https or ssh")
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
	if h.auth {
		authorize(req, h.opts.Remote)
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
	if !hostAllowed(next.Hostname(), h.opts.GetAllowedHosts()) {
		return errHostNotAllowed(next.Hostname(), h.opts.GetAllowedHosts())
	}
	path, ok := strings.CutSuffix(next.Path, advertiseSuffix)
	if !ok {
		return fault.New(fault.Upstream, "git_not_git", "%s redirects to another page, as a login does; it is not a Git repository, or needs a credential", h.repo)
	}
	h.auth = h.auth && sameServer(next, where)
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
		if h.opts.GetUsername() == "" && !secret(h.opts.Remote) {
			return fault.New(fault.Upstream, "git_auth_failed", "%s asks for a credential (%d) and none is registered for it", h.repo, code).
				WithFix("hawser repo add %s --username … --password-stdin", h.repo)
		}
		return fault.New(fault.Upstream, "git_auth_failed", "the Git server %s refused the credential %q (%d). Check that it has not expired and may read this repository", h.base.Host, credentialName(h.opts.Remote), code).
			WithFix("register another one: hawser repo add %s --username … --password-stdin", h.repo)
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
