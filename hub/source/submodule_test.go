package source

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// withModules commits files and, by path, submodules at a commit.
func withModules(t *testing.T, repo *testbed.Repo, files map[string]string, modules map[string]string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprint(&b, "commit refs/heads/main\ncommitter Casey Example <casey@example.test> 1700000000 +0000\ndata 1\nm\ndeleteall\n")
	for path, text := range files {
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
	}
	for path, sha := range modules {
		fmt.Fprintf(&b, "M 160000 %s %s\n", sha, path)
	}
	git(t, repo, b.String(), "fast-import", "--quiet", "--force", "--date-format=raw-permissive")
	head, err := repo.Head(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// git runs the git command in a repository.
func git(t *testing.T, repo *testbed.Repo, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"--git-dir=" + repo.Dir()}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func modulesEntry(name, path, url string) string {
	return fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = %s\n", name, path, url)
}

func paths(t *testing.T, snap *Snapshot, dir string, recurse bool) string {
	t.Helper()
	files, err := listFiles(t.Context(), snap, dir, recurse)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		name := f.path
		if f.mode == ModeDir {
			name += "/"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func TestSubmodules(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	leaf, leafHead := createRepo(t, server, "libs/leaf", map[string]string{"leaf.yaml": "leaf\n"})
	commit(t, leaf, map[string]string{"leaf.yaml": "newer\n"}) // the submodule stays where it is
	lib, _ := createRepo(t, server, "libs/lib", map[string]string{"x": "1"})
	libHead := withModules(t, lib, map[string]string{"base/lib.yaml": "lib\n", ".gitmodules": modulesEntry("leaf", "inner/leaf", "../leaf.git")}, map[string]string{"inner/leaf": leafHead})
	app, _ := createRepo(t, server, "team/app", map[string]string{"x": "1"})
	head := withModules(t, app, map[string]string{
		"deploy/own.yaml": "own\n",
		".gitmodules":     modulesEntry("lib", "vendor/lib", "../../libs/lib.git") + modulesEntry("abs", "vendor/abs", server.URL("libs/leaf")),
	}, map[string]string{"vendor/lib": libHead, "vendor/abs": leafHead})
	linked := change(t, app, testbed.Change{Links: map[string]string{"deploy/link.yaml": "../vendor/lib/base/lib.yaml", "deploy/dir": "../vendor/abs"}})

	plain := newSources(t, Options{})
	snap := snapshot(t, plain, app.URL(), head)
	if got := paths(t, snap, "vendor", false); got != "vendor/abs/ vendor/lib/" {
		t.Errorf("got %s", got)
	}
	if got := paths(t, snap, "", true); got != ".gitmodules deploy/own.yaml" {
		t.Errorf("got %s", got)
	}
	if got := paths(t, snap, "vendor/lib", true); got != "" {
		t.Errorf("got %s", got)
	}
	if got := fileText(t, snap, "vendor/lib/base/lib.yaml"); got != "(missing)" {
		t.Errorf("got %s", got)
	}
	if c := server.Counts("libs/lib"); c.Refs+c.Fetch != 0 {
		t.Errorf("a submodule that nobody asked for cost %+v", c)
	}

	s := newSources(t, always(fleet.Credential{EnableSubmodules: true}))
	snap = snapshot(t, s, app.URL(), linked)
	if c := server.Counts("libs/lib"); c.Refs+c.Fetch != 0 {
		t.Errorf("a submodule that nobody looked at cost %+v", c)
	}
	if snap.Root() == snapshot(t, plain, app.URL(), linked).Root() {
		t.Error("with and without submodules it is the same")
	}
	if got := paths(t, snap, "vendor", false); got != "vendor/abs/ vendor/lib/" {
		t.Errorf("got %s", got)
	}
	want := ".gitmodules deploy/dir/ deploy/link.yaml deploy/own.yaml vendor/abs/leaf.yaml vendor/lib/.gitmodules vendor/lib/base/lib.yaml vendor/lib/inner/leaf/leaf.yaml"
	if got := paths(t, snap, "", true); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for path, text := range map[string]string{
		"vendor/lib/base/lib.yaml": "lib\n", "vendor/lib/inner/leaf/leaf.yaml": "leaf\n", "vendor/abs/leaf.yaml": "leaf\n",
		"deploy/link.yaml": "lib\n", "deploy/dir/leaf.yaml": "leaf\n", "deploy/own.yaml": "own\n",
	} {
		if got := fileText(t, snap, path); got != text {
			t.Errorf("%s: %q", path, got)
		}
	}
	hashes := map[string]bool{}
	files, err := listFiles(t.Context(), snap, "", true)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		if !f.broken {
			all = append(all, f.hash)
			hashes[f.hash] = true
		}
	}
	contents, err := snap.Contents(t.Context(), all)
	if err != nil || len(contents) != len(all) || len(hashes) != 6 {
		t.Errorf("%d contents of %d, %d identities, %v", len(contents), len(all), len(hashes), err)
	}
	if c := server.Counts("libs/lib"); c.Refs != 1 || c.Fetch != 1 {
		t.Errorf("looking at a submodule cost %+v", c)
	}
	// A second snapshot asks no server.
	server.Down()
	if got := paths(t, snapshot(t, s, app.URL(), linked), "", true); got != want {
		t.Errorf("got %s", got)
	}
}

func TestSubmodulesAskForTheirOwnCredentialAndPermission(t *testing.T) {
	private := gitServer(t, testbed.GitOptions{User: "robot", Password: "CANARY"})
	lib, libHead := createRepo(t, private, "lib", map[string]string{"a": "secret\n"})
	server := gitServer(t, testbed.GitOptions{})
	app, _ := createRepo(t, server, "app", map[string]string{"x": "1"})
	head := withModules(t, app, map[string]string{".gitmodules": modulesEntry("lib", "lib", lib.URL())}, map[string]string{"lib": libHead})

	var asked []string
	with := func(own *fleet.Credential) *Sources {
		return newSources(t, Options{AllowHTTPCredentials: true, Credentials: func(_ context.Context, url string) (*fleet.Credential, error) {
			asked = append(asked, url)
			if url == lib.URL() {
				return own, nil
			}
			return &fleet.Credential{Username: "robot", Password: "CANARY", EnableSubmodules: true}, nil
		}})
	}
	// That of the parent is not used, even where it would open.
	_, _, err := read(t.Context(), snapshot(t, with(nil), app.URL(), head), "lib/a")
	if !fault.HasCode(err, "git_auth_failed") || !strings.Contains(err.Error(), "submodule lib: ") {
		t.Errorf("got %v", err)
	}
	for _, r := range private.Requests() {
		if r.User != "" {
			t.Errorf("the submodule's server got the credential of %q", r.User)
		}
	}
	s := with(&fleet.Credential{Username: "robot", Password: "CANARY"})
	snap := snapshot(t, s, app.URL(), head)
	if got := fileText(t, snap, "lib/a"); got != "secret\n" {
		t.Errorf("got %q", got)
	}
	if len(asked) == 0 || asked[len(asked)-1] != lib.URL() {
		t.Errorf("asked for credentials of %v", asked)
	}

	var permitted []string
	closed := snap.Within(func(url string) error {
		permitted = append(permitted, url)
		return fault.New(fault.Denied, "repo_not_permitted", "no")
	})
	_, _, err = read(t.Context(), closed, "lib/a")
	if !fault.HasCode(err, "repo_not_permitted") || len(permitted) != 1 || permitted[0] != lib.URL() {
		t.Errorf("got %v, asked %v", err, permitted)
	}
	if closed.Root() != "" {
		t.Error("what somebody may see depends on more than the tree")
	}
	if got := fileText(t, snap.Within(func(string) error { return nil }), "lib/a"); got != "secret\n" {
		t.Errorf("got %q", got)
	}
}

func TestSubmodulesThatAreRefused(t *testing.T) {
	blocked := silentServer(t)
	server := gitServer(t, testbed.GitOptions{})
	lib, libHead := createRepo(t, server, "lib", map[string]string{"a": "1"})
	_ = lib
	app, _ := createRepo(t, server, "app", map[string]string{"x": "1"})
	enabled := always(fleet.Credential{EnableSubmodules: true})
	for name, tt := range map[string]struct{ modules, code, text string }{
		"file":            {modulesEntry("m", "m", "file:///etc"), "repo_scheme_forbidden", `"file"`},
		"path":            {modulesEntry("m", "m", "/etc"), "repo_url_invalid", "is a path"},
		"ext":             {modulesEntry("m", "m", "ext::sh -c touch% /tmp/canary"), "", ""},
		"ext without gap": {modulesEntry("m", "m", "ext::id"), "repo_scheme_forbidden", `"ext"`},
		"option":          {modulesEntry("m", "m", "ssh://-oProxyCommand=id/x"), "repo_url_invalid", "may not start"},
		"option 2":        {modulesEntry("m", "m", "--upload-pack=id"), "repo_url_invalid", "may not start"},
		"with password":   {modulesEntry("m", "m", "https://u:CANARY@host/x"), "repo_url_has_credentials", "***"},
		"metadata":        {modulesEntry("m", "m", "http://169.254.169.254/latest"), "address_blocked", "link-local"},
		"blocked":         {modulesEntry("m", "m", "http://"+blocked.address+"/x"), "address_blocked", "127.9.0.0/16"},
		"out of server":   {modulesEntry("m", "m", "../../../../x"), "submodule_invalid", "leads out of its server"},
		"not mentioned":   {modulesEntry("n", "other", "../lib.git"), "submodule_invalid", "has no url"},
		"no file":         {"", "submodule_invalid", "no url"},
		"commit missing":  {modulesEntry("m", "m", "../lib.git"), "revision_not_found", "submodule m: "},
		"no such":         {modulesEntry("m", "m", "../missing.git"), "repository_not_found", "submodule m: "},
		"huge":            {strings.Repeat("#", maxModulesFile) + modulesEntry("m", "m", "../lib.git"), "submodule_invalid", "the limit is"},
	} {
		t.Run(name, func(t *testing.T) {
			sha := libHead
			if name == "commit missing" {
				sha = strings.Repeat("ab", 20)
			}
			head := withModules(t, app, map[string]string{".gitmodules": tt.modules, "own": "1"}, map[string]string{"m": sha})
			opts := enabled
			opts.Blocked = blocked.networks()
			snap := snapshot(t, newSources(t, opts), app.URL(), head)
			if got := fileText(t, snap, "own"); got != "1" {
				t.Errorf("the rest of the repository: %q", got)
			}
			_, _, err := read(t.Context(), snap, "m/a")
			if err == nil || tt.code != "" && !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("got %v", err)
			}
			if len(fault.As(err).Message) > 300 {
				t.Errorf("a long message: %v", err)
			}
		})
	}
	blocked.sawNothing(t)
}

func TestSubmodulesInACircleEnd(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	for i := range maxModuleDepth + 2 {
		if err := repo.SetTag(t.Context(), fmt.Sprint("keep-", i), head); err != nil {
			t.Fatal(err)
		}
		head = withModules(t, repo, map[string]string{"a": "1", ".gitmodules": modulesEntry("me", "me", "./../app.git")}, map[string]string{"me": head})
	}
	snap := snapshot(t, newSources(t, always(fleet.Credential{EnableSubmodules: true})), repo.URL(), head)
	if got := fileText(t, snap, "me/me/a"); got != "1" {
		t.Errorf("got %q", got)
	}
	if _, err := listFiles(t.Context(), snap, "", true); !fault.HasCode(err, "submodule_invalid") || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("got %v", err)
	}
}

func TestParseModules(t *testing.T) {
	got := parseModules([]byte("# comment\n[core]\n\tpath = no\n\turl = no\n[submodule \"a\"]\n  PATH = dir/a/\n\turl=../a.git ; comment\n\tupdate = !id\n" +
		"[submodule \"b\"]\n\tpath = \"with # sign\"\n\turl = https://host/b\n[submodule \"evil\"]\n\tpath = ../../etc\n\turl = https://host/e\n" +
		"[submodule \"again\"]\npath = dir/a\nurl = https://host/other\n[submodule \"half\"]\npath = half\n"))
	want := map[string]string{"dir/a": "../a.git", "with # sign": "https://host/b", "etc": "https://host/e"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v", got)
	}
}

func FuzzParseModules(f *testing.F) {
	f.Add([]byte("[submodule \"a\"]\n\tpath = a\n\turl = ../a.git\n"))
	f.Add([]byte("[submodule \"a\"\npath = \"\\\nurl = \\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for path, url := range parseModules(data) {
			if path == "" || url == "" || strings.HasPrefix(path, "/") || strings.Contains("/"+path+"/", "/../") {
				t.Errorf("%q %q", path, url)
			}
			if u, ok := relativeURL(URL{Scheme: "https", Host: "host", Path: "/a/b"}, url); ok && (u.Host != "host" || !strings.HasPrefix(u.Path, "/")) {
				t.Errorf("%q leads to %s", url, u)
			}
		}
	})
}
