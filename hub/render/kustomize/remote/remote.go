package remote

import (
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

var schemes = []string{"ssh://", "https://", "http://", "file://"}

// user is the only form of user name that kustomize takes out of a reference.
var user = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]*@`)

// revisionText is what a branch, tag, commit or full reference may consist of.
var revisionText = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./+@#%=,-]{0,254}$`)

// IsURL tells whether spec is an http or https URL, which kustomize tries as a
// file before it takes it for a repository.
func IsURL(spec string) bool {
	u, err := url.Parse(spec)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}

// Suspicious tells whether kustomize could take spec for a repository. It is
// true for more than ParseRemote is, never for less.
func Suspicious(spec string) bool {
	return strings.ContainsAny(spec, ":@") || strings.HasPrefix(strings.ToLower(spec), "github.com")
}

// IsFile tells whether an http or https URL means one file and not a directory
// of a Git repository: its path ends as manifests do, and nothing in it marks
// the root of a repository.
func IsFile(spec string) bool {
	u, err := url.Parse(spec)
	if err != nil || !IsURL(spec) {
		return false
	}
	if _, _, _, marked := split(u.Path); marked || u.Query().Has("ref") || u.Query().Has("version") {
		return false
	}
	switch path.Ext(u.Path) {
	case ".yaml", ".yml", ".json":
		return true
	}
	_, _, _, _, ok, err := ParseRemote(spec)
	return err == nil && !ok
}

// ParseRemote reads a reference to a directory of a Git repository in the forms
// that kustomize documents:
//
//	https://host/org/repo//dir?ref=v1        "//" ends the repository
//	https://host/org/repo.git/dir            so does ".git"
//	https://host/org/project/_git/repo/dir   and the name after "_git/"
//	https://host/org/repo/dir                otherwise it has two names
//	github.com/org/repo/dir                  without a scheme only for GitHub
//	ssh://git@host/org/repo, git@host:org/repo, git::https://…
//
// with the parameters ref (or version), submodules and timeout, which has no
// effect here. dir is relative to the root of the repository, clean, "" for the
// root; revision is "" for the default branch; submodules is true unless it is
// switched off, as in kustomize.
//
// ok is false for what is no such reference, such as a local path. With ok, err
// tells what is wrong with it: codes git_ref_invalid, repo_url_invalid,
// repo_url_has_credentials and path_escapes_repo, of kind fault.Invalid.
// Schemes are not judged.
func ParseRemote(spec string) (repoURL, dir, revision string, submodules, ok bool, err error) {
	if strings.HasPrefix(spec, "/") {
		return "", "", "", false, false, nil
	}
	rest, query, _ := strings.Cut(spec, "?")
	repoURL, dir, ok = splitSpec(rest)
	if !ok {
		return "", "", "", false, false, nil
	}
	if err := checkURL(repoURL); err != nil {
		return "", "", "", false, true, err
	}
	for _, part := range strings.Split(dir, "/") {
		if part == ".." {
			return "", "", "", false, true, fault.New(fault.Invalid, "path_escapes_repo", "%q leaves its repository", clip(spec))
		}
	}
	values, queryErr := url.ParseQuery(query)
	if queryErr != nil {
		return "", "", "", false, true, fault.New(fault.Invalid, "repo_url_invalid", "the parameters of %q cannot be read", clip(spec)).
			WithFix("write ?ref=NAME, with special characters percent-encoded")
	}
	revision = values.Get("ref")
	if revision == "" {
		revision = values.Get("version")
	}
	if revision != "" && !validRevision(revision) {
		return "", "", "", false, true, fault.New(fault.Invalid, "git_ref_invalid", "%q is no branch, tag or commit", clip(revision)).
			WithFix("write ?ref= with the name of a branch, a tag or a commit")
	}
	submodules = true
	if on, parseErr := strconv.ParseBool(values.Get("submodules")); parseErr == nil {
		submodules = on
	}
	return repoURL, strings.TrimPrefix(path.Clean("/"+dir), "/"), revision, submodules, true, nil
}

