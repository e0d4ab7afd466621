package source

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

// smallDisk mounts a file system of so many bytes; where the tests may not, they
// are skipped.
func smallDisk(t *testing.T, dir string, size int) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // then the directory is removed
}

func growDisk(t *testing.T, dir string, size int) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
}

// A full disk is told as what it is, keeps what was here, and is over when there
// is room again.
func TestADiskThatIsFull(t *testing.T) {
	dir := t.TempDir()
	smallDisk(t, dir, 1<<20)
	server := gitServer(t, testbed.GitOptions{})
	repo, first := createRepo(t, server, "app", map[string]string{"a": "1"})
	s := newSources(t, Options{Dir: filepath.Join(dir, "repositories")})
	mustResolve(t, s, repo.URL(), "main")
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	big := change(t, repo, testbed.Change{Files: map[string][]byte{"b": noise}})
	for range 2 {
		_, err := resolve(t.Context(), s, repo.URL(), "main")
		if !fault.HasCode(err, "git_store_unavailable") || !strings.Contains(err.Error(), "is full") {
			t.Errorf("got %v", err)
		}
	}
	if got := fileText(t, snapshot(t, s, repo.URL(), first), "a"); got != "1" {
		t.Errorf("got %q", got)
	}
	growDisk(t, dir, 64<<20)
	if got := mustResolve(t, s, repo.URL(), "main"); got != big {
		t.Errorf("got %s", got)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "repositories", "*", "objects", "pack", "tmp_*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
