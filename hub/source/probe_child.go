package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// prober makes the steps of reaching a server, in the child process, and tells
// each when it is done. After a step that failed there are no others.
type prober struct {
	repo string // for messages
	tell func(*workerv1.ProbeStep)
}

// step makes one and reports whether it went well.
func (p *prober) step(name, host string, try func() (detail string, err error)) bool {
	start := time.Now()
	detail, err := try()
	return p.add(name, detail, time.Since(start), host, err)
}

func (p *prober) add(name, detail string, took time.Duration, host string, err error) bool {
	s := &workerv1.ProbeStep{Name: name, Detail: clip(printableLine(detail), 500), TookNanos: int64(took)}
	if err != nil {
		s.Problem = worker.Problem(upstream(p.repo, host, err))
	}
	p.tell(s)
	return err == nil
}

// probeTime bounds one step.
const probeTime = 20 * time.Second

// probe tries to reach a Git repository.
func (c *child) probe(ctx context.Context, req *workerv1.GitProbe, tell func(*workerv1.ProbeStep)) {
	r := req.GetRemote()
	p := &prober{repo: Mask(r.GetUrl()), tell: tell}
	if err := p.git(ctx, r, req.GetDirectory()); err != nil {
		p.add("url", "", 0, p.repo, err)
	}
}

// git makes the steps; its error is about what comes before them.
func (p *prober) git(ctx context.Context, r *workerv1.Remote, temporary string) error {
	u, err := ParseURL(r.GetUrl(), r.GetAllowFile())
	if err != nil {
		return err
	}
	p.repo = u.String()
	o, err := optionsOf(r, temporary)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "file":
		p.listing(ctx, newFileRemote(u), u.Host, false)
		return nil
	case "ssh":
		p.ssh(ctx, u, o)
		return nil
	}
	if u.Scheme == "http" && secret(r) && !r.GetAllowHttpCredentials() {
		return errInsecure()
	}
	at, err := url.Parse(u.String())
	if err != nil {
		return err
	}
	if !p.reach(ctx, r, at) {
		return nil
	}
	if r.GetGithubApp() != nil {
		good := p.step("auth", u.Host, func() (string, error) {
			token, err := appTokenFor(ctx, r)
			if err != nil {
				return "", err
			}
			r.GithubApp, r.Username, r.Password = nil, "x-access-token", token.GetToken()
			return "a token of the GitHub App until " + time.Unix(token.GetExpiresUnix(), 0).UTC().Format(time.RFC3339), nil
		})
		if !good {
			return nil
		}
	}
	h, err := newHTTPRemote(u, o)
	if err != nil {
		return err
	}
	p.listing(ctx, h, u.Host, true)
	return nil
}

// reach makes the steps dns, tcp and, for https, tls to a server of HTTP; through
// the remote's proxy where there is one. It is for every kind of source.
func (p *prober) reach(ctx context.Context, r *workerv1.Remote, u *url.URL) bool {
	o, err := optionsOf(r, "")
	if err != nil {
		return p.add("dns", "", 0, u.Host, err)
	}
	if err := (&guard{remote: r, blocked: o.blocked}).check(u); err != nil {
		return p.add("dns", "", 0, u.Host, err)
	}
	find, err := proxyOf(r)
	if err != nil {
		return p.add("dns", "", 0, u.Host, err)
	}
	via, err := find(u)
	if err != nil {
		return p.add("dns", "", 0, u.Host, errProxy("the proxy is no URL"))
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	target := net.JoinHostPort(u.Hostname(), port)
	var conn net.Conn
	if !p.dial(ctx, o, via, target, &conn) {
		return false
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	if u.Scheme != "https" {
		return true
	}
	return p.step("tls", u.Host, func() (string, error) {
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		if via != nil {
			if conn, err = through(ctx, o, conn, via, target); err != nil {
				return "", err
			}
		}
		conf, err := tlsConfig(r.GetCaBundle(), r.GetClientCert(), r.GetClientKey(), r.GetInsecureSkipVerify())
		if err != nil {
			return "", err
		}
		c := tlsClient(conn, conf, u.Hostname())
		err = c.HandshakeContext(ctx)
		state := c.ConnectionState()
		certs := state.PeerCertificates
		var refused *tls.CertificateVerificationError
		if errors.As(err, &refused) {
			certs = refused.UnverifiedCertificates
		}
		detail := describe(certs)
		if err == nil {
			detail = tls.VersionName(state.Version) + ", " + detail
			if r.GetInsecureSkipVerify() {
				detail += ", not verified"
			}
		}
		return detail, err
	})
}

// dial makes the steps dns and tcp to a target, or to the proxy for it.
func (p *prober) dial(ctx context.Context, o connectOptions, via *url.URL, target string, conn *net.Conn) bool {
	address, suffix := target, ""
	if via != nil {
		address, suffix = proxyAddress(via), " (proxy)"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return p.add("dns", "", 0, address, err)
	}
	good := p.step("dns", host, func() (string, error) {
		addresses, err := lookup(ctx, host, o.blocked)
		return strings.Join(addresses, ", ") + suffix, err
	})
	if !good {
		return false
	}
	return p.step("tcp", host, func() (string, error) {
		c, err := dialer(o.blocked)(ctx, "tcp", address)
		if err != nil {
			return "", err
		}
		*conn = c
		return c.RemoteAddr().String() + suffix, nil
	})
}

// lookup resolves a host. Addresses in blocked networks are an error when there
// are no others.
func lookup(ctx context.Context, host string, blocked []netip.Prefix) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var found []netip.Addr
	if literal, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{literal}
	} else if found, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	var out []string
	var refused error
	for _, a := range found {
		if err := checkAddress(host, a, blocked); err != nil {
			refused = err
			continue
		}
		if len(out) < 8 {
			out = append(out, a.Unmap().String())
		}
	}
	if len(out) == 0 {
		return nil, refused
	}
	return out, nil
}

