package fleet

import (
	"net/url"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// RepositoryIdentity is equal for two spellings of one repository: the case of
// scheme and host, the default port, percent signs that need not be, a slash or
// ".git" at the end do not matter; the short SSH form (git@host:path) is
// ssh://git@host/path, and HOST/PATH without a scheme is a registry (oci://).
// What is no URL is its own identity.
func RepositoryIdentity(raw string) string {
	a, ok := parseAddress(raw)
	if !ok {
		return strings.TrimSpace(raw)
	}
	return a.String()
}

// RepositoryPrefixes lists the identities that a credential template for the
// repository may have: the repository's own, then everything above it by whole
// path segments, the longest first, down to scheme and host. For an SSH URL with
// a user the same without it follows. Nothing is above a URL with a user that is
// not SSH, with "." or ".." as a segment, or of a file.
func RepositoryPrefixes(raw string) []string {
	a, ok := parseAddress(raw)
	if !ok {
		return []string{strings.TrimSpace(raw)}
	}
	out := []string{a.String()}
	if a.scheme == "file" || a.user != "" && a.scheme != "ssh" || a.climbs() {
		return out
	}
	out = append(out, a.above()...)
	if a.user != "" {
		a.user = ""
		out = append(append(out, a.String()), a.above()...)
	}
	return out
}

// RepositoryUnder reports whether a template for prefix may open the repository.
func RepositoryUnder(repoURL, prefix string) bool {
	want := RepositoryIdentity(prefix)
	for _, p := range RepositoryPrefixes(repoURL) {
		if p == want {
			return true
		}
	}
	return false
}

// ReservedRepository is the refusal of a repository that is registered for
// another project alone. It does not say which.
func ReservedRepository(repoURL, project string) *fault.Error {
	return fault.New(fault.Denied, "repo_not_permitted", "the repository %s is registered for another project than %q", MaskURLs(repoURL), project).
		WithFound(MaskURLs(repoURL), "a repository of project "+project+", or of no project").
		WithFix("register it without --project, or use another repository")
}

// address is a repository URL taken apart and normalised.
type address struct {
	scheme, user, host string // host with a port that is not the default
	path               string // decoded, with a leading slash unless empty
}

var defaultPorts = map[string]string{"https": ":443", "http": ":80", "ssh": ":22", "oci": ":443"}

// parseAddress reads all forms of a repository URL; false for what is none.
func parseAddress(raw string) (address, bool) {
	s := strings.TrimSpace(raw)
	if strings.ContainsAny(s, "\\\x00\n\r\t ") || s == "" {
		return address{}, false
	}
	if !strings.Contains(s, "://") {
		if user, rest, ok := strings.Cut(s, "@"); ok && user != "" && !strings.ContainsAny(user, "/:") {
			host, path, ok := strings.Cut(rest, ":")
			if !ok || host == "" || strings.Contains(host, "/") || path == "" {
				return address{}, false
			}
			return newAddress("ssh", user, host, path), true
		}
		host, _, _ := strings.Cut(s, "/")
		if host == "" || strings.HasPrefix(s, ".") || !strings.ContainsAny(host, ".:") && host != "localhost" {
			return address{}, false
		}
		s = "oci://" + s
	}
	if scheme, rest, _ := strings.Cut(s, "://"); strings.EqualFold(scheme, "ssh") {
		// ssh://git@host:org/repo is no URL, and yet people write it.
		authority, path, _ := strings.Cut(rest, "/")
		user, hostPort, ok := strings.Cut(authority, "@")
		host, first, colon := strings.Cut(hostPort, ":")
		if ok && colon && strings.Trim(first, "0123456789") != "" && !strings.ContainsAny(host, "[]") && !strings.Contains(user, ":") {
			return newAddress("ssh", user, host, strings.TrimSuffix(first+"/"+path, "/")), true
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return address{}, false
	}
	return newAddress(u.Scheme, u.User.Username(), u.Host, u.Path), true
}

func newAddress(scheme, user, host, path string) address {
	a := address{scheme: strings.ToLower(scheme), user: user, host: strings.ToLower(host)}
	if port, ok := defaultPorts[a.scheme]; ok {
		a.host = strings.TrimSuffix(a.host, port)
	}
	if path = trimEnd(path); path != "" {
		a.path = "/" + strings.TrimPrefix(path, "/")
	}
	return a
}

func trimEnd(path string) string {
	path = strings.TrimRight(path, "/")
	return strings.TrimRight(strings.TrimSuffix(path, ".git"), "/")
}

func (a address) String() string {
	u := url.URL{Scheme: a.scheme, Host: a.host, Path: a.path}
	if a.user != "" {
		u.User = url.User(a.user)
	}
	if a.scheme == "file" {
		return "file://" + (&url.URL{Path: a.path}).EscapedPath()
	}
	return u.String()
}

// climbs reports whether a server might read the path as another one.
func (a address) climbs() bool {
	for segment := range strings.SplitSeq(a.path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// above lists what is above the address, the nearest first.
func (a address) above() []string {
	var out []string
	for a.path != "" {
		// A template was stored without ".git" at its end too.
		a.path = trimEnd(a.path[:strings.LastIndexByte(a.path, '/')])
		out = append(out, a.String())
	}
	return out
}
