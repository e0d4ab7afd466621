package source

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestConstraintsOnVersions(t *testing.T) {
	refs := map[string]string{
		"refs/heads/main": idA, "refs/heads/9.9.9": idA, "refs/heads/1.x": idA, "refs/heads/v99.0.0": idA,
		"refs/tags/v1.0.0": "1", "refs/tags/v1.2.0": "2", "refs/tags/v1.10.0": "3", "refs/tags/2.0.0": "4",
		"refs/tags/v2.1.0-rc.1": "5", "refs/tags/nightly": "6", "refs/tags/web-1.0.0": "7", "refs/tags/web-1.5.0": "8", "refs/tags/web-2.0.0-beta": "9",
		"refs/tags/v3.0.0+a": "10", "refs/tags/v3.0.0+b": "11", "refs/tags/1.2": "12", "refs/tags/same/1.0.0": "13",
	}
	a := &advertised{refs: refs, peeled: map[string]string{"refs/tags/v1.10.0": "peeled"}}
	for _, tt := range []struct{ revision, prefix, ref, code, text string }{
		{"^1.0.0", "", "refs/tags/v1.10.0", "", ""},
		{"~1.2", "", "refs/tags/v1.2.0", "", ""},
		{">= 1.0.0 < 1.5.0", "", "refs/tags/v1.2.0", "", ""},
		{"1.0.0 - 1.5.0", "", "refs/tags/v1.2.0", "", ""},
		{"1.*", "", "refs/tags/v1.10.0", "", ""},
		{"1.x", "", "refs/tags/v1.10.0", "", ""}, // a branch of that name does not count
		{"*", "", "refs/tags/v3.0.0+b", "", ""},  // prereleases do not count, and neither do branches
		{"~2.1", "", "", "revision_not_found", `no tag of repo satisfies "~2.1"; the newest is "v3.0.0+b"`},
		{"~2.1.0-0", "", "refs/tags/v2.1.0-rc.1", "", ""},
		{"^7", "", "", "revision_not_found", `satisfies "^7"`},
		{"^1.0.0", "web-", "refs/tags/web-1.5.0", "", ""},
		{">=1.0.0", "web-", "refs/tags/web-1.5.0", "", ""},
		{">=1.0.0-0", "web-", "refs/tags/web-2.0.0-beta", "", ""},
		{"1.0.0", "web-", "refs/tags/web-1.0.0", "", ""},
		{"web-1.0.0", "web-", "refs/tags/web-1.0.0", "", ""},
		{"*", "same/", "refs/tags/same/1.0.0", "", ""},
		{"*", "none-", "", "revision_not_found", `no tag that begins with "none-"`},
		{"1.2", "", "refs/tags/1.2", "", ""}, // a version is a name
		{"9.9.9", "", "refs/heads/9.9.9", "", ""},
		{"v1.0.0", "", "refs/tags/v1.0.0", "", ""},
		{"1.0.0", "", "", "revision_not_found", `closest: `},
		{"main", "web-", "refs/heads/main", "", ""},
	} {
		got, err := a.resolve("repo", tt.revision, tt.prefix)
		if tt.code != "" {
			if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%q %q: %v", tt.revision, tt.prefix, err)
			}
			continue
		}
		if err != nil || got.ref != tt.ref {
			t.Errorf("%q %q: %s %v, want %s", tt.revision, tt.prefix, got.ref, err, tt.ref)
		}
	}
	only := &advertised{refs: map[string]string{"refs/heads/1.x": idA, "refs/tags/v1.0.0-rc": "1"}}
	if got, err := only.resolve("repo", "1.x", ""); err != nil || got.ref != "refs/heads/1.x" {
		t.Errorf("without such versions it is a branch: %+v %v", got, err)
	}
	if _, err := only.resolve("repo", "^1", ""); err == nil || !strings.Contains(fault.As(err).Fix, "-0") {
		t.Errorf("got %+v", fault.As(err))
	}
}

func TestAVersionMovesWithItsTags(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, first := createRepo(t, server, "app", map[string]string{"a": "1"})
	second := commit(t, repo, map[string]string{"a": "2"})
	third := commit(t, repo, map[string]string{"a": "3"})
	tag := func(name, sha string) {
		t.Helper()
		if err := repo.AnnotatedTag(t.Context(), name, sha, "release"); err != nil {
			t.Fatal(err)
		}
	}
	tag("v1.0.0", first)
	tag("web-1.0.0", second)
	s := newSources(t, Options{})
	plain := fleet.Target{RepoURL: repo.URL(), Revision: "^1"}
	web := fleet.Target{RepoURL: repo.URL(), Revision: "^1", TagPrefix: "web-"}
	expect := func(a, b string) {
		t.Helper()
		out, err := s.Resolve(t.Context(), repo.URL(), []fleet.Target{plain, web})
		if err != nil || out[plain].Commit != a || out[web].Commit != b {
			t.Fatalf("got %+v %v", out, err)
		}
	}
	expect(first, second)
	tag("v1.1.0", third)
	expect(third, second)
	tag("web-1.0.1", third)
	expect(third, third)
	out, err := s.Resolve(t.Context(), repo.URL(), []fleet.Target{web})
	if err != nil || out[web].Ref != "refs/tags/web-1.0.1" {
		t.Errorf("%+v %v", out, err)
	}
	if got := server.Counts("app"); got.Refs != 4 || got.Fetch > 3 {
		t.Errorf("four looks cost %+v", got)
	}
}
