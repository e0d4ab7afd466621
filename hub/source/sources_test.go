package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// TestMain lets the test binary be the Git worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker-git" {
		if err := WorkerMain(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func newSources(t *testing.T, opts Options) *Sources {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	opts.WorkerCommand = []string{exe, "worker-git"}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func gitServer(t *testing.T, opts testbed.GitOptions) *testbed.GitServer {
	t.Helper()
	s, err := testbed.StartGitServer(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func createRepo(t *testing.T, s *testbed.GitServer, name string, files map[string]string) (*testbed.Repo, string) {
	t.Helper()
	repo, err := s.CreateRepo(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return repo, commit(t, repo, files)
}

func commit(t *testing.T, repo *testbed.Repo, files map[string]string) string {
	t.Helper()
	return change(t, repo, testbed.Change{Message: "a change\n\nwith a body", Files: content(files)})
}

func change(t *testing.T, repo *testbed.Repo, c testbed.Change) string {
	t.Helper()
	if c.Message == "" {
		c.Message = "a change"
	}
	sha, err := repo.Apply(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

func content(files map[string]string) map[string][]byte {
	out := map[string][]byte{}
	for path, text := range files {
		out[path] = []byte(text)
	}
	return out
}

func resolveOne(t *testing.T, s *Sources, url, revision string) Resolved {
	t.Helper()
	out, err := s.Resolve(t.Context(), url, []string{revision})
	if err != nil {
		t.Fatal(err)
	}
	return out[revision]
}

func mustResolve(t *testing.T, s *Sources, url, revision string) string {
	t.Helper()
	r := resolveOne(t, s, url, revision)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Commit
}

func snapshot(t *testing.T, s *Sources, url, commit string) *Snapshot {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), url, commit)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func fileText(t *testing.T, snap *Snapshot, path string) string {
	t.Helper()
	m, err := snap.Read(t.Context(), []string{path})
	if err != nil {
		t.Fatal(err)
	}
	data, ok := m[path]
	if !ok {
		return "(missing)"
	}
	return string(data)
}

func TestResolveAndReadOverHTTP(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, first := createRepo(t, server, "app", map[string]string{"deploy/a.yaml": "a: 1\n", "deploy/sub/b.yaml": "b: 1\n", "README": "hello"})
	s := newSources(t, Options{})

	r := resolveOne(t, s, repo.URL(), "main")
	if r.Err != nil || r.Commit != first || r.Ref != "refs/heads/main" || r.Revision.Message != "a change" || r.Revision.Author == "" || r.Revision.CommittedAt.IsZero() {
		t.Fatalf("got %+v, want commit %s", r, first)
	}
	if got := server.Counts("app"); got.Refs != 1 || got.Fetch != 1 {
		t.Errorf("first resolve and fetch cost %+v", got)
	}
	snap := snapshot(t, s, repo.URL(), first)
	files, err := snap.Files(t.Context(), "deploy", true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, fmt.Sprintf("%s %d", f.Path, f.Size))
	}
	if got := strings.Join(names, ", "); got != "deploy/a.yaml 5, deploy/sub/b.yaml 5" {
		t.Errorf("files: %s", got)
	}
	if flat, err := snap.Files(t.Context(), "deploy", false); err != nil || len(flat) != 1 {
		t.Errorf("not recursive: %v %v", flat, err)
	}
	if all, err := snap.Files(t.Context(), "", true); err != nil || len(all) != 3 {
		t.Errorf("root: %v %v", all, err)
	}
	if got := fileText(t, snap, "deploy/sub/b.yaml"); got != "b: 1\n" {
		t.Errorf("content %q", got)
	}
	if got := fileText(t, snap, "README"); got != "hello" {
		t.Errorf("content %q", got)
	}
	if got := fileText(t, snap, "deploy"); got != "(missing)" {
		t.Errorf("a directory has content %q", got)
	}
	if snap.Revision().Commit != first {
		t.Errorf("revision %+v", snap.Revision())
	}

	// Nothing changed: one ls-remote, no fetch.
	if again := mustResolve(t, s, repo.URL(), "main"); again != first {
		t.Errorf("got %s", again)
	}
	if got := server.Counts("app"); got.Refs != 2 || got.Fetch != 1 {
		t.Errorf("after a look without news: %+v", got)
	}

	// A commit on top, then a revert: the content is that of an ancestor.
	second := commit(t, repo, map[string]string{"deploy/a.yaml": "a: 2\n"})
	if got := mustResolve(t, s, repo.URL(), "main"); got != second {
		t.Fatalf("got %s, want %s", got, second)
	}
	third := commit(t, repo, map[string]string{"deploy/a.yaml": "a: 1\n"})
	if got := mustResolve(t, s, repo.URL(), "main"); got != third {
		t.Fatalf("got %s, want %s", got, third)
	}
	for sha, want := range map[string]string{first: "a: 1\n", second: "a: 2\n", third: "a: 1\n"} {
		if got := fileText(t, snapshot(t, s, repo.URL(), sha), "deploy/a.yaml"); got != want {
			t.Errorf("%s: %q", sha, got)
		}
	}
	one, err := snap.Tree(t.Context(), "deploy")
	if err != nil {
		t.Fatal(err)
	}
	three, err := snapshot(t, s, repo.URL(), third).Tree(t.Context(), "deploy")
	if err != nil || one != three || one == "" {
		t.Errorf("tree hashes %q and %q, %v", one, three, err)
	}

	// A forced push to a history that lacks all of that.
	forced := change(t, repo, testbed.Change{Parent: "none", ReplaceAll: true, Files: content(map[string]string{"x.yaml": "x: 1\n", "deploy/a.yaml": "a: 1\n"})})
	if got := mustResolve(t, s, repo.URL(), "main"); got != forced {
		t.Fatalf("got %s, want %s", got, forced)
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), forced), "x.yaml"); got != "x: 1\n" {
		t.Errorf("content %q", got)
	}
}

func TestAllKindsOfRevisionsInOneLook(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, first := createRepo(t, server, "app", map[string]string{"a": "1"})
	second := commit(t, repo, map[string]string{"a": "2"})
	third := commit(t, repo, map[string]string{"a": "3"})
	other := change(t, repo, testbed.Change{Branch: "feature/x", Parent: first, Files: content(map[string]string{"a": "x"})})
	for _, err := range []error{
		repo.SetTag(t.Context(), "v1", first),
		repo.AnnotatedTag(t.Context(), "v2", second, "release"),
		repo.SetTag(t.Context(), "both", first),
		repo.SetBranch(t.Context(), "both", second),
		repo.SetTag(t.Context(), "same", second),
		repo.SetBranch(t.Context(), "same", second),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := newSources(t, Options{})
	want := map[string]string{
		"": third, "HEAD": third, "main": third, "feature/x": other, "v1": first, "v2": second, "same": second,
		"refs/heads/main": third, "refs/tags/v2": second, "heads/main": third, "tags/v1": first,
		first: first, second: second, strings.ToUpper(third): third, second[:10]: second, strings.ToUpper(first[:9]): first,
	}
	bad := map[string]string{
		"relase": "revision_not_found", "mian": "revision_not_found", "both": "revision_ambiguous", "refs/heads/nope": "revision_not_found",
		"-x": "revision_not_found", "a..b": "revision_not_found", "a b": "revision_not_found", "HEAD~1": "revision_not_found",
		strings.Repeat("ab", 20): "revision_not_found", "abcdef12": "revision_not_found",
	}
	var revisions []string
	for r := range want {
		revisions = append(revisions, r)
	}
	for r := range bad {
		revisions = append(revisions, r)
	}
	for round := range 2 {
		got, err := s.Resolve(t.Context(), repo.URL(), revisions)
		if err != nil {
			t.Fatal(err)
		}
		for r, sha := range want {
			if got[r].Err != nil || got[r].Commit != sha {
				t.Errorf("round %d, %q: %s %v, want %s", round, r, got[r].Commit, got[r].Err, sha)
			}
		}
		for r, code := range bad {
			if !fault.HasCode(got[r].Err, code) || !fault.Is(got[r].Err, fault.Unprocessable) || got[r].Commit != "" {
				t.Errorf("round %d, %q: %s %v, want %s", round, r, got[r].Commit, got[r].Err, code)
			}
		}
	}
	if e := fault.As(resolveOne(t, s, repo.URL(), "mian").Err); !strings.Contains(e.Message, `closest: "main"`) {
		t.Errorf("message %q", e.Message)
	}
	if got := server.Counts("app"); got.Refs != 3 || got.Fetch > 6 {
		t.Errorf("three looks cost %+v", got)
	}
	// Full commits that are here need no server.
	server.Down()
	if got := mustResolve(t, s, repo.URL(), second); got != second {
		t.Errorf("got %s", got)
	}
	if got := mustResolve(t, s, repo.URL(), second[:10]); got != second {
		t.Errorf("got %s", got)
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), first), "a"); got != "1" {
		t.Errorf("got %q", got)
	}
}

func TestManyDirectories(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "fleet", manyFiles(0))
	s := newSources(t, Options{})
	mustResolve(t, s, repo.URL(), "main")
	read := func(sha string) (n int) {
		snap := snapshot(t, s, repo.URL(), sha)
		for i := range 500 {
			files, err := snap.Files(t.Context(), fmt.Sprintf("apps/app-%03d", i), true)
			if err != nil {
				t.Fatal(err)
			}
			var hashes []string
			for _, f := range files {
				hashes = append(hashes, f.Hash)
			}
			contents, err := snap.Contents(t.Context(), hashes)
			if err != nil {
				t.Fatal(err)
			}
			n += len(contents)
		}
		return n
	}
	start := time.Now()
	if n := read(head); n != 2000 {
		t.Fatalf("%d files", n)
	}
	t.Logf("500 directories of 4 files listed and read in %s", time.Since(start))
	// Every application changes: more objects than are stored one by one.
	second := commit(t, repo, manyFiles(1))
	start = time.Now()
	if got := mustResolve(t, s, repo.URL(), "main"); got != second {
		t.Fatalf("got %s", got)
	}
	t.Logf("a commit that changes 500 files fetched in %s", time.Since(start))
	if n := read(second); n != 2000 {
		t.Fatalf("%d files", n)
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), second), "apps/app-499/config.yaml"); got != "value: 1\napp: 499\n" {
		t.Errorf("got %q", got)
	}
}

