package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/source/sourcetest"
	"github.com/hawser-dev/hawser/shared/fault"
)

// runGit runs git in a repository of a test, and returns what it puts out.
func runGit(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestTheDirectoryVanishesWhileTheHubRuns(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, first := createRepo(t, server, "app", map[string]string{"a": "1"})
	ssh, cred := sshServer(t)
	opts := always(cred)
	opts.Dir = filepath.Join(t.TempDir(), "repositories")
	s := newSources(t, opts)
	mustResolve(t, s, repo.URL(), "main")
	mustResolve(t, s, ssh.URL("plain"), "main")
	snap := snapshot(t, s, repo.URL(), first)
	if err := os.RemoveAll(opts.Dir); err != nil {
		t.Fatal(err)
	}
	if got := fileText(t, snap, "a"); got != "1" {
		t.Errorf("a snapshot in use: %q", got)
	}
	if err := os.RemoveAll(opts.Dir); err != nil {
		t.Fatal(err)
	}
	second := commit(t, repo, map[string]string{"a": "2"})
	if got := mustResolve(t, s, repo.URL(), "main"); got != second {
		t.Errorf("got %s", got)
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), second), "a"); got != "2" {
		t.Errorf("got %q", got)
	}
	if err := os.RemoveAll(opts.Dir); err != nil {
		t.Fatal(err)
	}
	mustResolve(t, s, ssh.URL("plain"), "main")
}

func TestARepositoryThatBeginsAnewUnderItsURL(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, old := createRepo(t, server, "app", map[string]string{"a": "old"})
	s := newSources(t, Options{})
	mustResolve(t, s, repo.URL(), "main")
	// Other history, without anything of the old one, which is thrown away.
	blob := runGit(t, repo.Dir(), "new", "hash-object", "-w", "--stdin")
	tree := runGit(t, repo.Dir(), "100644 blob "+blob+"\ta\n", "mktree")
	other := runGit(t, repo.Dir(), "", "commit-tree", tree, "-m", "other")
	runGit(t, repo.Dir(), "", "update-ref", "refs/heads/main", other)
	runGit(t, repo.Dir(), "", "reflog", "expire", "--expire=now", "--all")
	runGit(t, repo.Dir(), "", "gc", "--prune=now", "--quiet")
	if got := mustResolve(t, s, repo.URL(), "main"); got != other {
		t.Fatalf("got %s, want %s", got, other)
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), other), "a"); got != "new" {
		t.Errorf("got %q", got)
	}
	// Who is pinned to the old one keeps it as long as it is here.
	if got := mustResolve(t, s, repo.URL(), old); got != old {
		t.Errorf("got %s", got)
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), old), "a"); got != "old" {
		t.Errorf("got %q", got)
	}
	// And is told otherwise: never another commit.
	fresh := newSources(t, Options{})
	out, err := resolve(t.Context(), fresh, repo.URL(), old, "main")
	if err != nil || out["main"].Err != nil || !fault.HasCode(out[old].Err, "revision_not_found") || !strings.Contains(out[old].Err.Error(), "forced push") {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := fresh.At(t.Context(), fleet.Target{RepoURL: repo.URL()}, old); !fault.HasCode(err, "revision_not_found") {
		t.Errorf("got %v", err)
	}
}

