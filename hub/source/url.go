package source

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// URL is the checked address of a repository.
type URL struct {
	Scheme string // https, http, ssh or file
	User   string // ssh only
	Host   string // lower case, without port; empty for file
	Port   string
	Path   string
}

var (
	scpLike    = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9._-]*)@([^/:@\[\]]+):(.+)$`)
	helperLike = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)::`)
	schemeLike = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)
	numberLike = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)
)

const allowedSchemes = "https, ssh, http (without credentials)"

// ParseURL checks a repository URL as a user wrote it. file:// is taken only
// with allowFile. Errors are of kind Invalid with codes repo_url_invalid,
// repo_scheme_forbidden and repo_url_has_credentials; no message repeats a
// password.
func ParseURL(raw string, allowFile bool) (URL, error) {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "repo_url_invalid", format, args...).WithFound(Mask(raw), allowedSchemes)
	}
	switch {
	case raw == "":
		return URL{}, invalid("repoURL is empty")
	case len(raw) > 2048:
		return URL{}, invalid("repoURL is %d characters long; the limit is 2048", len(raw))
	}
	// "ext::sh -c id" runs a command in Git; that is the news, not its space.
	if m := helperLike.FindStringSubmatch(raw); m != nil {
		return URL{}, forbiddenScheme(m[1], raw)
	}
	for _, r := range raw {
		if r <= 0x20 || r == 0x7f || r == '\\' || (r >= 0x80 && r < 0xa0) {
			return URL{}, invalid("repoURL has a space, a backslash or a control character in it")
		}
	}
	if !schemeLike.MatchString(raw) {
		if m := scpLike.FindStringSubmatch(raw); m != nil {
			return checkURL(URL{Scheme: "ssh", User: m[1], Host: m[2], Path: m[3]}, invalid)
		}
		if strings.HasPrefix(raw, "-") {
			return URL{}, invalid("repoURL may not start with \"-\"")
		}
		if strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, ".") {
			return URL{}, invalid("repoURL %q is a path; a repository is named by https://… or ssh://…", Mask(raw))
		}
		return URL{}, invalid("repoURL %q has no scheme; did you mean https://%s ?", Mask(raw), Mask(raw))
	}
	u, err := url.Parse(raw)
	if err != nil {
		return URL{}, invalid("repoURL cannot be read as a URL")
	}
	scheme := strings.ToLower(u.Scheme)
	switch scheme {
	case "https", "http", "ssh":
	case "file":
		if !allowFile {
			return URL{}, forbiddenScheme(scheme, raw)
		}
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return URL{}, invalid("a file URL has three slashes and an absolute path")
		}
		return URL{Scheme: scheme, Path: u.Path}, nil
	default:
		return URL{}, forbiddenScheme(scheme, raw)
	}
	if u.User != nil {
		_, hasPassword := u.User.Password()
		if hasPassword || scheme != "ssh" {
			return URL{}, fault.New(fault.Invalid, "repo_url_has_credentials",
				"put credentials in a repository credential, not in the URL (%s)", Mask(raw)).
				WithFix("%s", decode.AddCommand(u))
		}
	}
	if u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return URL{}, invalid("repoURL may not have \"?\" or \"#\" in it")
	}
	out := URL{Scheme: scheme, Host: u.Hostname(), Port: u.Port(), Path: u.Path}
	if u.User != nil {
		out.User = u.User.Username()
	}
	return checkURL(out, invalid)
}

func checkURL(u URL, invalid func(string, ...any) error) (URL, error) {
	u.Host = strings.ToLower(u.Host)
	_, notAddress := netip.ParseAddr(u.Host)
	switch {
	case strings.Contains(u.Host, ":") && notAddress != nil:
		return URL{}, invalid("the host of repoURL, %q, is neither a name nor an address", u.Host)
	case strings.HasPrefix(u.Host, "-"):
		return URL{}, invalid("host may not start with \"-\"")
	case strings.HasPrefix(u.User, "-"):
		return URL{}, invalid("user may not start with \"-\"")
	case strings.HasPrefix(strings.TrimLeft(u.Path, "/"), "-"):
		return URL{}, invalid("the path of a repository may not start with \"-\"")
	case u.Host == "":
		return URL{}, invalid("repoURL has no host")
	case !hostName.MatchString(u.Host) && !strings.Contains(u.Host, ":"):
		return URL{}, invalid("the host of repoURL is not a host name")
	case oddAddress(u.Host):
		return URL{}, invalid("the host of repoURL is an unusual spelling of an address; write it as 192.0.2.1")
	case strings.Trim(u.Path, "/") == "":
		return URL{}, invalid("repoURL names a host and no repository")
	}
	for _, r := range u.Path + u.User {
		if r < 0x20 || r == 0x7f {
			return URL{}, invalid("repoURL has an escaped control character in it")
		}
	}
	if (u.Scheme == "https" && u.Port == "443") || (u.Scheme == "http" && u.Port == "80") || (u.Scheme == "ssh" && u.Port == "22") {
		u.Port = ""
	}
	return u, nil
}

// oddAddress tells hosts that some resolvers take for an IPv4 address although
// they are none in the usual spelling: 2130706433, 0x7f.1, 0177.0.0.1.
func oddAddress(host string) bool {
	last := strings.TrimSuffix(host, ".")
	last = last[strings.LastIndexByte(last, '.')+1:]
	if !numberLike.MatchString(last) {
		return false
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(host, "."))
	return err != nil
}

func forbiddenScheme(scheme, raw string) error {
	return fault.New(fault.Invalid, "repo_scheme_forbidden", "scheme %q is not allowed; allowed: %s", scheme, allowedSchemes).
		WithFound(Mask(raw), allowedSchemes)
}

// String is the URL without anything secret.
func (u URL) String() string {
	if u.Scheme == "ssh" && !strings.HasPrefix(u.Path, "/") {
		// Relative to the user's home directory, which ssh:// cannot say.
		return u.User + "@" + u.Host + ":" + u.Path
	}
	host := u.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.Port != "" {
		host += ":" + u.Port
	}
	out := url.URL{Scheme: u.Scheme, Host: host, Path: u.Path}
	if u.User != "" {
		out.User = url.User(u.User)
	}
	return out.String()
}

// Identity is equal for two spellings of one repository on the wire: default
// port, case of the host and a slash at the end do not matter.
func (u URL) Identity() string {
	u.Path = strings.TrimRight(u.Path, "/")
	return u.String()
}

// userinfo is what URLs within a text carry.
var userinfo = regexp.MustCompile(`//[^/@]*@|^[^/@]*:[^/@]*@`)

// Mask hides user and password in a URL of any shape, and its query.
func Mask(raw string) string {
	masked := decode.MaskURL(raw)
	if len(masked) > 200 {
		masked = masked[:200] + "…"
	}
	return masked
}
