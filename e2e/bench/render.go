package main

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/hawser-dev/hawser/e2e/peers"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/app"
	"github.com/hawser-dev/hawser/hub/cache"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// rendering measures renders in worker processes beside their floors.
func (b *bench) rendering(ctx context.Context) error {
	for _, c := range corpora() {
		if err := b.floors(ctx, c); err != nil {
			return fmt.Errorf("floor of %s: %w", c.name, err)
		}
		for _, workers := range []int{1, 2} {
			if err := b.renders(ctx, c, workers); err != nil {
				return fmt.Errorf("%s with %d workers: %w", c.name, workers, err)
			}
		}
	}
	return nil
}

// renders takes samples of a corpus.
func (b *bench) renders(ctx context.Context, c corpus, workers int) error {
	r, err := render.New(render.Options{WorkerCommand: []string{filepath.Join(b.bin, "hawser-hub"), app.RenderWorkerCommand}, Workers: workers, Results: cache.Part{Store: cache.NewMemory(32<<20, nil), Space: cache.Space{Name: "manifests", TTL: 24 * time.Hour}}})
	if err != nil {
		return err
	}
	defer r.Close()
	var next atomic.Int64
	tree := newMemoryTree(c.files)
	one := func(ctx context.Context) error {
		i := int(next.Add(1))
		res, err := r.Render(ctx, render.Request{
			App: model.AppUID(fmt.Sprint(i)), AppName: "bench", Project: "default", Namespace: "bench",
			Source: c.source(i), Snapshot: tree.with(c.nonce, c.content(i)),
			Cluster: func() (string, []string) { return "v1.37.2", nil },
		})
		if err == nil && len(res.Objects) != c.objects {
			err = fmt.Errorf("render %d has %d objects instead of %d", i, len(res.Objects), c.objects)
		}
		return err
	}
	batch := func(n int) error {
		g, ctx := errgroup.WithContext(ctx)
		// The hub has more to render than it has workers, and deals with one
		// result while the next is made.
		g.SetLimit(2 * workers)
		for range n {
			g.Go(func() error { return one(ctx) })
		}
		return g.Wait()
	}
	if err := batch(2 * workers); err != nil { // processes start and warm up
		return err
	}
	name := fmt.Sprintf("render/%s/%dw/", c.name, workers)
	for range b.repeat {
		started := time.Now()
		if err := batch(c.renders); err != nil {
			return err
		}
		each := time.Since(started) / time.Duration(c.renders)
		m := b.add(name+"each", "wall time per render: "+c.what, "ms", ms(each))
		b.add(name+"rate", "renders a second", "1/s", round(1/each.Seconds()))
		if workers > 1 {
			m.over(fmt.Sprintf("render/%s/1w/each", c.name))
			continue
		}
		switch strings.Split(c.name, "-")[0] {
		case "helm":
			m.over("render/"+c.name+"/process").atMost("ratio", 0.1)
		case "kustomize":
			m.over("render/" + c.name + "/process")
		}
	}
	peak, err := childrenPeak()
	if err != nil {
		return err
	}
	b.add(name+"peak", "peak memory of the workers together", "MiB", mib(peak))
	b.logf("✔ %s", strings.TrimSuffix(name, "/"))
	return nil
}

func ms(d time.Duration) float64 { return round(float64(d.Microseconds()) / 1000) }

// childrenPeak is the sum of the peaks of the processes that this one started.
func childrenPeak() (sum int64, err error) {
	table, err := processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range table.tree(os.Getpid(), 0)[1:] {
		if u, err := testbed.ProcessUsage(pid); err == nil {
			sum += u.PeakRSS
		}
	}
	return sum, nil
}

