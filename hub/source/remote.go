package source

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// remote is one conversation with a repository, in the child process.
type remote interface {
	// advertise asks what there is. It comes first, and again after each
	// request where the transport ends a conversation with the pack.
	advertise(ctx context.Context) (*advertised, error)
	// request sends a request for objects; the reader is valid until close.
	request(ctx context.Context, body []byte) (io.Reader, error)
	close()
}

// connectOptions are what a transport needs besides the URL.
type connectOptions struct {
	*workerv1.Remote
	blocked   []netip.Prefix
	temporary string // directory for short-lived files
}

func optionsOf(r *workerv1.Remote, temporary string) (connectOptions, error) {
	blocked, err := blockedNetworks(r)
	return connectOptions{Remote: r, blocked: blocked, temporary: temporary}, err
}

// secret reports whether something would be sent that others must not see.
func secret(r *workerv1.Remote) bool {
	return r.GetPassword() != "" || r.GetBearerToken() != "" || r.GetGithubApp() != nil
}

func connect(u URL, o connectOptions) (remote, error) {
	if u.Scheme != "file" && !hostAllowed(u.Host, o.GetAllowedHosts()) {
		return nil, errHostNotAllowed(u.Host, o.GetAllowedHosts())
	}
	switch u.Scheme {
	case "https", "http":
		return newHTTPRemote(u, o)
	case "ssh":
		return newSSHRemote(u, o)
	}
	return newFileRemote(u), nil
}

// upstream says in a user's words why a repository did not answer. repo is the
// URL as it may be shown.
func upstream(repo, host string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	var (
		said       *errRemote
		tooMuch    *errTooMuch
		authority  x509.UnknownAuthorityError
		hostname   x509.HostnameError
		invalid    x509.CertificateInvalidError
		dns        *net.DNSError
		notHeader  = strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") || strings.Contains(err.Error(), "first record does not look like a TLS handshake")
		timeoutErr net.Error
	)
	wrap := func(code, format string, args ...any) *fault.Error {
		return fault.Wrap(err, fault.Upstream, code, "%s", clip(fmt.Sprintf(format, args...), 300))
	}
	switch {
	case errors.As(err, &said):
		text := strings.ToLower(said.text)
		if strings.Contains(text, "not found") || strings.Contains(text, "does not exist") || strings.Contains(text, "not appear to be a git repository") {
			return wrap("repository_not_found", "%s does not exist, or the credential may not see it; the server says: %s", repo, printable(said.text)).
				WithFix("check the URL, and add a credential with hawser repo add when the repository is private")
		}
		if strings.Contains(text, "denied") || strings.Contains(text, "permission") || strings.Contains(text, "unauthorized") {
			return wrap("git_auth_failed", "%s refused access; the server says: %s", repo, printable(said.text)).
				WithFix("check that the registered credential may read this repository: hawser repo test %s", repo)
		}
		return wrap("git_unavailable", "%s refused the request; the server says: %s", repo, printable(said.text))
	case errors.As(err, &tooMuch):
		return wrap("repository_too_large", "%s sends more than %d MiB, the limit of this hub", repo, tooMuch.limit>>20)
	case errors.Is(err, errManyRefs):
		return wrap("repository_too_large", "%s lists more than %d references, or %d MiB of them; the limit of this hub", repo, maxRefs, maxRefBytes>>20)
	case errors.Is(err, errManyObjects):
		return wrap("repository_too_large", "%s sends more than %d objects at once, the limit of this hub", repo, maxObjects)
	case errors.Is(err, errLargeObject):
		return wrap("repository_too_large", "%s has a file of more than %d MiB, or needs more memory than that to be read", repo, maxObject>>20)
	case errors.Is(err, errNoBase):
		return wrap("git_not_git", "%s sends objects that build on others which it does not send", repo)
	case errors.As(err, &authority):
		issuer := "an unknown authority"
		if authority.Cert != nil {
			issuer = fmt.Sprintf("unknown %q", printable(authority.Cert.Issuer.CommonName))
		}
		return wrap("git_tls_untrusted", "the certificate of %s is signed by %s", host, issuer).
			WithFix("add the authority's certificate to the repository's credential")
	case errors.As(err, &hostname):
		return wrap("git_tls_untrusted", "the certificate of %s is for another host", host)
	case errors.As(err, &invalid):
		return wrap("git_tls_untrusted", "the certificate of %s is not valid: %s", host, printable(invalid.Error()))
	case notHeader:
		return wrap("git_tls_untrusted", "%s does not speak TLS on this port; perhaps its URL begins with http", host)
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return wrap("git_unavailable", "host %q does not exist", host)
		}
		return wrap("git_unavailable", "the hub's resolver does not know host %q: %s", host, printable(dns.Err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return wrap("git_unavailable", "%s refuses connections", withPort(host, err))
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return wrap("git_unavailable", "%s ended the connection in the middle of an answer", host)
	case errors.Is(err, errProtocol):
		return wrap("git_not_git", "%s answers with something that is not Git", repo)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeoutErr) && timeoutErr.Timeout():
		return wrap("git_unavailable", "%s did not answer in time", host)
	}
	return wrap("git_unavailable", "%s cannot be reached", host)
}

// withPort is a host with the port that a connection was tried to, where the
// error knows it.
func withPort(host string, err error) string {
	var op *net.OpError
	if _, _, split := net.SplitHostPort(host); split == nil || !errors.As(err, &op) {
		return host
	}
	if tcp, ok := op.Addr.(*net.TCPAddr); ok {
		return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
	}
	return host
}

// printable bounds and cleans text that a server sent.
func printable(s string) string {
	return clip(strings.TrimSpace(userinfo.ReplaceAllString(printableLine(s), "//***@")), 120)
}

// printableLine replaces what moves a cursor or turns the direction of text.
func printableLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x2028 && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return ' '
		}
		return r
	}, s)
}