func manyFiles(version int) map[string]string {
	files := map[string]string{}
	for i := range 500 {
		dir := fmt.Sprintf("apps/app-%03d/", i)
		files[dir+"config.yaml"] = fmt.Sprintf("value: %d\napp: %d\n", version, i)
		for _, name := range []string{"deployment", "service", "account"} {
			files[dir+name+".yaml"] = fmt.Sprintf("kind: %s\napp: %d\n%s", name, i, strings.Repeat("# filling\n", 40))
		}
	}
	return files
}

func TestCredentials(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{User: "robot", Password: "CANARY-s3cret", TLS: true})
	repo, head := createRepo(t, server, "private", map[string]string{"a": "1"})
	tests := []struct {
		name       string
		cred       *fleet.Credential
		code, text string
	}{
		{"right", &fleet.Credential{Username: "robot", Password: "CANARY-s3cret", CABundle: string(server.CAData())}, "", ""},
		{"none", &fleet.Credential{CABundle: string(server.CAData())}, "git_auth_failed", "asks for a credential (401)"},
		{"wrong password", &fleet.Credential{Username: "robot", Password: "CANARY-wrong", CABundle: string(server.CAData())}, "git_auth_failed", `refused the credential "robot" (401)`},
		{"authority unknown", &fleet.Credential{Username: "robot", Password: "CANARY-s3cret"}, "git_tls_untrusted", "is signed by unknown"},
		{"CA bundle is rubbish", &fleet.Credential{CABundle: "CANARY"}, "ca_bundle_invalid", "CA bundle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return tt.cred, nil }})
			out, err := s.Resolve(t.Context(), repo.URL(), []string{"main"})
			checkErr := s.Check(t.Context(), repo.URL(), tt.cred)
			if tt.code == "" {
				if err != nil || out["main"].Commit != head || checkErr != nil {
					t.Fatalf("%v %v %v", out, err, checkErr)
				}
				return
			}
			for _, err := range []error{err, checkErr} {
				if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v", err)
				}
				if strings.Contains(fmt.Sprintf("%+v %v", fault.As(err), err), "CANARY") {
					t.Errorf("a secret is in %v", err)
				}
			}
		})
	}
	broken := newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return nil, errors.New("vault") }})
	if _, err := broken.Resolve(t.Context(), repo.URL(), []string{"main"}); err == nil || err.Error() != "vault" {
		t.Errorf("got %v", err)
	}
	plain := gitServer(t, testbed.GitOptions{User: "robot", Password: "CANARY-s3cret"})
	plainRepo, plainHead := createRepo(t, plain, "p", map[string]string{"a": "1"})
	cred := func(context.Context, string) (*fleet.Credential, error) {
		return &fleet.Credential{Username: "robot", Password: "CANARY-s3cret"}, nil
	}
	if _, err := newSources(t, Options{Credentials: cred}).Resolve(t.Context(), plainRepo.URL(), []string{"main"}); !fault.HasCode(err, "repo_insecure") {
		t.Errorf("credentials over http: %v", err)
	}
	if got := mustResolve(t, newSources(t, Options{Credentials: cred, AllowHTTPCredentials: true}), plainRepo.URL(), "main"); got != plainHead {
		t.Errorf("got %s", got)
	}
}

