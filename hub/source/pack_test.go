package source

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

// similar are files that a server packs as differences to one another.
func similar(version, n int) map[string]string {
	random := rand.New(rand.NewPCG(1, 2))
	files := map[string]string{}
	var base []string
	for range 200 {
		base = append(base, fmt.Sprintf("line %x", random.Uint64()))
	}
	for i := range n {
		lines := append([]string{fmt.Sprintf("file %d of version %d", i, version)}, base...)
		lines[random.IntN(200)] = fmt.Sprintf("own %x", random.Uint64())
		files[fmt.Sprintf("apps/%03d/config.yaml", i)] = strings.Join(lines, "\n")
	}
	return files
}

// gitChecks has the git command look at what is in an object store.
func gitChecks(t *testing.T, dir string) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.idx"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("%v %v", packs, err)
	}
	for _, p := range packs {
		if out, err := exec.CommandContext(t.Context(), "git", "verify-pack", p).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", filepath.Base(p), err, out)
		}
	}
}

func TestPacksAreStoredAsGitDoes(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, head := createRepo(t, server, "app", similar(0, 300))
	git(t, repo, "", "repack", "-adfq", "--depth=50")
	s := newSources(t, Options{})
	if got := mustResolve(t, s, repo.URL(), "main"); got != head {
		t.Fatalf("got %s", got)
	}
	u, err := ParseURL(repo.URL(), false)
	if err != nil {
		t.Fatal(err)
	}
	gitChecks(t, s.directory(u))
	// A pack that has differences to what is here already, and is kept as one.
	second := commit(t, repo, similar(1, 300))
	git(t, repo, "", "repack", "-adfq", "--depth=50")
	if got := mustResolve(t, s, repo.URL(), "main"); got != second {
		t.Fatalf("got %s", got)
	}
	gitChecks(t, s.directory(u))
	if packs, err := filepath.Glob(filepath.Join(s.directory(u), "objects", "pack", "*.pack")); err != nil || len(packs) != 2 {
		t.Errorf("%v %v", packs, err)
	}
	for version, sha := range map[int]string{0: head, 1: second} {
		snap := snapshot(t, s, repo.URL(), sha)
		for path, want := range similar(version, 300) {
			if got := fileText(t, snap, path); got != want {
				t.Fatalf("%s of version %d: %.60q", path, version, got)
			}
		}
	}
}

func TestACommitOfOneFileTransfersLittle(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	files := map[string]string{}
	for i := range 3000 { // a directory whose listing alone is large
		files[fmt.Sprintf("apps/app-%05d/config.yaml", i)] = fmt.Sprintf("app: %d\n", i)
	}
	repo, _ := createRepo(t, server, "app", files)
	var sent int64
	front, pair := startTLS(t, countBodies(server, &sent), "")
	s := newSources(t, always(trusting(pair)))
	mustResolve(t, s, front+"/app.git", "main")
	first := sent
	second := commit(t, repo, map[string]string{"apps/app-00007/config.yaml": "app: seven\n"})
	if got := mustResolve(t, s, front+"/app.git", "main"); got != second {
		t.Fatalf("got %s", got)
	}
	if sent-first > 8<<10 {
		t.Errorf("one file cost %d bytes, all of it %d", sent-first, first)
	}
	if got := fileText(t, snapshot(t, s, front+"/app.git", second), "apps/app-00007/config.yaml"); got != "app: seven\n" {
		t.Errorf("got %q", got)
	}
}

func TestApplyDelta(t *testing.T) {
	base := []byte("0123456789")
	head := func(from, to uint64, ops ...byte) []byte {
		return append(binary.AppendUvarint(binary.AppendUvarint(nil, from), to), ops...)
	}
	for name, tt := range map[string]struct {
		delta []byte
		want  string // "" for an error
	}{
		"insert":                  {head(10, 2, 2, 'a', 'b'), "ab"},
		"copy":                    {head(10, 3, 0x91, 4, 3), "456"},
		"both":                    {head(10, 5, 0x90, 2, 1, 'x', 0x91, 8, 2), "01x89"},
		"other base":              {head(9, 2, 2, 'a', 'b'), ""},
		"too short":               {head(10, 3, 2, 'a', 'b'), ""},
		"too long":                {head(10, 1, 2, 'a', 'b'), ""},
		"beyond the base":         {head(10, 3, 0x91, 8, 3), ""},
		"far beyond the base":     {head(10, 3, 0x9f, 0xff, 0xff, 0xff, 0xff, 3), ""},
		"64 KiB of a small base":  {head(10, 0x10000, 0x80), ""},
		"reserved":                {head(10, 1, 0), ""},
		"cut insert":              {head(10, 5, 5, 'a'), ""},
		"cut copy":                {head(10, 5, 0x91, 4), ""},
		"no size":                 {[]byte{10}, ""},
		"nothing":                 {nil, ""},
		"endless number":          {bytes.Repeat([]byte{0xff}, 20), ""},
		"claims what cannot be":   {head(10, 1<<30, 1, 'a'), ""},
		"claims more than may be": {head(10, 1<<40, 1, 'a'), ""},
	} {
		got, err := applyDelta(base, tt.delta)
		if tt.want == "" && err == nil || tt.want != "" && string(got) != tt.want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

// chain is a pack of an object and differences, each to the one before.
func chain(n int) (pack []byte, last string) {
	content := bytes.Repeat([]byte("x"), 100)
	objects := []rawObject{{typ: 3, size: len(content), content: content}}
	for i := range n {
		base := mustHex(objectID("blob", content))
		delta := append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(content))), uint64(len(content)+1)), 0x90, byte(len(content)), 1, byte(i))
		if len(content) > 200 {
			break
		}
		content = append(bytes.Clone(content), byte(i))
		objects = append(objects, rawObject{typ: 7, size: len(delta), base: base, content: delta})
	}
	return packOf(objects...), objectID("blob", content)
}

