package render

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/cache"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// memory is a Snapshot of files by path. "-> target" is a symbolic link,
// relative to the directory that it is in. It can be changed between renders.
type memory struct {
	commit string
	files  map[string]string
	// rootless: nobody knows whether the whole is the same.
	rootless bool

	mu    sync.Mutex
	reads int   // calls of Contents
	looks int   // calls of Stat and List
	err   error // of Contents
}

func snapshotOf(files map[string]string) *memory { return &memory{files: files} }

func (m *memory) Revision() model.Revision { return model.Revision{Commit: m.commit} }

func hashOf(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (m *memory) hashBelow(dir string) string {
	var parts []string
	for p, text := range m.files {
		if dir == "" || strings.HasPrefix(p, dir+"/") {
			parts = append(parts, p+"\x00"+text)
		}
	}
	sort.Strings(parts)
	return hashOf(strings.Join(parts, "\x01"))
}

func (m *memory) Root() string {
	if m.rootless {
		return ""
	}
	return m.hashBelow("")
}

// follow resolves a link that a whole path is; text is the content it ends at.
func (m *memory) follow(p string) (text string, ok bool, err error) {
	for range 10 {
		text, ok = m.files[p]
		target, link := strings.CutPrefix(text, "-> ")
		if !ok || !link {
			return text, ok, nil
		}
		p = path.Join(path.Dir(p), target)
		if p == ".." || strings.HasPrefix(p, "../") {
			return "", false, fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s leads out", p)
		}
	}
	return "", false, nil
}

func (m *memory) Stat(_ context.Context, p string) (hash string, size int64, mode uint32, err error) {
	m.mu.Lock()
	m.looks++
	m.mu.Unlock()
	text, ok, err := m.follow(p)
	if err != nil {
		return "", 0, 0, err
	}
	if ok {
		return hashOf(text), int64(len(text)), 0o100644, nil
	}
	for f := range m.files {
		if p == "" || strings.HasPrefix(f, p+"/") {
			return m.hashBelow(p), 0, 0o040000, nil
		}
	}
	return "", 0, 0, nil
}

func (m *memory) List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error {
	prefix := dir + "/"
	if dir == "" {
		prefix = ""
	}
	found := map[string]bool{}
	for p := range m.files {
		rest, ok := strings.CutPrefix(p, prefix)
		if !ok {
			continue
		}
		if first, _, nested := strings.Cut(rest, "/"); nested && !recurse {
			p = prefix + first
		}
		found[p] = true
	}
	if len(found) == 0 && dir != "" {
		return fault.New(fault.Unprocessable, "path_not_found", "path %q does not exist", dir)
	}
	paths := make([]string, 0, len(found))
	for p := range found {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	for _, p := range paths {
		hash, size, mode, err := m.Stat(ctx, p)
		if err != nil {
			return err
		}
		visit(p, hash, size, mode, mode == 0)
	}
	return nil
}

func (m *memory) Contents(_ context.Context, hashes []string) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	m.reads++
	byHash := map[string]string{}
	for _, text := range m.files {
		byHash[hashOf(text)] = text
	}
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		text, ok := byHash[h]
		if !ok {
			return nil, fmt.Errorf("no content %s", h)
		}
		out[i] = []byte(text)
	}
	return out, nil
}

// with returns a copy at the next commit with some files changed; an empty text
// removes one.
func (m *memory) with(changes ...string) *memory {
	next := &memory{commit: m.commit + "+", files: map[string]string{}, rootless: m.rootless}
	for p, text := range m.files {
		next.files[p] = text
	}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			delete(next.files, changes[i])
			continue
		}
		next.files[changes[i]] = changes[i+1]
	}
	return next
}

func newRenderer(t testing.TB, opts Options) *Renderer {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if opts.WorkerCommand == nil {
		opts.WorkerCommand = []string{exe, "worker-render"}
	} else {
		opts.WorkerCommand = append([]string{exe}, opts.WorkerCommand...)
	}
	if opts.Results == nil {
		opts.Results = kept(32 << 20)
	}
	r, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// kept is a cache of so many bytes, as the hub has it.
func kept(bytes int64) Cache {
	return cache.Part{Store: cache.NewMemory(bytes, nil), Space: cache.Space{Name: "manifests", TTL: time.Hour}}
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func names(objs []manifest.Object) string {
	var out []string
	for _, o := range objs {
		out = append(out, o.Key.Name)
	}
	return strings.Join(out, " ")
}
