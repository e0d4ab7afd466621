package webhook

import (
	"slices"
	"strings"
	"testing"
)

func TestEverySpellingOfARepositoryIsTheSame(t *testing.T) {
	for name, spellings := range map[string][]string{
		"github.com/x/y":     {"https://github.com/x/y", "https://GitHub.com/X/Y.git/", "http://u:p@github.com:80/x/y.git", "ssh://git@github.com:22/x/y", "git@github.com:x/y.git", "github.com:x/y", "git://github.com/x/y.git", " https://github.com/x/y ", "ssh://git@ssh.github.com:443/x/y.git"},
		"host/a/b/c":         {"git@host:/a/b/c.git", "https://host/a/b/c"},
		"gitlab.com/g/s/t/p": {"https://gitlab.com/g/s/t/p.git", "git@gitlab.com:g/s/t/p.git", "ssh://git@altssh.gitlab.com:443/g/s/t/p.git"},
		"/srv/git/x":         {"file:///srv/git/x.git"},
		"dev.azure.com/org/my project/my repo": {
			"https://dev.azure.com/Org/My%20Project/_git/My%20Repo", "https://org@dev.azure.com/org/My%20Project/_git/My%20Repo",
			"https://org.visualstudio.com/My%20Project/_git/My%20Repo", "https://org.visualstudio.com/DefaultCollection/My%20Project/_git/My%20Repo",
			"https://org.visualstudio.com/DefaultCollection/My%20Project/_git/_optimized/My%20Repo",
			"git@ssh.dev.azure.com:v3/org/My%20Project/My%20Repo", "ssh://git@ssh.dev.azure.com/v3/org/My%20Project/My%20Repo",
			"org@vs-ssh.visualstudio.com:v3/org/My%20Project/My%20Repo", "ssh://org@vs-ssh.visualstudio.com:22/v3/org/My%20Project/My%20Repo",
		},
		"dev.azure.com/org/repo/repo": {"https://dev.azure.com/org/_git/repo", "https://dev.azure.com/org/repo/_git/repo", "https://org.visualstudio.com/_git/repo", "git@ssh.dev.azure.com:v3/org/repo/repo"},
		"tfs.corp/tfs/col/p/r":        {"https://tfs.corp:8443/tfs/Col/P/_git/R", "ssh://tfs.corp:22/tfs/col/p/_ssh/r"},
		"bb.corp/key/slug":            {"https://bb.corp/scm/KEY/slug.git", "https://bb.corp/bitbucket/scm/key/slug.git", "https://u@bb.corp:7990/scm/key/slug.git", "ssh://git@bb.corp:7999/key/slug.git", "https://bb.corp/projects/KEY/repos/slug/browse", "https://bb.corp/projects/KEY/repos/slug", "git@bb.corp:key/slug.git"},
		"bb.corp/~jo/slug":            {"https://bb.corp/scm/~jo/slug.git", "https://bb.corp/users/jo/repos/slug/browse", "ssh://git@bb.corp:7999/~jo/slug.git"},
		"bitbucket.org/team/repo":     {"https://bitbucket.org/team/repo", "https://jo@bitbucket.org/team/repo.git", "git@bitbucket.org:team/repo.git", "ssh://git@altssh.bitbucket.org:443/team/repo.git"},
		"":                            {"", "x", "https://host", "https://host/", "https://host/.git", "%zz://x", "https://[::1/x", "::", "/a/b", "https://host/" + strings.Repeat("a", maxAddress)},
	} {
		for _, s := range spellings {
			if got := canonical(s); got != name {
				t.Errorf("%q: %q, want %q", s, got, name)
			}
		}
	}
}

func TestOtherRepositoriesAreOthers(t *testing.T) {
	known := []string{
		"https://github.com/shop/app", "https://github.com/shop/app2", "https://github.com/shop/apps/app", "https://gitlab.com/shop/app", "git@example.com:shop/app",
		"https://dev.azure.com/org/p/_git/app", "https://bb.corp/scm/shop/app.git",
	}
	for address, want := range map[string][]string{
		"https://github.com/shop/app":         {known[0]},
		"https://github.com/shop":             nil,
		"https://github.com/shop/ap":          nil,
		"https://evil.example/shop/app":       nil,
		"https://github.com.evil.example/a":   nil,
		"https://.*/.*":                       nil,
		"https://github.com/.*":               nil,
		"https://github.com/shop/ap?":         nil,
		"https://*/*/*":                       nil,
		"https://github.com/shop/../shop/x":   nil,
		"https://evil.example/_git/app":       nil,
		"https://evil.example/org/p/_git/app": nil,
	} {
		if got := match(Event{Addresses: []string{address}}, known); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
	// Only what is on a server whose name the event does not say.
	if got := match(Event{HostlessPaths: []string{"shop/app"}}, known); slices.Contains(got, known[1]) || !slices.Contains(got, known[6]) {
		t.Errorf("%v", got)
	}
	if got := match(Event{HostlessPaths: []string{""}}, known); got != nil {
		t.Errorf("%v", got)
	}
}
