package source

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func newSources(t *testing.T, opts Options) *Sources {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	opts.WorkerCommand = append([]string{exe, "worker-git"}, opts.WorkerCommand...)
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

// targetsOf makes targets of revisions of one repository.
func targetsOf(url string, revisions ...string) []fleet.Target {
	var out []fleet.Target
	for _, r := range revisions {
		out = append(out, fleet.Target{RepoURL: url, Revision: r})
	}
	return out
}

// resolve asks for revisions and answers by revision.
func resolve(ctx context.Context, s *Sources, url string, revisions ...string) (map[string]Resolved, error) {
	resolved, err := s.Resolve(ctx, url, targetsOf(url, revisions...))
	out := map[string]Resolved{}
	for t, r := range resolved {
		out[t.Revision] = r
	}
	return out, err
}

func resolveOne(t *testing.T, s *Sources, url, revision string) Resolved {
	t.Helper()
	out, err := resolve(t.Context(), s, url, revision)
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
	snap, err := s.At(t.Context(), fleet.Target{RepoURL: url}, commit)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// file is what List told of one.
type file struct {
	path, hash string
	size       int64
	mode       Mode
	broken     bool
}

func listFiles(ctx context.Context, snap *Snapshot, dir string, recurse bool) (files []file, err error) {
	err = snap.List(ctx, dir, recurse, func(path, hash string, size int64, mode uint32, broken bool) {
		files = append(files, file{path, hash, size, Mode(mode), broken})
	})
	return files, err
}

// read returns the content of a file, and whether there is one.
func read(ctx context.Context, snap *Snapshot, path string) (string, bool, error) {
	hash, _, mode, err := snap.Stat(ctx, path)
	if err != nil || mode == 0 || Mode(mode) == ModeDir {
		return "", false, err
	}
	contents, err := snap.Contents(ctx, []string{hash})
	if err != nil {
		return "", false, err
	}
	return string(contents[0]), true, nil
}

func fileText(t *testing.T, snap *Snapshot, path string) string {
	t.Helper()
	text, ok, err := read(t.Context(), snap, path)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "(missing)"
	}
	return text
}

// dirHash identifies what is below a directory, "" when there is none.
func dirHash(t *testing.T, snap *Snapshot, path string) string {
	t.Helper()
	hash, _, mode, err := snap.Stat(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if Mode(mode) != ModeDir {
		return ""
	}
	return hash
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
	files, err := listFiles(t.Context(), snap, "deploy", true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, fmt.Sprintf("%s %d", f.path, f.size))
	}
	if got := strings.Join(names, ", "); got != "deploy/a.yaml 5, deploy/sub/b.yaml 5" {
		t.Errorf("files: %s", got)
	}
	if flat, err := listFiles(t.Context(), snap, "deploy", false); err != nil || len(flat) != 2 || flat[1].path != "deploy/sub" || flat[1].mode != ModeDir {
		t.Errorf("not recursive: %v %v", flat, err)
	}
	if all, err := listFiles(t.Context(), snap, "", true); err != nil || len(all) != 3 {
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
	one, three := dirHash(t, snap, "deploy"), dirHash(t, snapshot(t, s, repo.URL(), third), "deploy")
	if one != three || one == "" {
		t.Errorf("tree hashes %q and %q", one, three)
	}
	if a, b := snap.Root(), snapshot(t, s, repo.URL(), third).Root(); a != b || a == snapshot(t, s, repo.URL(), second).Root() {
		t.Errorf("roots %q and %q", a, b)
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
		got, err := resolve(t.Context(), s, repo.URL(), revisions...)
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
			files, err := listFiles(t.Context(), snap, fmt.Sprintf("apps/app-%03d", i), true)
			if err != nil {
				t.Fatal(err)
			}
			var hashes []string
			for _, f := range files {
				hashes = append(hashes, f.hash)
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

func TestConversationsOfOneRepositoryAreOneAtATime(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	s := newSources(t, Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			out, err := resolve(t.Context(), s, repo.URL(), "main")
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
