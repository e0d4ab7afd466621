package testbed

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runGitClient runs the git command as a user would, with a bound on its time.
func runGitClient(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(gitEnv(), env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustGit(t *testing.T, env []string, args ...string) string {
	t.Helper()
	out, err := runGitClient(t, env, args...)
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func startGit(t *testing.T, opts GitOptions) *GitServer {
	t.Helper()
	s, err := StartGitServer(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func repoWith(t *testing.T, s *GitServer, name string, files map[string][]byte) (*Repo, string) {
	t.Helper()
	repo, err := s.CreateRepo(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	sha, err := repo.Commit(t.Context(), "first", files)
	if err != nil {
		t.Fatal(err)
	}
	return repo, sha
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestGitServerServesClonesAndCounts(t *testing.T) {
	s := startGit(t, GitOptions{})
	repo, first := repoWith(t, s, "team/app", map[string][]byte{"a.yaml": []byte("a: 1\n"), "dir/b \"q\".yaml": []byte("b: 1\n")})
	other, _ := repoWith(t, s, "other", map[string][]byte{"x": nil, "y": {}})

	clone := filepath.Join(t.TempDir(), "clone")
	mustGit(t, nil, "clone", "--quiet", repo.URL(), clone)
	if got := read(t, filepath.Join(clone, "dir", `b "q".yaml`)); got != "b: 1\n" {
		t.Fatalf("content %q", got)
	}
	if got := strings.TrimSpace(mustGit(t, nil, "-C", clone, "rev-parse", "HEAD")); got != first {
		t.Fatalf("HEAD %s, want %s", got, first)
	}
	if got := s.Counts("team/app"); got != (GitCounts{Refs: 1, ListRefs: 1, Fetch: 1}) {
		t.Fatalf("counts after a clone: %+v", got)
	}
	// Protocol version 0, which other clients speak, has all references in the
	// first answer.
	if out := mustGit(t, nil, "-c", "protocol.version=0", "ls-remote", repo.URL(), "refs/heads/main"); !strings.HasPrefix(out, first) {
		t.Fatalf("ls-remote: %q", out)
	}
	if got := s.Counts("team/app"); got != (GitCounts{Refs: 2, ListRefs: 1, Fetch: 1}) {
		t.Fatalf("counts after an ls-remote: %+v", got)
	}
	if got := s.Counts("other"); got != (GitCounts{}) {
		t.Fatalf("counts of a repository nobody asked for: %+v", got)
	}
	if out := mustGit(t, nil, "ls-remote", other.URL()); out == "" {
		t.Fatal("ls-remote of the other repository is empty")
	}
	if out, err := runGitClient(t, nil, "ls-remote", s.URL("missing")); err == nil || !strings.Contains(out, "not found") {
		t.Fatalf("ls-remote of a missing repository: %v %q", err, out)
	}
	last := s.Requests()[len(s.Requests())-1]
	if last.Repo != "missing" || last.Status != http.StatusNotFound || last.Kind != GitRefs || !strings.HasPrefix(last.UserAgent, "git/") {
		t.Fatalf("last entry of the access log: %+v", last)
	}
}

func TestRepoChanges(t *testing.T) {
	s := startGit(t, GitOptions{})
	ctx := t.Context()
	repo, first := repoWith(t, s, "app", map[string][]byte{"a": []byte("1"), "d/b": []byte("2"), "d/c": []byte("3")})
	must := func(sha string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	files := func(rev string) string {
		return strings.Join(strings.Fields(mustGit(t, nil, "--git-dir="+repo.Dir(), "ls-tree", "-r", "--name-only", rev)), " ")
	}
	second := must(repo.Commit(ctx, "delete a file and a directory", map[string][]byte{"a": nil, "d": nil, "e": []byte("4")}))
	if got := files(second); got != "e" {
		t.Fatalf("files after deletion: %q", got)
	}
	if got := files(first); got != "a d/b d/c" {
		t.Fatalf("files of the first commit: %q", got)
	}
	third := must(repo.Apply(ctx, Change{Message: "a link", Links: map[string]string{"l": "../../etc/passwd"}, Files: map[string][]byte{"run": []byte("#!/bin/sh\n")}, Executable: []string{"run"}}))
	if out := mustGit(t, nil, "--git-dir="+repo.Dir(), "ls-tree", third); !strings.Contains(out, "120000 blob") || !strings.Contains(out, "100755 blob") {
		t.Fatalf("modes:\n%s", out)
	}
	onBranch := must(repo.Apply(ctx, Change{Branch: "feature/x", Parent: first, Message: "on a branch", Files: map[string][]byte{"f": []byte("5")}}))
	if got := files("feature/x"); got != "a d/b d/c f" {
		t.Fatalf("files of the branch: %q", got)
	}
	if head := must(repo.Head(ctx, "")); head != third {
		t.Fatalf("main moved to %s by a commit on another branch", head)
	}
	// A forced push: history that does not contain what was there.
	forced := must(repo.Apply(ctx, Change{Parent: first, Message: "rewritten", ReplaceAll: true, Files: map[string][]byte{"only": []byte("6")}}))
	if head := must(repo.Head(ctx, "main")); head != forced || files("main") != "only" {
		t.Fatalf("after a forced push main is %s with %q", head, files("main"))
	}
	for _, err := range []error{
		repo.SetTag(ctx, "v1", first),
		repo.AnnotatedTag(ctx, "v2", second, "release"),
		repo.SetBranch(ctx, "copy", onBranch),
		repo.SetBranch(ctx, "feature/x", ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	out := mustGit(t, nil, "ls-remote", repo.URL())
	for _, want := range []string{first + "\trefs/tags/v1\n", second + "\trefs/tags/v2^{}\n", onBranch + "\trefs/heads/copy\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("ls-remote lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "feature/x") {
		t.Errorf("the deleted branch is still there:\n%s", out)
	}
	if _, err := repo.Head(ctx, "feature/x"); err == nil {
		t.Error("the head of a missing branch has no error")
	}
	if _, err := s.CreateRepo(ctx, "app"); err == nil {
		t.Error("a repository can be created twice")
	}
	if _, err := s.CreateRepo(ctx, "../escape"); err == nil {
		t.Error("a repository can be created outside of the directory")
	}
}

func TestGitServerAsksForCredentials(t *testing.T) {
	s := startGit(t, GitOptions{User: "robot", Password: "s3cret", TLS: true, AllowPush: true})
	repo, first := repoWith(t, s, "private", map[string][]byte{"a": []byte("1")})
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, s.CAData(), 0o600); err != nil {
		t.Fatal(err)
	}
	trust := []string{"GIT_SSL_CAINFO=" + ca}
	withUser := func(userinfo string) string { return strings.Replace(repo.URL(), "://", "://"+userinfo+"@", 1) }

	if out, err := runGitClient(t, nil, "ls-remote", withUser("robot:s3cret")); err == nil || !strings.Contains(out, "certificate") {
		t.Fatalf("without the authority: %v %s", err, out)
	}
	if out, err := runGitClient(t, trust, "ls-remote", repo.URL()); err == nil {
		t.Fatalf("without credentials: %s", out)
	}
	if out, err := runGitClient(t, trust, "ls-remote", withUser("robot:wrong")); err == nil || !strings.Contains(out, "uthentication failed") {
		t.Fatalf("with a wrong password: %v %s", err, out)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	mustGit(t, trust, "clone", "--quiet", withUser("robot:s3cret"), clone)
	if err := os.WriteFile(filepath.Join(clone, "b"), []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustGit(t, trust, "-C", clone, "add", "b")
	mustGit(t, trust, "-C", clone, "commit", "--quiet", "-m", "second")
	mustGit(t, trust, "-C", clone, "push", "--quiet", "origin", "HEAD:main")
	if head, err := repo.Head(t.Context(), ""); err != nil || head == first {
		t.Fatalf("after a push the head is %s, %v", head, err)
	}
	s.SetCredentials("robot", "changed")
	if out, err := runGitClient(t, trust, "ls-remote", withUser("robot:s3cret")); err == nil {
		t.Fatalf("with the old password: %s", out)
	}
}

func TestGitServerFaults(t *testing.T) {
	s := startGit(t, GitOptions{})
	repo, first := repoWith(t, s, "app", map[string][]byte{"a": []byte("1")})
	healthy, _ := repoWith(t, s, "healthy", map[string][]byte{"a": []byte("1")})
	elsewhere := startGit(t, GitOptions{})
	repoWith(t, elsewhere, "app", map[string][]byte{"a": []byte("1")})

	for name, test := range map[string]struct {
		fault GitFault
		says  string // empty: it works all the same
	}{
		"html":     {FaultHTML(), "not valid"},
		"status":   {FaultStatus(http.StatusBadGateway), "502"},
		"truncate": {FaultTruncate(40), "transfer closed"},
		"slow":     {FaultSlowBody(time.Millisecond), ""},
		"redirect": {FaultRedirect(strings.TrimSuffix(elsewhere.URL("app"), "/app.git")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s.SetFault(test.fault, "app")
			defer s.ClearFaults()
			out, err := runGitClient(t, nil, "ls-remote", repo.URL())
			if test.says == "" && err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if test.says != "" && (err == nil || !strings.Contains(out, test.says)) {
				t.Fatalf("%v, %q; want it to say %q", err, out, test.says)
			}
			mustGit(t, nil, "ls-remote", healthy.URL())
		})
	}
	if elsewhere.Counts("app").Refs == 0 {
		t.Error("the redirect did not lead to the other server")
	}

	t.Run("hang", func(t *testing.T) {
		s.SetFault(FaultHang())
		answered := make(chan error, 1)
		go func() {
			resp, err := http.Get(repo.URL() + "/info/refs?service=git-upload-pack")
			if err == nil {
				resp.Body.Close()
			}
			answered <- err
		}()
		select {
		case err := <-answered:
			t.Fatalf("answered while it should hang: %v", err)
		case <-time.After(300 * time.Millisecond):
		}
		s.ClearFaults()
		select {
		case <-answered:
		case <-time.After(10 * time.Second):
			t.Fatal("still hanging after the fault was cleared")
		}
	})
	t.Run("down", func(t *testing.T) {
		s.Down()
		if out, err := runGitClient(t, nil, "ls-remote", repo.URL()); err == nil || !strings.Contains(strings.ToLower(out), "connect") {
			t.Fatalf("while down: %v %s", err, out)
		}
		if err := s.Up(); err != nil {
			t.Fatal(err)
		}
		if out := mustGit(t, nil, "ls-remote", repo.URL()); !strings.Contains(out, first) {
			t.Fatalf("after it came back: %s", out)
		}
	})
}

func TestSSHGitServer(t *testing.T) {
	repos, err := NewRepos("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(repos.Close)
	repo, err := repos.Create(t.Context(), "team/app")
	if err != nil {
		t.Fatal(err)
	}
	sha, err := repo.Commit(t.Context(), "first", map[string][]byte{"a": []byte("1\n")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := StartSSHGitServer(t.Context(), SSHGitOptions{Repos: repos, AllowPush: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	stranger, err := StartSSHGitServer(t.Context(), SSHGitOptions{Repos: repos})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stranger.Close)

	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ssh := func(key []byte, knownHosts string) []string {
		return []string{"GIT_SSH_COMMAND=ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes" +
			" -o UserKnownHostsFile=" + write("known_hosts", []byte(knownHosts)) + " -i " + write("key", key)}
	}
	env := ssh(s.ClientKey(), s.KnownHosts())
	clone := filepath.Join(dir, "clone")
	mustGit(t, env, "clone", "--quiet", s.URL("team/app"), clone)
	if got := strings.TrimSpace(mustGit(t, nil, "-C", clone, "rev-parse", "HEAD")); got != sha {
		t.Fatalf("HEAD %s, want %s", got, sha)
	}
	mustGit(t, nil, "-C", clone, "commit", "--quiet", "--allow-empty", "-m", "second")
	mustGit(t, env, "-C", clone, "push", "--quiet", "origin", "HEAD:main")
	if head, err := repo.Head(t.Context(), ""); err != nil || head == sha {
		t.Fatalf("after a push the head is %s, %v", head, err)
	}
	if got := s.Served(); got != 2 {
		t.Errorf("served %d commands, want 2", got)
	}
	if out, err := runGitClient(t, env, "ls-remote", s.URL("missing")); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("a missing repository: %v %s", err, out)
	}
	if out, err := runGitClient(t, ssh(stranger.ClientKey(), s.KnownHosts()), "ls-remote", s.URL("team/app")); err == nil || !strings.Contains(out, "ermission denied") {
		t.Errorf("another key: %v %s", err, out)
	}
	if got := s.Refused(); got == 0 {
		t.Error("the refused key was not counted")
	}
	wrongHost := strings.Replace(stranger.KnownHosts(), stranger.port.address()[len("127.0.0.1:"):], s.port.address()[len("127.0.0.1:"):], 1)
	if out, err := runGitClient(t, ssh(s.ClientKey(), wrongHost), "ls-remote", s.URL("team/app")); err == nil || !strings.Contains(out, "Host key verification failed") {
		t.Errorf("another host key: %v %s", err, out)
	}
	s.Down()
	if out, err := runGitClient(t, ssh(s.ClientKey(), s.KnownHosts()), "ls-remote", s.URL("team/app")); err == nil || !strings.Contains(out, "refused") {
		t.Errorf("while down: %v %s", err, out)
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	mustGit(t, ssh(s.ClientKey(), s.KnownHosts()), "ls-remote", s.URL("team/app"))
}
