package webhook

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// match returns the known repositories that an event is about.
func match(e Event, known []string) []string {
	names := map[string]bool{}
	for _, a := range e.Addresses {
		if n := canonical(a); n != "" {
			names[n] = true
		}
	}
	var out []string
	for _, k := range known {
		n := canonical(k)
		if n == "" {
			continue
		}
		_, path, _ := strings.Cut(n, "/")
		if names[n] || slices.Contains(e.HostlessPaths, path) {
			out = append(out, k)
		}
	}
	return out
}

var scpLike = regexp.MustCompile(`^(?:[^@/\s]+@)?([^:/\s]+):([^/].*|/.*)$`)

// alternativeHosts are other names of a server, for SSH where its port is
// closed.
var alternativeHosts = map[string]string{
	"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com", "altssh.bitbucket.org": "bitbucket.org",
	"ssh.dev.azure.com": azureHost, "vs-ssh.visualstudio.com": azureHost,
}

const (
	azureHost     = "dev.azure.com"
	azureOldHosts = ".visualstudio.com"
	maxAddress    = 2048
)

// canonical is equal for all addresses of one repository: without scheme, user,
// port, ".git" and what servers put into paths for their own use, in lower case.
// Two repositories that differ only in those are looked at both, which does no
// harm; it is an equality and no pattern, so that no payload means all. It is
// empty for what is no address of a repository.
func canonical(address string) string {
	address = strings.TrimSpace(address)
	if len(address) > maxAddress {
		return ""
	}
	var host, path string
	switch scheme, _, ok := strings.Cut(address, "://"); {
	case ok && scheme == "file":
		path = strings.TrimPrefix(address, "file://")
	case ok:
		u, err := url.Parse(address)
		if err != nil {
			return ""
		}
		host, path = u.Hostname(), u.Path
	default:
		m := scpLike.FindStringSubmatch(address)
		if m == nil {
			return ""
		}
		host, path = m[1], m[2]
		// Azure DevOps spells spaces so here too.
		if decoded, err := url.PathUnescape(path); err == nil {
			path = decoded
		}
	}
	host, path = strings.ToLower(host), strings.ToLower(strings.Trim(path, "/"))
	path = strings.Trim(strings.TrimSuffix(path, ".git"), "/")
	if path == "" {
		return ""
	}
	if other, ok := alternativeHosts[host]; ok {
		host = other
	}
	host, path = azureName(host, path)
	return host + "/" + bitbucketName(path)
}

// azureName brings the spellings of Azure DevOps to organisation, project and
// repository:
//
//	https://dev.azure.com/org/project/_git/repo
//	https://org@dev.azure.com/org/_git/repo          (of the project "repo")
//	https://org.visualstudio.com/DefaultCollection/project/_git/repo
//	git@ssh.dev.azure.com:v3/org/project/repo
//	ssh://org@vs-ssh.visualstudio.com:22/v3/org/project/repo
//	https://tfs.example.com/tfs/Collection/project/_git/repo
func azureName(host, path string) (string, string) {
	if org, ok := strings.CutSuffix(host, azureOldHosts); ok && org != "" {
		host, path = azureHost, org+"/"+strings.TrimPrefix(path, "defaultcollection/")
	}
	if host == azureHost {
		path = strings.TrimPrefix(path, "v3/")
	}
	parts := strings.Split(path, "/")
	i := slices.Index(parts, "_git")
	if i < 0 {
		i = slices.Index(parts, "_ssh")
	}
	if i < 0 || i == len(parts)-1 {
		return host, path
	}
	before, after := parts[:i:i], parts[i+1:]
	if len(after) > 1 && (after[0] == "_optimized" || after[0] == "_full") {
		after = after[1:]
	}
	if host == azureHost && len(before) == 1 {
		before = append(before, after[0])
	}
	return host, strings.Join(append(before, after...), "/")
}

// bitbucketName brings the spellings of Bitbucket Data Center, which may live
// below a path, to the project's key and the repository's slug:
//
//	https://host/bitbucket/scm/key/slug.git
//	https://host/projects/KEY/repos/slug/browse
//	https://host/users/name/repos/slug               (~name/slug)
//	ssh://git@host:7999/key/slug.git
func bitbucketName(path string) string {
	parts := strings.Split(path, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		switch rest := parts[i+1:]; {
		case parts[i] == "scm" && len(rest) == 2:
			return rest[0] + "/" + rest[1]
		case parts[i] == "projects" && len(rest) >= 3 && rest[1] == "repos":
			return rest[0] + "/" + rest[2]
		case parts[i] == "users" && len(rest) >= 3 && rest[1] == "repos":
			return "~" + rest[0] + "/" + rest[2]
		}
	}
	return path
}
