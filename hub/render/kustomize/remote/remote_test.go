package remote

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestReferencesAreReadAsKustomizeDocumentsThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec, repo, dir, revision string
		noSubmodules              bool
	}{
		{spec: "https://example.com/org/repo//deploy/base?ref=v1.2.3", repo: "https://example.com/org/repo", dir: "deploy/base", revision: "v1.2.3"},
		{spec: "https://example.com/org/repo", repo: "https://example.com/org/repo"},
		{spec: "https://example.com/org/repo/a/b", repo: "https://example.com/org/repo", dir: "a/b"},
		{spec: "https://example.com/group/sub/repo.git/a?ref=main", repo: "https://example.com/group/sub/repo.git", dir: "a", revision: "main"},
		{spec: "https://example.com/group/sub/repo//a/", repo: "https://example.com/group/sub/repo", dir: "a"},
		{spec: "https://user@dev.example.com/org/project/_git/repo/a/b?version=GBmain", repo: "https://user@dev.example.com/org/project/_git/repo", dir: "a/b", revision: "GBmain"},
		{spec: "github.com/org/repo", repo: "https://github.com/org/repo"},
		{spec: "GitHub.com/org/repo/a?ref=x&version=y", repo: "https://github.com/org/repo", dir: "a", revision: "x"},
		{spec: "github.com:org/repo//a", repo: "https://github.com/org/repo", dir: "a"},
		{spec: "git@github.com:org/repo.git//a?submodules=false", repo: "git@github.com:org/repo.git", dir: "a", noSubmodules: true},
		{spec: "ssh://git@github.com/org/repo", repo: "git@github.com:org/repo"},
		{spec: "git@example.com:org/repo", repo: "git@example.com:org/repo"},
		{spec: "git@example.com:org/repo.git/a/b?timeout=90s&ref=refs/heads/x", repo: "git@example.com:org/repo.git", dir: "a/b", revision: "refs/heads/x"},
		{spec: "ssh://git@example.com:2222/org/repo.git?ref=0123456789abcdef0123456789abcdef01234567", repo: "ssh://git@example.com:2222/org/repo.git", revision: "0123456789abcdef0123456789abcdef01234567"},
		{spec: "git::https://example.com/org/repo//a", repo: "https://example.com/org/repo", dir: "a"},
		{spec: "file:///srv/repo", repo: "file:///srv/repo"},
		{spec: "file:///srv/repo.git//a", repo: "file:///srv/repo.git", dir: "a"},
		{spec: "http://example.com/org/repo", repo: "http://example.com/org/repo"},
		{spec: "HTTPS://example.com/org/repo//a/./b", repo: "https://example.com/org/repo", dir: "a/b"},
	} {
		repo, dir, revision, submodules, ok, err := ParseRemote(c.spec)
		if err != nil || !ok || repo != c.repo || dir != c.dir || revision != c.revision || submodules == c.noSubmodules {
			t.Errorf("%s: %q %q %q %v %v %v", c.spec, repo, dir, revision, submodules, ok, err)
		}
		if !Suspicious(c.spec) {
			t.Errorf("%s is not suspicious", c.spec)
		}
	}
}

func TestLocalPathsAreNotRemote(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{
		"", "base", "../base", "./github.com/org/repo", "./git@example.com:org/repo", "deploy.yaml", "/abs/path",
		"example.com/org/repo", "../../.remote/1", "https://example.com", "https://example.com/one", "git@example.com:one", "a:b/c",
	} {
		if repo, _, _, _, ok, err := ParseRemote(spec); ok || err != nil {
			t.Errorf("%q: %q %v", spec, repo, err)
		}
	}
}

func TestDangerousReferencesAreNamed(t *testing.T) {
	t.Parallel()
	for spec, code := range map[string]string{
		"https://example.com/org/repo?ref=--upload-pack=touch%20/tmp/pwn": "git_ref_invalid",
		"https://example.com/org/repo?ref=--upload-pack=touch":            "git_ref_invalid",
		"https://example.com/org/repo?ref=-oX":                            "git_ref_invalid",
		"https://example.com/org/repo?ref=a..b":                           "git_ref_invalid",
		"https://example.com/org/repo?ref=a%0ab":                          "git_ref_invalid",
		"https://example.com/org/repo?version=-x":                         "git_ref_invalid",
		"https://example.com/org/repo?ref=a;b":                            "repo_url_invalid",
		"ssh://-oProxyCommand=id/org/repo":                                "repo_url_invalid",
		"git@-oProxyCommand=id:org/repo":                                  "repo_url_invalid",
		"https://example.com/org/repo//../../etc":                         "path_escapes_repo",
		"https://example.com/org/repo//a/../../etc":                       "path_escapes_repo",
		"https://user:secret@example.com/org/repo":                        "repo_url_has_credentials",
		"https://example.com/o rg/repo":                                   "repo_url_invalid",
	} {
		repo, _, _, _, ok, err := ParseRemote(spec)
		if !ok || !fault.HasCode(err, code) || repo != "" {
			t.Errorf("%s: %v %v, want %s", spec, ok, err, code)
		}
	}
}

func TestAFileIsToldFromARepository(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]bool{
		"https://raw.example.com/org/repo/main/deploy.yaml":          true,
		"https://example.com/org/repo/releases/download/v1/all.yml":  true,
		"https://example.com/all.json?token=x":                       true,
		"https://example.com/install":                                true,
		"https://example.com/org/repo":                               false,
		"https://example.com/org/repo//a/b.yaml":                     false,
		"https://example.com/org/repo.git/b.yaml":                    false,
		"https://example.com/org/repo/b.yaml?ref=v1":                 false,
		"git@example.com:org/repo/b.yaml":                            false,
		"deploy.yaml":                                                false,
		"https://example.com/org/repo?ref=--upload-pack=touch%20pwn": false,
	} {
		if IsFile(spec) != want {
			t.Errorf("IsFile(%s) = %v", spec, !want)
		}
	}
}

// FuzzParseRemote holds what the fetcher relies on.
func FuzzParseRemote(f *testing.F) {
	f.Add("https://example.com/org/repo//a?ref=v1")
	f.Add("git@example.com:org/repo")
	f.Fuzz(func(t *testing.T, spec string) {
		repo, dir, revision, _, ok, err := ParseRemote(spec)
		if ok && !Suspicious(spec) {
			t.Fatalf("%q is remote and not suspicious", spec)
		}
		if !ok || err != nil {
			return
		}
		if repo == "" || repo[0] == '-' || (revision != "" && revision[0] == '-') || (dir != "" && (dir[0] == '/' || dir == "..")) {
			t.Fatalf("%q: %q %q %q", spec, repo, dir, revision)
		}
	})
}
