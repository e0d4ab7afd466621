package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

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
	if got := mustResolve(t, s, repo.URL(), "main"); got != head {
		t.Fatalf("got %s", got)
	}
	snap := snapshot(t, s, repo.URL(), head)
	if got := fileText(t, snap, "apps/app-000/config.yaml"); got != "value: 0\napp: 0\n" {
		t.Errorf("got %q", got)
	}
	// Again, under a snapshot that is in use. The worker has the old packs
	// open, so it has to be another one that reads.
	stores, err := filepath.Glob(filepath.Join(dir, "*", "objects"))
	if err != nil || len(stores) != 1 {
		t.Fatalf("%v %v", stores, err)
	}
	if err := os.RemoveAll(stores[0]); err != nil {
		t.Fatal(err)
	}
	s.pool.Close()
	s.pool = newSources(t, Options{Dir: dir}).pool
	if got := fileText(t, snap, "apps/app-001/config.yaml"); got != "value: 0\napp: 1\n" {
		t.Errorf("got %q", got)
	}
	server.Down()
	if err := os.RemoveAll(stores[0]); err != nil {
		t.Fatal(err)
	}
	s.pool.Close()
	s.pool = newSources(t, Options{Dir: dir}).pool
	if _, _, err := read(t.Context(), snap, "apps/app-002/config.yaml"); !fault.HasCode(err, "git_unavailable") {
		t.Errorf("got %v", err)
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

func TestRepositoriesThatDifferOnlyInTheHomeDirectoryAreApart(t *testing.T) {
	s := newSources(t, Options{})
	seen := map[string]string{}
	for _, raw := range []string{"git@host:x", "git@host:/x", "ssh://git@host:2222/x", "ssh://other@host/x", "https://host/x"} {
		u, err := ParseURL(raw, false)
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := seen[s.directory(u)]; ok {
			t.Errorf("%s and %s share a store", raw, before)
		}
		seen[s.directory(u)] = raw
	}
}