func TestFaultsOfTheServer(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": strings.Repeat("1", 5000)})
	s := newSources(t, Options{})
	mustResolve(t, s, repo.URL(), "main")
	next := commit(t, repo, map[string]string{"a": "2"})

	faults := []struct {
		name       string
		fault      testbed.GitFault
		code, text string
	}{
		{"HTML", testbed.FaultHTML(), "git_not_git", "web page (text/html)"},
		{"500", testbed.FaultStatus(500), "git_unavailable", "answered 500"},
		{"503", testbed.FaultStatus(503), "git_unavailable", "answered 503"},
		{"429", testbed.FaultStatus(429), "git_unavailable", "429"},
		{"404", testbed.FaultStatus(404), "repository_not_found", "does not exist"},
		{"403", testbed.FaultStatus(403), "git_auth_failed", "403"},
		{"204", testbed.FaultStatus(204), "git_unavailable", "204"},
		{"cut", testbed.FaultTruncate(100), "git_unavailable", "in the middle of an answer"},
	}
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			server.SetFault(tt.fault)
			defer server.ClearFaults()
			_, err := s.Resolve(t.Context(), repo.URL(), []string{"main"})
			if !fault.HasCode(err, tt.code) || !fault.Is(err, fault.Upstream) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v", err)
			}
			if got := fileText(t, snapshot(t, s, repo.URL(), head), "a"); len(got) != 5000 {
				t.Errorf("the last good commit cannot be read: %q", got)
			}
		})
	}
	t.Run("down", func(t *testing.T) {
		server.Down()
		_, err := s.Resolve(t.Context(), repo.URL(), []string{"main"})
		if !fault.HasCode(err, "git_unavailable") || !strings.Contains(err.Error(), "refuses connections") {
			t.Errorf("got %v", err)
		}
		if err := server.Up(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("hanging", func(t *testing.T) {
		server.SetFault(testbed.FaultHang())
		defer server.ClearFaults()
		hasty := newSources(t, Options{Timeout: 300 * time.Millisecond})
		if _, err := hasty.Resolve(t.Context(), repo.URL(), []string{"main"}); !fault.HasCode(err, "git_unavailable") {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := s.Resolve(ctx, repo.URL(), []string{"main"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	if got := mustResolve(t, s, repo.URL(), "main"); got != next {
		t.Errorf("after the faults: %s, want %s", got, next)
	}
	if _, err := s.Resolve(t.Context(), server.URL("nothing"), []string{"main"}); !fault.HasCode(err, "repository_not_found") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Resolve(t.Context(), "https://no-such-host.invalid/x", []string{"main"}); !fault.HasCode(err, "git_unavailable") {
		t.Errorf("got %v", err)
	}
	empty, err := server.CreateRepo(t.Context(), "empty")
	if err != nil {
		t.Fatal(err)
	}
	if r := resolveOne(t, s, empty.URL(), "HEAD"); !fault.HasCode(r.Err, "revision_not_found") || !strings.Contains(r.Err.Error(), "empty") {
		t.Errorf("empty repository: %+v", r)
	}
}

func TestRedirectToAnotherHostDropsCredentials(t *testing.T) {
	target := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, target, "app", map[string]string{"a": "1"})
	front := gitServer(t, testbed.GitOptions{User: "robot", Password: "secret"})
	front.SetFault(testbed.FaultRedirect(strings.TrimSuffix(target.URL(""), ".git")))
	cred := func(context.Context, string) (*fleet.Credential, error) {
		return &fleet.Credential{Username: "robot", Password: "secret"}, nil
	}
	s := newSources(t, Options{Credentials: cred, AllowHTTPCredentials: true})
	_ = repo
	if got := mustResolve(t, s, front.URL("app"), "main"); got != head {
		t.Errorf("got %s", got)
	}
	for _, r := range target.Requests() {
		if r.User != "" {
			t.Errorf("the credential of user %q went to another host", r.User)
		}
	}
	strict := newSources(t, Options{Credentials: cred, AllowHTTPCredentials: true, AllowedHosts: []string{"localhost"}})
	if _, err := strict.Resolve(t.Context(), front.URL("app"), []string{"main"}); !fault.HasCode(err, "address_blocked") {
		t.Errorf("got %v", err)
	}
}

func TestSSH(t *testing.T) {
	repos, err := testbed.NewRepos(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(repos.Close)
	own, err := repos.Create(t.Context(), "plain")
	if err != nil {
		t.Fatal(err)
	}
	first := commit(t, own, map[string]string{"a": "1"})
	server, err := testbed.StartSSHGitServer(t.Context(), testbed.SSHGitOptions{Repos: repos})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	other, err := testbed.StartSSHGitServer(t.Context(), testbed.SSHGitOptions{Repos: repos})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	url := server.URL("plain")
	good := fleet.Credential{SSHKey: string(server.ClientKey()), KnownHosts: server.KnownHosts()}
	with := func(c fleet.Credential) *Sources {
		return newSources(t, Options{Credentials: func(context.Context, string) (*fleet.Credential, error) { return &c, nil }})
	}
	s := with(good)
	if got := mustResolve(t, s, url, "main"); got != first {
		t.Fatalf("got %s", got)
	}
	second := commit(t, own, map[string]string{"b": "2"})
	if got := mustResolve(t, s, url, "main"); got != second {
		t.Fatalf("got %s", got)
	}
	if got := mustResolve(t, s, url, first[:8]); got != first {
		t.Fatalf("got %s", got)
	}
	if got := fileText(t, snapshot(t, s, url, second), "b"); got != "2" {
		t.Errorf("got %q", got)
	}
	if _, err := s.Resolve(t.Context(), strings.Replace(url, "plain", "missing", 1), []string{"main"}); !fault.HasCode(err, "repository_not_found") {
		t.Errorf("missing repository: %v", err)
	}

	unknown := good
	unknown.KnownHosts = ""
	changed := good
	changed.KnownHosts = strings.Replace(other.KnownHosts(), hostPort(other.URL("plain")), hostPort(url), 1)
	wrongKey := good
	wrongKey.SSHKey = string(other.ClientKey())
	noKey := fleet.Credential{KnownHosts: good.KnownHosts}
	rubbish := good
	rubbish.SSHKey = "CANARY"
	for name, tt := range map[string]struct {
		cred fleet.Credential
		code string
		text string
	}{
		"unknown host": {unknown, "ssh_host_key_unknown", "SHA256:"},
		"changed key":  {changed, "ssh_host_key_changed", "possible interception"},
		"other key":    {wrongKey, "git_auth_failed", "refused the SSH key"},
		"no key":       {noKey, "git_auth_failed", "needs a private key"},
		"rubbish key":  {rubbish, "ssh_key_invalid", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := with(tt.cred).Resolve(t.Context(), url, []string{"main"})
			if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("got %v", err)
			}
		})
	}
	server.Down()
	if _, err := s.Resolve(t.Context(), url, []string{"main"}); !fault.HasCode(err, "git_unavailable") {
		t.Errorf("down: %v", err)
	}
}

func hostPort(url string) string {
	rest := strings.TrimPrefix(url, "ssh://")
	_, rest, _ = strings.Cut(rest, "@")
	host, _, _ := strings.Cut(rest, "/")
	name, port, _ := strings.Cut(host, ":")
	return "[" + name + "]:" + port
}

func TestFileURLs(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	url := "file://" + repo.Dir()
	if got := mustResolve(t, newSources(t, Options{AllowFile: true}), url, "main"); got != head {
		t.Errorf("got %s", got)
	}
	if _, err := newSources(t, Options{}).Resolve(t.Context(), url, []string{"main"}); !fault.HasCode(err, "repo_scheme_forbidden") {
		t.Errorf("got %v", err)
	}
	if _, err := newSources(t, Options{AllowFile: true}).Resolve(t.Context(), url+"x", []string{"main"}); !fault.HasCode(err, "repository_not_found") {
		t.Errorf("got %v", err)
	}
}

func TestBlockedAddresses(t *testing.T) {
	s := newSources(t, Options{})
	for _, url := range []string{"http://169.254.169.254/latest", "ssh://git@169.254.1.1/x", "http://[fe80::1]/x", "http://[::ffff:169.254.169.254]/x", "http://0.0.0.0:1/x"} {
		cred := &fleet.Credential{}
		if strings.HasPrefix(url, "ssh") {
			cred.Password = "x"
		}
		if err := s.Check(t.Context(), url, cred); !fault.HasCode(err, "address_blocked") {
			t.Errorf("%s: %v", url, err)
		}
	}
	closed := newSources(t, Options{AllowedHosts: []string{"*.example.com"}})
	if err := closed.Check(t.Context(), "https://example.org/x", nil); !fault.HasCode(err, "address_blocked") {
		t.Errorf("got %v", err)
	}
}

func TestSymbolicLinks(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, _ := createRepo(t, server, "app", map[string]string{"shared/base.yaml": "base\n", "ok/own.yaml": "own\n"})
	head := change(t, repo, testbed.Change{
		Files: content(map[string]string{"absolute/x.yaml": "x", "relative/x.yaml": "x", "chain/x.yaml": "x", "broken/x.yaml": "x", "loop/x.yaml": "x"}),
		Links: map[string]string{
			"ok/base.yaml": "../shared/base.yaml", "ok/twice.yaml": "base.yaml", "alias": "ok", "ok/dir": "../shared",
			"absolute/a.yaml": "/etc/passwd", "relative/a.yaml": "../../../etc/passwd", "chain/a.yaml": "b.yaml", "chain/b.yaml": "../../outside",
			"broken/a.yaml": "nothing.yaml", "loop/a.yaml": "b.yaml", "loop/b.yaml": "a.yaml", "out": "../",
		},
	})
	s := newSources(t, Options{})
	snap := snapshot(t, s, repo.URL(), head)
	files, err := snap.Files(t.Context(), "alias", true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%s>%s>%v", f.Path, f.Target, f.Broken))
	}
	want := "alias/base.yaml>shared/base.yaml>false, alias/dir>>true, alias/own.yaml>>false, alias/twice.yaml>shared/base.yaml>false"
	if g := strings.Join(got, ", "); g != want {
		t.Errorf("got %s\nwant %s", g, want)
	}
	if text := fileText(t, snap, "alias/twice.yaml"); text != "base\n" {
		t.Errorf("content %q", text)
	}
	if text := fileText(t, snap, "ok/dir/base.yaml"); text != "base\n" {
		t.Errorf("content %q", text)
	}
	for _, dir := range []string{"absolute", "relative", "chain"} {
		_, err := snap.Files(t.Context(), dir, true)
		if e := fault.As(err); e.Code != "symlink_out_of_bounds" || e.Kind != fault.Unprocessable || !strings.Contains(e.Message, dir+"/") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if _, err := snap.Files(t.Context(), "out", true); !fault.HasCode(err, "symlink_out_of_bounds") {
		t.Errorf("got %v", err)
	}
	for _, dir := range []string{"broken", "loop"} {
		files, err := snap.Files(t.Context(), dir, true)
		if err != nil || !files[0].Broken {
			t.Errorf("%s: %v %v", dir, files, err)
		}
	}
}

func TestPathsThatAreMissing(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"deploy/stage/a.yaml": "a", "deploy/dev/a.yaml": "a", "README": "x"})
	snap := snapshot(t, newSources(t, Options{}), repo.URL(), head)
	for path, text := range map[string]string{
		"deploy/prod":       "that revision has: deploy/dev, deploy/stage",
		"deploy/stagee":     "closest: deploy/stage",
		"deploy/dev/a/b/c":  "has no subdirectory",
		"nothing/of/that":   "that revision has: deploy",
		"README":            "is a file",
		"README/x":          "does not exist",
		"deploy/dev/a.yaml": "is a file",
	} {
		_, err := snap.Files(t.Context(), path, true)
		if e := fault.As(err); e.Code != "path_not_found" || !strings.Contains(e.Message, text) || e.Field != "spec.source.path" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if h, err := snap.Tree(t.Context(), "deploy/prod"); err != nil || h != "" {
		t.Errorf("got %q %v", h, err)
	}
	if h, err := snap.Entry(t.Context(), "README"); err != nil || !strings.HasPrefix(h, "100644-") {
		t.Errorf("got %q %v", h, err)
	}
	if h, err := snap.Entry(t.Context(), "x"); err != nil || h != "" {
		t.Errorf("got %q %v", h, err)
	}
}

func TestAStoreThatWasDamagedIsFetchedAgain(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", manyFiles(0))
	dir := t.TempDir()
	s := newSources(t, Options{Dir: dir, CacheBytes: 1})
	mustResolve(t, s, repo.URL(), "main")
	packs, err := filepath.Glob(filepath.Join(dir, "*", "objects", "pack", "*"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("%v %v", packs, err)
	}
	s.Close()
	for _, p := range packs {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	s = newSources(t, Options{Dir: dir, CacheBytes: 1})
	if _, err := s.Resolve(t.Context(), repo.URL(), []string{"main"}); !fault.HasCode(err, "git_objects_missing") {
		t.Fatalf("got %v", err)
	}
	if got := mustResolve(t, s, repo.URL(), "main"); got != head {
		t.Fatalf("got %s", got)
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), head), "apps/app-000/config.yaml"); got != "value: 0\napp: 0\n" {
		t.Errorf("got %q", got)
	}
}

func TestAStoreSurvivesTheHubAndItsRemains(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	dir := t.TempDir()
	s := newSources(t, Options{Dir: dir})
	mustResolve(t, s, repo.URL(), "main")
	s.Close()
	stores, err := filepath.Glob(filepath.Join(dir, "*", stateFile))
	if err != nil || len(stores) != 1 {
		t.Fatalf("%v %v", stores, err)
	}
	packDir := filepath.Join(filepath.Dir(stores[0]), "objects", "pack")
	remains := []string{filepath.Join(packDir, "tmp_pack_1"), filepath.Join(packDir, "pack-"+strings.Repeat("0", 40)+".idx"), filepath.Join(dir, "trash-1"), filepath.Join(dir, "known-hosts-1")}
	for _, path := range remains {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server.Down()
	s = newSources(t, Options{Dir: dir})
	if got := fileText(t, snapshot(t, s, repo.URL(), head), "a"); got != "1" {
		t.Errorf("got %q", got)
	}
	if err := server.Up(); err != nil {
		t.Fatal(err)
	}
	if got := mustResolve(t, s, repo.URL(), "main"); got != head {
		t.Errorf("got %s", got)
	}
	for _, path := range remains {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", filepath.Base(path))
		}
	}
}

func TestAStoreBeginsAnewWhenItHasManyPacks(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	s := newSources(t, Options{})
	mustResolve(t, s, repo.URL(), "main")
	u, err := ParseURL(repo.URL(), false)
	if err != nil {
		t.Fatal(err)
	}
	packDir := filepath.Join(s.directory(u), "objects", "pack")
	for i := range maxPacks + 1 {
		if err := os.WriteFile(filepath.Join(packDir, fmt.Sprintf("pack-%040d.pack", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustResolve(t, s, repo.URL(), "main"); got != head {
		t.Errorf("got %s", got)
	}
	if left, err := filepath.Glob(filepath.Join(packDir, "*.pack")); err != nil || len(left) > 1 {
		t.Errorf("%d packs are left, %v", len(left), err)
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), head), "a"); got != "1" {
		t.Errorf("got %q", got)
	}
}

func TestConversationsOfOneRepositoryAreOneAtATime(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	s := newSources(t, Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			out, err := s.Resolve(t.Context(), repo.URL(), []string{"main"})
			if err != nil || out["main"].Commit != head {
				t.Errorf("%v %v", out, err)
			}
		})
	}
	wg.Wait()
	if got := server.Counts("app"); got.Fetch != 1 {
		t.Errorf("fetched %d times", got.Fetch)
	}
}
