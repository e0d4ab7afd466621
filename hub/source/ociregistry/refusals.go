package ociregistry

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/hawser-dev/hawser/hub/source/web"
	"github.com/hawser-dev/hawser/shared/fault"
)

// explain puts an error of the registry into words; others pass. It is nil for
// nil.
func (r *Repository) explain(err error) error {
	if err == nil {
		return nil
	}
	var (
		known    *fault.Error
		answered *errcode.ErrorResponse
		syntax   *json.SyntaxError
		wrong    *json.UnmarshalTypeError
	)
	has, registry := !r.o.Credential.IsZero(), r.repo.Reference.Host()
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &answered):
		host := registry
		if answered.URL != nil {
			host = answered.URL.Host
		}
		return web.Refused(r.name, host, answered.StatusCode, has, r.o.Credential.Username, false)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return web.Refused(r.name, registry, http.StatusUnauthorized, false, "", false)
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData),
		errors.Is(err, content.ErrInvalidDescriptorSize), strings.Contains(err.Error(), "mismatch"):
		return r.mismatch(err)
	case errors.As(err, &syntax), errors.As(err, &wrong), strings.Contains(err.Error(), "invalid response"),
		strings.Contains(err.Error(), "invalid next link"), strings.Contains(err.Error(), "bearer realm"):
		return fault.Wrap(err, fault.Upstream, "registry_invalid", "%s answers with something that is not an OCI registry; the last good state stays", r.name).
			WithFix("check that the URL is the one that helm pull or oras pull takes")
	}
	return err
}

// statusOf is the status of the answer that err is about, or 0.
func statusOf(err error) int {
	var answered *errcode.ErrorResponse
	if errors.As(err, &answered) {
		return answered.StatusCode
	}
	return 0
}

// sameSite refuses requests that would carry the credential, or a token for it,
// to a host that is not the registry's or of its site. Such are the token
// servers of a registry, and wherever they and the registry redirect to.
type sameSite struct {
	next     http.RoundTripper
	name     string
	registry string // host or host:port
	plain    bool
	pass     bool
}

func (s *sameSite) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") != "" || req.Body != nil && req.Body != http.NoBody {
		if err := s.check(req.URL); err != nil {
			if req.Body != nil {
				_ = req.Body.Close() // was not sent
			}
			return nil, err
		}
	}
	return s.next.RoundTrip(req)
}

func (s *sameSite) check(u *url.URL) error {
	scheme := "https"
	if s.plain {
		scheme = "http"
	}
	home := &url.URL{Scheme: scheme, Host: s.registry}
	switch {
	case web.SameOrigin(u, home):
		return nil
	case u.Scheme == "https" && (s.pass || site(u.Hostname()) != "" && site(u.Hostname()) == site(home.Hostname())):
		return nil
	}
	return fault.New(fault.Upstream, "repository_auth_failed", "%s has its tokens at %s, which is another site; the credential was not sent there", s.name, web.Printable(u.Host)).
		WithFix("set passCredentials on the repository if that host may have the credential")
}

// site is the domain that somebody registered, "" for what is in none.
func site(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(strings.TrimSuffix(host, ".")))
	if err != nil {
		return ""
	}
	return domain
}
