package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReservedPortsDiffer(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		p, err := ReservePort()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Release()
		if seen[p.Number()] || p.Number() < portFloor || p.Number() >= portCeiling {
			t.Fatalf("port %d", p.Number())
		}
		seen[p.Number()] = true
		ln, err := net.Listen("tcp4", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}

func TestLostPort(t *testing.T) {
	p, ln, err := reserveAndListen()
	if err != nil {
		t.Fatal(err)
	}
	defer p.release()
	defer ln.Close()
	_, taken := p.listen()
	for _, test := range []struct {
		err  error
		lost bool
	}{
		{nil, false},
		{taken, true},
		{fmt.Errorf("kube-apiserver exit status 1; the end of its log:\nlisten tcp 127.0.0.1:1: bind: address already in use"), true},
		{errors.New("unknown flag"), false},
	} {
		if got := lostPort(test.err); got != test.lost {
			t.Errorf("%v: lost a port: %v, want %v", test.err, got, test.lost)
		}
	}
}

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := lockFile(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var said strings.Builder
	if _, err := lockFile(ctx, path, &said); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a held lock: %v", err)
	}
	if strings.Count(said.String(), "waiting") != 1 {
		t.Errorf("said %q", said.String())
	}
	release()
	again, err := lockFile(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestSweepRemovesAbandonedDirectoriesOnly(t *testing.T) {
	in := t.TempDir()
	make := func(name string, lock bool) string {
		dir := filepath.Join(in, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if lock {
			if err := os.WriteFile(filepath.Join(dir, runDirLock), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	abandoned := make(runDirPrefix+"abandoned", true)
	owned := make(runDirPrefix+"owned", true)
	foreign := make("something-else", true)
	unmarked := make(runDirPrefix+"unmarked", false)
	release, err := lockFile(t.Context(), filepath.Join(owned, runDirLock), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	exists := func(dir string) bool { _, err := os.Stat(dir); return err == nil }

	sweepRunDirs(in, time.Now())
	if !exists(abandoned) {
		t.Fatal("a young directory was removed: its owner may not have locked it yet")
	}
	sweepRunDirs(in, time.Now().Add(time.Hour))
	if exists(abandoned) || !exists(owned) || !exists(foreign) || !exists(unmarked) {
		t.Fatalf("abandoned %v, owned %v, foreign %v, unmarked %v", exists(abandoned), exists(owned), exists(foreign), exists(unmarked))
	}
}

func TestBuildKeyFollowsThePins(t *testing.T) {
	root, err := RepoRoot()
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(root, "e2e", "testbed", "controlplane")
	version, key, err := buildKey(module)
	if err != nil || !strings.HasPrefix(version, "v1.") || len(key) != 16 {
		t.Fatalf("version %q, key %q, %v", version, key, err)
	}
	changed := t.TempDir()
	if err := os.CopyFS(changed, os.DirFS(module)); err != nil {
		t.Fatal(err)
	}
	if _, same, err := buildKey(changed); err != nil || same != key {
		t.Fatalf("a copy has key %q, %v; want %q", same, err, key)
	}
	sums, err := os.OpenFile(filepath.Join(changed, "go.sum"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sums.WriteString("example.test/x v1.0.0 h1:x\n"); err != nil {
		t.Fatal(err)
	}
	sums.Close()
	if _, other, err := buildKey(changed); err != nil || other == key {
		t.Fatalf("other pins have key %q, %v", other, err)
	}
	for _, want := range []string{"gitVersion=v1.37.2", "gitMajor=1", "gitMinor=37"} {
		if flags := ldflags("v1.37.2"); !strings.Contains(flags+" ", want+" ") {
			t.Errorf("%q lacks %q", flags, want)
		}
	}
}

func TestBuildProgress(t *testing.T) {
	p := &buildProgress{started: time.Now()}
	for _, part := range []string{"go: downloading k8s.io/api v0.37.2\n", "k8s.io/", "api/core/v1\nerrors\n", "# k8s.io/broken\n./x.go:1:2: undefined: y\n"} {
		if n, err := p.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if line := p.line(); !strings.Contains(line, "1 modules fetched, 2 packages compiled") {
		t.Errorf("progress %q", line)
	}
	if tail := p.tail(); !strings.Contains(tail, "undefined: y") {
		t.Errorf("tail %q", tail)
	}
}