func TestTagsOfAllThings(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	dir := repo.Dir()
	tag := func(name, object string) {
		runGit(t, dir, "", "-c", "advice.nestedTag=false", "tag", "-a", "-m", "x", name, object)
	}
	tag("one", head)
	tag("two", "one")
	last := "two"
	for i := range 12 {
		name := fmt.Sprintf("chain-%d", i)
		tag(name, last)
		last = name
	}
	tag("tree", head+"^{tree}")
	tag("blob", head+":a")
	runGit(t, dir, "", "tag", "light-tree", head+"^{tree}")
	runGit(t, dir, "", "tag", "light-blob", head+":a")
	latin := runGit(t, dir, "tree "+runGit(t, dir, "", "rev-parse", head+"^{tree}")+"\nparent "+head+
		"\nauthor M\xfcller <m@x> 1700000000 +9999\ncommitter \x01\xff <> 99999999999999 -0000\nencoding ISO-8859-1\ngpgsig x\n\n\xe4\x1b[31m\x00", "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
	runGit(t, dir, "", "update-ref", "refs/heads/latin", latin)
	s := newSources(t, Options{})
	good := []string{"main", "one", "two", last, "latin", "refs/tags/two"}
	bad := []string{"tree", "blob", "light-tree", "light-blob"}
	for range 3 {
		out, err := resolve(t.Context(), s, repo.URL(), append(append([]string{}, good...), bad...)...)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range good {
			want := head
			if r == "latin" {
				want = latin
			}
			if out[r].Err != nil || out[r].Commit != want {
				t.Errorf("%s: %+v", r, out[r])
			}
		}
		for _, r := range bad {
			if !fault.HasCode(out[r].Err, "revision_not_found") || !strings.Contains(out[r].Err.Error(), "is not a commit") {
				t.Errorf("%s: %+v", r, out[r])
			}
		}
		if m := out["latin"].Revision; strings.ContainsAny(m.Message+m.Author, "\x00\x1b\x01") {
			t.Errorf("control characters are in %q by %q", m.Message, m.Author)
		}
	}
}

func TestAHundredAtOnce(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	var revisions []string
	want := map[string]string{}
	for i := range 100 {
		name := fmt.Sprintf("b%02d", i)
		if err := repo.SetBranch(t.Context(), name, head); err != nil {
			t.Fatal(err)
		}
		want[name] = change(t, repo, testbed.Change{Branch: name, Files: content(map[string]string{"a": name})})
		revisions = append(revisions, name)
	}
	s := newSources(t, Options{})
	var all sync.WaitGroup
	for _, r := range revisions {
		all.Go(func() {
			out, err := resolve(t.Context(), s, repo.URL(), r)
			if err != nil || out[r].Commit != want[r] {
				t.Errorf("%s: %+v %v", r, out[r], err)
				return
			}
			snap, err := s.At(t.Context(), fleet.Target{RepoURL: repo.URL()}, out[r].Commit)
			if err != nil {
				t.Errorf("%s: %v", r, err)
				return
			}
			if text, _, err := read(t.Context(), snap, "a"); err != nil || text != r {
				t.Errorf("%s has %q, %v", r, text, err)
			}
		})
	}
	all.Wait()
	out, err := resolve(t.Context(), s, repo.URL(), revisions...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range revisions {
		if out[r].Commit != want[r] {
			t.Errorf("%s: %+v", r, out[r])
		}
	}
}

func TestFilesOfAStoreThatAreDamaged(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"zeros":   func(b []byte) []byte { return make([]byte, len(b)) },
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 0x40; return b },
	} {
		for kind, files := range map[string]map[string]string{"loose": {"a": strings.Repeat("some text\n", 50)}, "packed": manyFiles(0)} {
			t.Run(name+" "+kind, func(t *testing.T) {
				server := gitServer(t, testbed.GitOptions{})
				repo, head := createRepo(t, server, "app", files)
				dir := t.TempDir()
				s := newSources(t, Options{Dir: dir})
				mustResolve(t, s, repo.URL(), "main")
				s.Close()
				damaged := 0
				err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
					if err != nil || e.IsDir() {
						return err
					}
					old, err := os.ReadFile(path)
					if err != nil {
						return err
					}
					damaged++
					return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, damage(old), 0o600))
				})
				if err != nil || damaged == 0 {
					t.Fatalf("%d %v", damaged, err)
				}
				s = newSources(t, Options{Dir: dir})
				var failed error
				for range 3 { // a look may fail, the repository may not
					var out map[string]Resolved
					if out, failed = resolve(context.WithoutCancel(t.Context()), s, repo.URL(), "main"); failed == nil {
						failed = out["main"].Err
					}
					if failed == nil {
						break
					}
				}
				if failed != nil {
					t.Fatal(failed)
				}
				snap := snapshot(t, s, repo.URL(), head)
				for path, want := range files {
					if got := fileText(t, snap, path); got != want {
						t.Errorf("%s is %.60q", path, got)
					}
					break
				}
			})
		}
	}
}