// describe names a server's certificate.
func describe(certs []*x509.Certificate) string {
	if len(certs) == 0 {
		return ""
	}
	c := certs[0]
	subject := c.Subject.CommonName
	if subject == "" && len(c.DNSNames) > 0 {
		subject = c.DNSNames[0]
	}
	issuer := c.Issuer.CommonName
	if issuer == "" && len(c.Issuer.Organization) > 0 {
		issuer = c.Issuer.Organization[0]
	}
	return fmt.Sprintf("certificate %q by %q, expires %s", clip(subject, 100), clip(issuer, 100), c.NotAfter.UTC().Format(time.DateOnly))
}

// listing makes the last steps: the server takes the credential, and lists what
// it has.
func (p *prober) listing(ctx context.Context, r remote, host string, auth bool) {
	defer r.close()
	ctx, cancel := context.WithTimeout(ctx, 2*probeTime)
	defer cancel()
	start := time.Now()
	refs, err := r.advertise(ctx)
	took := time.Since(start)
	var known error
	if err != nil {
		known = upstream(p.repo, host, err)
	}
	if auth {
		detail := ""
		if h, ok := r.(*httpRemote); ok && known == nil {
			detail = h.accepted()
		}
		var refused error
		if fault.HasCode(known, "git_auth_failed") {
			refused = known
		}
		if !p.add("auth", detail, took, host, refused) {
			return
		}
	}
	if known != nil {
		p.add("ls-remote", "", took, host, known)
		return
	}
	p.add("ls-remote", refs.summary(), took, host, nil)
}

// accepted says how the server let the hub in.
func (h *httpRemote) accepted() string {
	switch {
	case !h.auth:
		return "no credential was sent to " + h.base.Host + ", where the server redirects to"
	case secret(h.opts.Remote) || h.opts.GetUsername() != "":
		return "accepted " + credentialName(h.opts.Remote)
	}
	return "no credential was needed"
}

// summary counts what there is.
func (a *advertised) summary() string {
	branches, tags := 0, 0
	for name := range a.refs {
		switch {
		case strings.HasPrefix(name, "refs/heads/"):
			branches++
		case strings.HasPrefix(name, "refs/tags/"):
			tags++
		}
	}
	out := numberOf(branches, "branch", "branches") + ", " + numberOf(tags, "tag", "tags")
	if head := strings.TrimPrefix(a.headRef, "refs/heads/"); head != "" {
		out += ", HEAD is " + clip(printable(head), 100)
	}
	return out
}

func numberOf(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// ssh makes the steps dns, tcp, ssh, auth and ls-remote.
func (p *prober) ssh(ctx context.Context, u URL, o connectOptions) {
	if !hostAllowed(u.Host, o.GetAllowedHosts()) {
		p.add("dns", "", 0, u.Host, errHostNotAllowed(u.Host, o.GetAllowedHosts()))
		return
	}
	s := &sshRemote{repo: u, opts: o}
	defer s.close()
	var via *url.URL
	if o.GetProxy() != "" {
		find, err := proxyOf(o.Remote)
		if err == nil {
			via, err = find(&url.URL{Scheme: "https", Host: s.address()})
		}
		if err != nil {
			p.add("dns", "", 0, u.Host, err)
			return
		}
	}
	var conn net.Conn
	if !p.dial(ctx, o, via, s.address(), &conn) {
		return
	}
	_ = conn.Close() // the next step makes its own
	start := time.Now()
	err := s.dial(ctx)
	if s.host == nil {
		if err == nil {
			err = errors.New("the server showed no host key")
		}
		p.add("ssh", "", time.Since(start), u.Host, err)
		return
	}
	detail := keyName(s.host) + " " + ssh.FingerprintSHA256(s.host)
	if o.GetInsecureIgnoreHostKey() {
		detail += ", not verified"
	}
	shaken := s.hostAt.Sub(start)
	if !p.add("ssh", detail, shaken, u.Host, nil) {
		return
	}
	if !p.add("auth", "user "+s.user(), time.Since(start)-shaken, u.Host, err) {
		return
	}
	p.step("ls-remote", u.Host, func() (string, error) {
		refs, err := s.list()
		if err != nil {
			return "", err
		}
		return refs.summary(), nil
	})
}