// floors are the template engine alone and a process of the tool's own program.
func (b *bench) floors(ctx context.Context, c corpus) error {
	dir, err := os.MkdirTemp("", "hawser-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files := maps.Clone(c.files)
	files[c.nonce] = c.content(0)
	for p, text := range files {
		p = filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return err
		}
	}
	tools, err := peers.Build(ctx, b.log)
	if err != nil {
		return err
	}
	at := filepath.Join(dir, c.source(0).Path)
	var inProcess func() error
	var command []string
	switch strings.Split(c.name, "-")[0] {
	case "helm":
		ch, err := loader.LoadDir(at)
		if err != nil {
			return err
		}
		inProcess = func() error { return engineAlone(ch) }
		command = []string{tools.Helm, "template", "bench", at, "--include-crds"}
	case "kustomize":
		fs := filesys.MakeFsInMemory()
		for p, text := range files {
			if err := fs.WriteFile("/"+p, []byte(text)); err != nil {
				return err
			}
		}
		inProcess = func() error {
			out, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, "/"+c.source(0).Path)
			if err == nil {
				_, err = out.AsYaml()
			}
			return err
		}
		command = []string{tools.Kustomize, "build", at}
	default:
		return nil
	}
	if err := inProcess(); err != nil {
		return err
	}
	for range b.repeat {
		started := time.Now()
		for range 10 {
			if err := inProcess(); err != nil {
				return err
			}
		}
		b.add("render/"+c.name+"/engine", "floor: the engine alone, everything parsed and in memory", "ms", ms(time.Since(started)/10))
		started = time.Now()
		for range 5 {
			if err := quietly(ctx, command[0], command[1:]...); err != nil {
				return err
			}
		}
		b.add("render/"+c.name+"/process", "floor: one process of "+filepath.Base(command[0])+" "+command[1], "ms", ms(time.Since(started)/5))
	}
	return nil
}

func engineAlone(ch *chart.Chart) error {
	values, err := chartutil.ToRenderValues(ch, map[string]any{}, chartutil.ReleaseOptions{Name: "bench", Namespace: "bench", Revision: 1, IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return err
	}
	_, err = engine.Engine{}.Render(ch, values)
	return err
}

// memoryTree is a render.Snapshot of files in memory. It does not change.
type memoryTree struct {
	files  map[string]memoryFile
	byHash map[string]string
	// children are the entries of each directory, sorted.
	children map[string][]string
	root     string
}

type memoryFile struct{ hash, text string }

func newMemoryTree(files map[string]string) *memoryTree {
	t := &memoryTree{files: map[string]memoryFile{}, byHash: map[string]string{}, children: map[string][]string{}}
	for p, text := range files {
		t.add(p, text)
	}
	t.seal()
	return t
}

// with returns the tree with one more file.
func (t *memoryTree) with(p, text string) *memoryTree {
	n := &memoryTree{files: maps.Clone(t.files), byHash: maps.Clone(t.byHash), children: map[string][]string{}}
	for dir, names := range t.children {
		n.children[dir] = slices.Clone(names)
	}
	n.add(p, text)
	n.seal()
	return n
}

func (t *memoryTree) add(p, text string) {
	sum := sha1.Sum([]byte(text))
	f := memoryFile{hex.EncodeToString(sum[:]), text}
	t.files[p], t.byHash[f.hash] = f, text
	for p != "" {
		dir := path.Dir(p)
		if dir == "." {
			dir = ""
		}
		if slices.Contains(t.children[dir], p) {
			break
		}
		t.children[dir] = append(t.children[dir], p)
		p = dir
	}
}

func (t *memoryTree) seal() {
	h := sha1.New()
	for _, p := range slices.Sorted(maps.Keys(t.files)) {
		fmt.Fprintln(h, p, t.files[p].hash)
	}
	for _, names := range t.children {
		slices.Sort(names)
	}
	t.root = hex.EncodeToString(h.Sum(nil))
}

func (t *memoryTree) Revision() model.Revision { return model.Revision{Commit: t.root} }
func (t *memoryTree) Root() string             { return t.root }

func (t *memoryTree) Stat(_ context.Context, p string) (hash string, size int64, mode uint32, err error) {
	if f, ok := t.files[p]; ok {
		return f.hash, int64(len(f.text)), 0o100644, nil
	}
	if _, ok := t.children[p]; ok {
		return "", 0, 0o040000, nil
	}
	return "", 0, 0, nil
}

func (t *memoryTree) List(ctx context.Context, dir string, recurse bool, visit func(p, hash string, size int64, mode uint32, broken bool)) error {
	if _, ok := t.children[dir]; !ok {
		return fault.New(fault.Unprocessable, "path_not_found", "path %q does not exist", dir)
	}
	var all []string
	var walk func(dir string)
	walk = func(dir string) {
		for _, p := range t.children[dir] {
			_, below := t.children[p]
			if !below || !recurse {
				all = append(all, p)
			}
			if below && recurse {
				walk(p)
			}
		}
	}
	walk(dir)
	slices.Sort(all)
	for _, p := range all {
		hash, size, mode, err := t.Stat(ctx, p)
		if err != nil {
			return err
		}
		visit(p, hash, size, mode, false)
	}
	return nil
}

func (t *memoryTree) Contents(_ context.Context, hashes []string) ([][]byte, error) {
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		out[i] = []byte(t.byHash[h])
	}
	return out, nil
}