func TestChainsOfDifferences(t *testing.T) {
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pack, last := chain(90)
	if err := s.addPack(bytes.NewReader(pack), 0); err != nil {
		t.Fatal(err)
	}
	content, err := s.blob(last)
	if err != nil || len(content) != 190 || content[189] != 89 {
		t.Errorf("%d bytes, %v", len(content), err)
	}
	// Against objects that are here, in any order.
	more := packOf(rawObject{typ: 7, size: 5, base: mustHex(last), content: append(binary.AppendUvarint(binary.AppendUvarint(nil, 190), 1), 1, 'y')})
	if err := s.addPack(bytes.NewReader(more), 0); err != nil {
		t.Fatal(err)
	}
	if got, err := s.blob(objectID("blob", []byte("y"))); err != nil || string(got) != "y" {
		t.Errorf("%q %v", got, err)
	}
	fresh, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.addPack(bytes.NewReader(more), 0); !errors.Is(err, errNoBase) {
		t.Errorf("got %v", err)
	}
}

func TestChainsAreNotEndless(t *testing.T) {
	content := []byte{0}
	objects := []rawObject{{typ: 3, size: 1, content: content}}
	for i := range maxChain + 10 {
		next := binary.BigEndian.AppendUint32(nil, uint32(i))
		delta := append([]byte{byte(len(content)), 4, 4}, next...)
		objects = append(objects, rawObject{typ: 7, size: len(delta), base: mustHex(objectID("blob", content)), content: delta})
		content = next
	}
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.addPack(bytes.NewReader(packOf(objects...)), 0); !errors.Is(err, errProtocol) || !strings.Contains(err.Error(), "follow one another") {
		t.Errorf("got %v", err)
	}
	if err := s.addPack(bytes.NewReader(packOf(objects[:3000]...)), 0); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestAServerThatBuildsOnNothing(t *testing.T) {
	url := evilGit(t, head(idA), func(w io.Writer) {
		sideband(w, packOf(rawObject{typ: 7, size: 5, base: bytes.Repeat([]byte{7}, 20), content: []byte{1, 1, 1, 'x', 0}}))
	})
	if _, err := resolve(t.Context(), newSources(t, Options{}), url, "main"); !fault.HasCode(err, "git_not_git") {
		t.Errorf("got %v", err)
	}
}

func FuzzAddPack(f *testing.F) {
	pack, _ := chain(5)
	f.Add(pack)
	f.Add(packOf(rawObject{typ: 3, size: 1, content: []byte("x")}, rawObject{typ: 2, size: 0}))
	f.Add([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"))
	dir, err := os.MkdirTemp("", "fuzz-pack-")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = os.RemoveAll(dir) })
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := openStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		_ = s.addPack(bytes.NewReader(data), 1<<20)
		// The same with a checksum that is right, so that more is looked at.
		if len(data) > 12 {
			sum := sha1.Sum(data)
			_ = s.addPack(bytes.NewReader(append(bytes.Clone(data), sum[:]...)), 1<<20)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "tmp_*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
}

func FuzzApplyDelta(f *testing.F) {
	f.Add([]byte("0123456789"), []byte{10, 5, 0x90, 2, 1, 'x', 0x91, 8, 2})
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		if out, err := applyDelta(base, delta); err == nil && len(out) > 1<<24*len(delta) {
			t.Errorf("%d bytes of %d", len(out), len(delta))
		}
	})
}

func TestComputedHashes(t *testing.T) {
	for _, kind := range []plumbing.ObjectType{plumbing.BlobObject, plumbing.CommitObject} {
		if got, want := plumbing.ComputeHash(kind, []byte("x")).String(), objectID(kind.String(), []byte("x")); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
