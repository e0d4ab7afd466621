package policy

import "strings"

// NormaliseRepo brings the spellings of one repository to one text: lower
// case, without ".git", and for SSH always "ssh://user@host/path". Two URLs
// with equal results mean the same repository.
func NormaliseRepo(repo string) string {
	s := strings.ToLower(strings.TrimSpace(repo))
	s = strings.TrimSuffix(s, "/")
	s = strings.TrimSuffix(s, ".git")
	rest, ssh := strings.CutPrefix(s, "ssh://")
	if !ssh {
		// user@host:path, the form of scp
		at, colon := strings.Index(s, "@"), strings.Index(s, ":")
		if strings.Contains(s, "://") || at < 1 || colon < at || strings.Contains(s[:colon], "/") {
			return s
		}
	}
	host, path, ok := strings.Cut(rest, ":")
	if ok && !strings.Contains(host, "/") {
		port, _, _ := strings.Cut(path, "/")
		if port != "" && strings.Trim(port, "0123456789") == "" {
			rest = host + ":" + path // a port, not a path
		} else {
			rest = host + "/" + strings.TrimPrefix(path, "/")
		}
	}
	return "ssh://" + rest
}
