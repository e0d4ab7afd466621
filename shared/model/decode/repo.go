package decode

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

var (
	scpForm  = regexp.MustCompile(`^([^@/:\s]+)@([^@/:\s]+):(.+)$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?(/|$)`)
	scheme   = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):(:|//)`)
)

const allowedSchemes = "https, ssh, oci, http (without credentials)"

// RepoURL checks the URL of a repository. chart says that it is a Helm source:
// those may name an OCI registry without a scheme. files permits file:// URLs,
// which only a hub that is configured so accepts.
func RepoURL(field, repo string, chart, files bool) *fault.Error {
	invalid := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "repo_url_invalid", format, args...).WithField(field).WithFound(quote(MaskURL(repo)), allowedSchemes)
	}
	if repo == "" {
		return invalid("repoURL is empty").WithFix("write the URL of the repository, such as https://github.com/org/repo")
	}
	if len(repo) > 2048 {
		return invalid("repoURL is %d characters; the limit is 2048", len(repo))
	}
	if r, pos := invisible(repo); pos > 0 {
		return invalid("repoURL contains the invisible character U+%04X at position %d", r, pos)
	}
	m := scheme.FindStringSubmatch(repo)
	// "ext::sh -c id" runs a command in Git; that is the news, not its space.
	if remoteHelper := m != nil && m[2] == ":"; !remoteHelper && strings.ContainsAny(repo, " \\") {
		return invalid("repoURL %s contains a space or a backslash", quote(MaskURL(repo)))
	}
	if m == nil {
		if s := scpForm.FindStringSubmatch(repo); s != nil {
			return scp(field, s[1], s[2], s[3])
		}
		if chart && hostForm.MatchString(repo) {
			return nil
		}
		e := invalid("repoURL %s has no scheme", quote(MaskURL(repo)))
		if hostForm.MatchString(repo) && strings.Contains(repo, ".") {
			e.Message += "; did you mean https://" + shorten80(repo) + " ?"
			e.Fix = "write https://" + shorten80(repo)
		}
		return e
	}
	name := strings.ToLower(m[1])
	switch {
	case m[2] == ":" || name != "https" && name != "http" && name != "ssh" && name != "oci" && name != "file":
		return fault.New(fault.Invalid, "repo_scheme_forbidden", "scheme %s is not allowed; allowed: %s", quote(m[1]), allowedSchemes).
			WithField(field).WithFound(name, allowedSchemes)
	case name == "file":
		if !files {
			return fault.New(fault.Invalid, "repo_scheme_forbidden", "scheme \"file\" is not allowed; allowed: %s", allowedSchemes).
				WithField(field).WithFound(name, allowedSchemes)
		}
		return nil
	}
	rest := repo[len(m[0]):]
	if name == "ssh" {
		// ssh://git@host:org/repo is no URL, and yet people write it.
		if s := scpForm.FindStringSubmatch(rest); s != nil && !regexp.MustCompile(`^[0-9]+(/|$)`).MatchString(s[3]) {
			return scp(field, s[1], s[2], s[3])
		}
	}
	u, err := url.Parse(repo)
	if err != nil || u.Host == "" {
		return invalid("repoURL %s is not a valid URL", quote(MaskURL(repo))).WithFix("write a URL such as https://github.com/org/repo")
	}
	if _, has := u.User.Password(); has || name != "ssh" && token.MatchString(u.User.Username()) {
		e := fault.New(fault.Invalid, "repo_url_has_credentials", "put credentials in a repository credential, not in the URL (%s)", MaskURL(repo)).
			WithField(field).WithFound(MaskURL(repo), "a URL without a password")
		return e.WithFix("%s; and leave them out of the URL here", AddCommand(u))
	}
	if strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-") {
		return invalid("host may not start with \"-\"")
	}
	if u.RawQuery != "" || u.ForceQuery {
		return invalid("repoURL %s has a query; write the URL without it", quote(MaskURL(repo)))
	}
	if u.Fragment != "" {
		return invalid("repoURL %s has a fragment; branches and paths have their own fields", quote(MaskURL(repo)))
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return invalid("repoURL %s has the segment %q in its path; write where it leads to", quote(MaskURL(repo)), segment)
		}
	}
	if r, pos := invisible(u.Path + u.Host); pos > 0 {
		return invalid("repoURL contains the invisible character U+%04X, written with percent signs", r)
	}
	return nil
}

// AddCommand is the command that registers a repository whose URL was written
// with a credential in it, without anything secret.
func AddCommand(u *url.URL) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.Scheme == "ssh" {
		clean.User = url.User("git")
		if name := u.User.Username(); name != "" && !token.MatchString(name) {
			clean.User = url.User(name)
		}
		return "hawser repo add " + shorten80(clean.String()) + " --ssh-key-file FILE --known-hosts-file FILE"
	}
	return "hawser repo add " + shorten80(clean.String()) + " --username USER --password-stdin"
}

func scp(field, user, host, p string) *fault.Error {
	if strings.HasPrefix(host, "-") || strings.HasPrefix(user, "-") || strings.HasPrefix(p, "-") {
		return fault.New(fault.Invalid, "repo_url_invalid", "host may not start with \"-\"").WithField(field)
	}
	return nil
}

// MaskURL hides user and password of a URL of any shape, and its query. The
// user of an SSH URL stays when there is no password.
func MaskURL(repo string) string {
	if i := strings.IndexByte(repo, '?'); i >= 0 {
		repo = repo[:i] + "?***"
	}
	i := strings.Index(repo, "://")
	start := i + 3
	if i < 0 {
		i, start = 0, len(repo)-len(strings.TrimLeft(repo, "/"))
	}
	authority, _, _ := strings.Cut(repo[start:], "/")
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		// A password with a slash in it: what seems to be a port is none.
		_, port, colon := strings.Cut(authority, ":")
		if at = strings.LastIndexByte(repo[start:], '@'); at < 0 || !colon || strings.Trim(port, "0123456789") == "" {
			return repo
		}
	}
	user := repo[start : start+at]
	if !strings.Contains(user, ":") && (start == 0 || strings.EqualFold(repo[:i], "ssh")) {
		return repo
	}
	return repo[:start] + "***" + repo[start+at:]
}

// token matches user names that are secrets themselves: what forges issue
// begins so, or is long.
var token = regexp.MustCompile(`^(gh[a-z]_|github_pat_|gl[a-z]+-|glpat|ATBB|ATCTT|x-token|hwt_)|^.{33,}$`)

func shorten80(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}

// Path checks that a path stays inside the repository. base is the directory
// that it is relative to.
func Path(field, base, p string) *fault.Error {
	bad := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "path_escapes_repo", format, args...).WithField(field).WithFound(quote(p), "a path inside the repository")
	}
	if r, pos := invisible(p); pos > 0 {
		return bad("path contains the invisible character U+%04X at position %d", r, pos)
	}
	if strings.Contains(p, `\`) || len(p) > 1 && p[1] == ':' {
		return bad("path %s: write the path inside the repository, with \"/\"", quote(p))
	}
	joined := path.Join(base, p)
	if strings.HasPrefix(p, "/") {
		joined = path.Join(".", p[1:]) // from the root of the repository
	}
	if joined == ".." || strings.HasPrefix(joined, "../") {
		return bad("path may not leave the repository")
	}
	return nil
}