func validRevision(r string) bool {
	return revisionText.MatchString(r) && !strings.Contains(r, "..") && !strings.Contains(r, "//") &&
		!strings.Contains(r, "@{") && !strings.HasSuffix(r, "/") && !strings.HasSuffix(r, ".lock")
}

// splitSpec separates the repository from the directory in it.
func splitSpec(s string) (repo, dir string, ok bool) {
	s = trimFold(s, "git::")
	scheme := ""
	for _, candidate := range schemes {
		if rest := trimFold(s, candidate); rest != s {
			scheme, s = candidate, rest
			break
		}
	}
	if scheme == "file://" {
		repo, dir, ok, marked := split(s)
		if !marked {
			repo, dir, ok = s, "", s != ""
		}
		return scheme + repo, dir, ok
	}
	login := user.FindString(s)
	s = s[len(login):]
	github := strings.HasPrefix(strings.ToLower(s), "github.com/") || strings.HasPrefix(strings.ToLower(s), "github.com:")
	scp := scheme == "" && (login != "" || github)
	if scheme == "" && !scp {
		return "", "", false
	}
	end := strings.Index(s, "/")
	if colon := strings.Index(s, ":"); scp && (end < 0 || colon > 0 && colon < end) {
		end = colon
	}
	if end < 0 {
		return "", "", false
	}
	host, rest := s[:end+1], s[end+1:]
	if github {
		// One spelling for GitHub: by SSH where a user is named, else by HTTPS.
		if scheme == "ssh://" || login != "" {
			scheme, host = "", "github.com:"
			if login == "" {
				login = "git@"
			}
		} else {
			scheme, host = "https://", "github.com/"
		}
	}
	repo, dir, ok, marked := split(rest)
	if !marked {
		names := strings.SplitN(rest, "/", 3)
		if len(names) < 2 {
			return "", "", false
		}
		repo, ok = names[0]+"/"+names[1], true
		if len(names) == 3 {
			dir = names[2]
		}
	}
	if !ok || repo == "" {
		return "", "", false
	}
	return scheme + login + host + repo, dir, true
}

// split cuts a path behind what marks the root of a repository.
func split(p string) (repo, dir string, ok, marked bool) {
	if i := strings.Index(p, "_git/"); i >= 0 {
		name, dir, _ := strings.Cut(p[i+len("_git/"):], "/")
		return p[:i+len("_git/")] + name, dir, name != "", true
	}
	if repo, dir, found := strings.Cut(p, "//"); found {
		return repo, dir, repo != "", true
	}
	if i := strings.Index(p, ".git"); i >= 0 {
		end := i + len(".git")
		return p[:end], strings.TrimPrefix(p[end:], "/"), true, true
	}
	return "", "", false, false
}

// checkURL refuses what a program that is given the URL could take for an
// option, and passwords that would end up in logs.
func checkURL(repo string) error {
	invalid := fault.New(fault.Invalid, "repo_url_invalid", "%q is no URL of a repository", clip(repo))
	if strings.ContainsAny(repo, " \t\r\n\x00\\\"'`") {
		return invalid
	}
	host := repo
	for _, s := range schemes {
		host = strings.TrimPrefix(host, s)
	}
	host = host[len(user.FindString(host)):]
	if strings.HasPrefix(host, "-") || strings.HasPrefix(repo, "-") {
		return fault.New(fault.Invalid, "repo_url_invalid", "a host may not start with \"-\"")
	}
	if strings.Contains(repo, "://") {
		u, err := url.Parse(repo)
		if err != nil {
			return invalid
		}
		if _, has := u.User.Password(); has {
			return fault.New(fault.Invalid, "repo_url_has_credentials", "a reference has a password in its URL").
				WithFix("put the password in a repository credential, not in the URL")
		}
	}
	return nil
}

func trimFold(s, prefix string) string {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):]
	}
	return s
}

func clip(s string) string {
	if len(s) <= 120 {
		return s
	}
	return strings.ToValidUTF8(s[:117], "") + "…"
}
