package source

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

// A checkout with its files, and a linked one, are repositories of this machine
// as well as a bare one is: hawser-hub render --repo .@v1 reads them.
func TestFileURLOfACheckout(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", map[string]string{"a": "1"})
	clone, linked := filepath.Join(t.TempDir(), "clone"), filepath.Join(t.TempDir(), "linked")
	for _, args := range [][]string{{"clone", "--quiet", repo.Dir(), clone}, {"-C", clone, "worktree", "add", "--quiet", "--detach", linked}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	s := newSources(t, Options{AllowFile: true})
	for _, dir := range []string{clone, linked} {
		if got := mustResolve(t, s, "file://"+dir, "main"); got != head {
			t.Errorf("%s: got %s, want %s", dir, got, head)
		}
	}
	if _, err := resolve(t.Context(), s, "file://"+t.TempDir(), "main"); !fault.HasCode(err, "repository_not_found") {
		t.Errorf("a directory that is no repository: %v", err)
	}
}
