package fleet

import (
	"fmt"
	"strings"
	"testing"
)

func TestSpellingsOfOneRepository(t *testing.T) {
	for in, want := range map[string]string{
		"https://git.example.com/org/repo":        "https://git.example.com/org/repo",
		"https://git.example.com/org/repo.git":    "https://git.example.com/org/repo",
		"https://git.example.com/Org/Repo/":       "https://git.example.com/Org/Repo",
		"HTTPS://Git.example.com:443/org/repo":    "https://git.example.com/org/repo",
		"https://git.example.com:8443/org/repo":   "https://git.example.com:8443/org/repo",
		"http://git.example.com:80/r.git/":        "http://git.example.com/r",
		"https://git.example.com/a%2Db/c%20d":     "https://git.example.com/a-b/c%20d",
		"git@git.example.com:org/repo.git":        "ssh://git@git.example.com/org/repo",
		"git@git.example.com:/org/repo.git":       "ssh://git@git.example.com/org/repo",
		"ssh://git@Git.example.com:22/org/repo":   "ssh://git@git.example.com/org/repo",
		"ssh://git@git.example.com:2222/org/repo": "ssh://git@git.example.com:2222/org/repo",
		"ssh://git@git.example.com:org/repo.git":  "ssh://git@git.example.com/org/repo",
		"https://git.example.com":                 "https://git.example.com",
		"https://git.example.com/":                "https://git.example.com",
		" https://git.example.com/a ":             "https://git.example.com/a",
		"https://[2001:DB8::1]:443/a":             "https://[2001:db8::1]/a",
		"oci://Registry.example.com:443/charts/":  "oci://registry.example.com/charts",
		"registry.example.com/charts":             "oci://registry.example.com/charts",
		"127.0.0.1:5000/charts":                   "oci://127.0.0.1:5000/charts",
		"localhost/charts":                        "oci://localhost/charts",
		"file:///srv/git/repo.git":                "file:///srv/git/repo",
		"/srv/git/repo":                           "/srv/git/repo",
		"./a:b":                                   "./a:b",
		"charts":                                  "charts",
		"https://host:port/x":                     "https://host:port/x",
		"":                                        "",
	} {
		if got := RepositoryIdentity(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWhatIsAboveARepository(t *testing.T) {
	for in, want := range map[string]string{
		"ssh://git@h/a/b":       "ssh://git@h/a/b ssh://git@h/a ssh://git@h ssh://h/a/b ssh://h/a ssh://h",
		"https://h/a.git/b.git": "https://h/a.git/b https://h/a https://h",
		"oci://h:5000/a/b":      "oci://h:5000/a/b oci://h:5000/a oci://h:5000",
		"https://u@h/a":         "https://u@h/a",
		"https://h/a/../b":      "https://h/a/../b",
		"https://h/a/%2e%2e/b":  "https://h/a/../b",
		"/srv/git":              "/srv/git",
		"file:///srv/git":       "file:///srv/git",
	} {
		if got := strings.Trim(fmt.Sprint(RepositoryPrefixes(in)), "[]"); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for _, c := range []struct {
		url, prefix string
		want        bool
	}{
		{"https://git.example.com/team/web", "https://git.example.com/team", true},
		{"https://git.example.com/team/web", "https://GIT.example.com:443/team/", true},
		{"https://git.example.com/team", "https://git.example.com/team", true},
		{"https://git.example.com/team-evil", "https://git.example.com/team", false},
		{"https://git.example.com/team-evil/web", "https://git.example.com/team", false},
		{"https://git.example.com/team/../evil", "https://git.example.com/team", false},
		{"https://git.example.com.evil/team/web", "https://git.example.com", false},
		{"https://git.example.com@evil/team/web", "https://git.example.com", false},
		{"https://evil/https://git.example.com/team", "https://git.example.com", false},
		{"http://git.example.com/team/web", "https://git.example.com/team", false},
		{"https://git.example.com:8443/team/web", "https://git.example.com/team", false},
		{"ssh://other@git.example.com/team/web", "ssh://git@git.example.com/team", false},
		{"git@git.example.com:team/web", "ssh://git.example.com/team", true},
		{"registry.example.com/charts/web", "oci://registry.example.com", true},
	} {
		if got := RepositoryUnder(c.url, c.prefix); got != c.want {
			t.Errorf("%s under %s: %v", c.url, c.prefix, got)
		}
	}
}

func FuzzRepositoryIdentity(f *testing.F) {
	for _, s := range []string{"https://h/a/b.git", "git@h:a", "ssh://git@h:a/b", "oci://h/x", "%", "https://u:p@h:1/a/../b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		id := RepositoryIdentity(raw)
		if a, ok := parseAddress(raw); ok && strings.Trim(a.path, "/.") != "" {
			if again := RepositoryIdentity(id); again != id && !strings.Contains(raw, ".git") && !strings.Contains(raw, "%") {
				t.Errorf("%q: %q, and again %q", raw, id, again)
			}
		}
		if p := RepositoryPrefixes(raw); p[0] != id {
			t.Errorf("%q: the first prefix is %q, the identity %q", raw, p[0], id)
		}
	})
}