func TestCommitsThatAreMalformed(t *testing.T) {
	tree := objectID("tree", nil)
	for name, text := range map[string]string{
		"empty":        "",
		"text":         "hello",
		"no tree":      "author a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nm",
		"short tree":   "tree abc\nauthor a <a@b> 1 +0000\n\nm",
		"two trees":    "tree " + tree + "\ntree " + strings.Repeat("0", 40) + "\n\nm",
		"tree is none": "tree " + strings.Repeat("0", 40) + "\n\nm",
		"never ends":   "tree " + tree + "\ngpgsig " + strings.Repeat(" x\n", 1_000_000),
		"far future":   "tree " + tree + "\ncommitter a <b> 99999999999999 +0000\n\nm",
		"odd bytes":    "tree " + tree + "\nauthor \xff\xfe\x00 <> x\n\n\xf0\x28\x8c\x28\x1b]0;x\x07\u202e",
	} {
		begin := time.Now()
		id := objectID("commit", []byte(text))
		pack := packOf(rawObject{typ: 1, size: len(text), content: []byte(text)}, rawObject{typ: 2})
		url := evilGit(t, head(id), func(w io.Writer) { sideband(w, pack) })
		s := newSources(t, Options{})
		out, err := resolve(t.Context(), s, url, "main")
		r := out["main"]
		if err == nil {
			err = r.Err
		}
		// Either nothing, or the commit of this name and its tree, which is empty.
		if err == nil {
			snap, atErr := s.At(t.Context(), fleet.Target{RepoURL: url}, r.Commit)
			if atErr == nil {
				files, listErr := listFiles(t.Context(), snap, "", true)
				if err = listErr; len(files) > 0 || r.Commit != id {
					t.Errorf("%s: commit %s has %v", name, r.Commit, files)
				}
			}
			if _, err := json.Marshal(r.Revision); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if strings.ContainsAny(r.Revision.Message+r.Revision.Author, "\x00\x07\x1b\u202e") {
				t.Errorf("%s: %q by %q", name, r.Revision.Message, r.Revision.Author)
			}
		}
		// A big commit needs time as a big file does.
		if took := time.Since(begin); took > 8*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
		if st := s.pool.Stats(); st.Crashed > 0 || st.Killed > 0 || fault.HasCode(err, "internal") {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
	}
}

func TestIndexesThatAreHuge(t *testing.T) {
	good := redis()
	goodURL, pair := startTLS(t, good, "")
	s := newSources(t, always(trusting(pair)))
	var sent int64
	endless := httptest.NewServer(countBodies(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "apiVersion: v1\nentries:\n")
		line := strings.Repeat("  # no end\n", 5000)
		for {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	}), &sent))
	_, err := resolveTarget(t, s, fleet.Target{RepoURL: endless.URL, Chart: "web"})
	endless.Close()
	if !fault.Is(err, fault.Unprocessable) || sent > 200<<20 {
		t.Errorf("an index without end: %v, after %d MiB", err, sent>>20)
	}

	nested := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "apiVersion: v1\nentries: {web: "+strings.Repeat("[", 1_000_000))
	}))
	defer nested.Close()
	if _, err := resolveTarget(t, s, fleet.Target{RepoURL: nested.URL, Chart: "web"}); !fault.Is(err, fault.Unprocessable) && !fault.Is(err, fault.Upstream) {
		t.Errorf("an index that is nested: %v", err)
	}

	many := &sourcetest.Charts{}
	archive := sourcetest.Chart("web", "1.0.0", nil)
	many.Add("web", "1.0.0", "", "", archive)
	var index strings.Builder
	index.WriteString("apiVersion: v1\nentries:\n")
	for i := range 50_000 {
		fmt.Fprintf(&index, "  chart-%05d:\n  - {name: chart-%05d, version: 1.0.%d, urls: [charts/x.tgz], description: %q}\n", i, i, i, strings.Repeat("words ", 10))
	}
	index.WriteString("  web:\n  - {name: web, version: 1.0.0, urls: [charts/web-1.0.0.tgz]}\n")
	many.Index = []byte(index.String())
	manyURL, manyPair := startTLS(t, many, "")
	big := newSources(t, always(trusting(manyPair)))
	if _, err := resolveTarget(t, big, fleet.Target{RepoURL: manyURL, Chart: "web", Revision: "^1"}); err != nil {
		t.Errorf("50,000 charts: %v", err)
	}
	if _, err := resolveTarget(t, s, fleet.Target{RepoURL: goodURL, Chart: "redis", Revision: "^20"}); err != nil {
		t.Errorf("another repository: %v", err)
	}
	for _, st := range []*Sources{s, big} {
		if st := st.pool.Stats(); st.Crashed > 0 {
			t.Errorf("%+v", st)
		}
	}
}
