package render

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestPlainDirectories(t *testing.T) {
	snap := &memory{commit: "c1", files: map[string]string{
		"app/a.yaml": configMap("a"), "app/b.yml": configMap("b"), "app/c.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`,
		"app/README.md": "# hello", "app/none": configMap("none"), "app/sub/d.yaml": configMap("d") + "---\n" + configMap("d2"),
		"app/sub/deep/e.yaml": "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(configMap("e")), "\n", "\n  ") + "\n",
		"app/skipped.yaml":    "# +argocd:skip-file-rendering\nnot: [a manifest", "app/empty.yaml": "# nothing\n",
		"top.yaml": configMap("top"), "empty/.gitkeep": "",
	}}
	r := newRenderer(t, Options{})
	dir := func(o model.DirectoryOption) *model.DirectoryOption { return &o }
	tests := []struct {
		name string
		path string
		dir  *model.DirectoryOption
		want string
	}{
		{"flat", "app", nil, "a b c"},
		{"recurse", "app", dir(model.DirectoryOption{Recurse: true}), "a b c d d2 e"},
		{"root", "", nil, "top"},
		{"root by dot", ".", nil, "top"},
		{"path is cleaned", "./app//", nil, "a b c"},
		{"include", "app", dir(model.DirectoryOption{Recurse: true, Include: "*.yml"}), "b"},
		{"include alternatives", "app", dir(model.DirectoryOption{Recurse: true, Include: "{a.yaml,sub/*}"}), "a d d2 e"},
		{"exclude", "app", dir(model.DirectoryOption{Recurse: true, Exclude: "sub/**"}), "a b c"},
		{"exclude beats include", "app", dir(model.DirectoryOption{Recurse: true, Include: "*.yaml", Exclude: "sub/deep/*"}), "a d d2"},
		{"any extension", "app", dir(model.DirectoryOption{DisableExtensionFilter: true, Exclude: "README.md"}), "a b c none"},
		{"a manifest without an object", "app", dir(model.DirectoryOption{Include: "empty.yaml"}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := r.Render(t.Context(), Request{Source: model.Source{Path: tt.path, Directory: tt.dir}, Snapshot: snap})
			if err != nil {
				t.Fatal(err)
			}
			if got := names(res.Objects); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if res.Empty != (tt.want == "") || res.Unchanged || res.Revision.Commit != "c1" || res.Key == "" {
				t.Errorf("%+v", res)
			}
			back, err := manifest.DecodeBundle(res.Encoded, res.Digest)
			if err != nil || names(back) != tt.want {
				t.Errorf("bundle %q %v", names(back), err)
			}
		})
	}
	res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app", Directory: dir(model.DirectoryOption{Recurse: true})}, Snapshot: snap})
	if err != nil {
		t.Fatal(err)
	}
	var origins []string
	for _, o := range res.Objects {
		origins = append(origins, o.Origin)
	}
	if got := strings.Join(origins, " "); got != "app/a.yaml#1 app/b.yml#1 app/c.json#1 app/sub/d.yaml#1 app/sub/d.yaml#2 app/sub/deep/e.yaml#1.items[0]" {
		t.Errorf("origins %s", got)
	}
}

func TestRefusedSources(t *testing.T) {
	snap := &memory{files: map[string]string{
		"sub/kust/kustomization.yml": "", "ok/a.yaml": configMap("a"), "ok/b.jsonnet": "{}",
		"bad/tab.yaml": "a:\n\tb: 1\n", "bad/dup.yaml": configMap("x") + "kind: Twice\n", "bad/kind.yaml": "apiVersion: v1\n",
		"twice/a.yaml": configMap("same"), "twice/b.yaml": configMap("other") + "---\n" + configMap("same"),
		"link/a.yaml": "-> nowhere", "big/a.yaml": "#" + strings.Repeat("x", 300), "many/a.yaml": strings.Repeat(configMap("x")+"---\n", 5),
		"none/prod/README.md": "",
		"sum/a.yaml":          "#" + strings.Repeat("x", 90), "sum/b.yaml": "#" + strings.Repeat("y", 90),
	}}
	r := newRenderer(t, Options{Limits: Limits{FileBytes: 280, TotalBytes: 320, Objects: 4, Depth: 20, AliasExpansion: 1000}})
	src := func(path string) model.Source { return model.Source{Path: path} }
	tests := []struct {
		name string
		src  model.Source
		code string
		text string
	}{
		{"two tools", model.Source{Helm: &model.HelmSource{}, Kustomize: &model.KustomizeSource{}}, "source_type_ambiguous", "two tools, helm and kustomize"},
		{"escape", src("../x"), "path_escapes_repo", "may not leave the repository"},
		{"escape inside", src("a/../../x"), "path_escapes_repo", ""},
		{"absolute", src("/etc"), "path_escapes_repo", ""},
		{"missing", src("nope"), "path_not_found", "nope"},
		{"glob", model.Source{Path: "ok", Directory: &model.DirectoryOption{Include: "{a"}}, "expression_invalid", "\"{\" without \"}\""},
		{"duplicate", src("twice"), "duplicate_object", "ConfigMap same is defined twice: twice/a.yaml#1 and twice/b.yaml#2"},
		{"broken link", src("link"), "symlink_out_of_bounds", "link/a.yaml"},
		{"big file", src("big"), "too_large", "big/a.yaml"},
		{"too many objects", src("many"), "too_large", "more than 4 objects"},
		{"too much together", src("sum"), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := r.Render(t.Context(), Request{Source: tt.src, Snapshot: snap})
			if tt.code == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v", err)
			}
		})
	}
	// Several problems come together, with their places.
	_, err := r.Render(t.Context(), Request{Source: src("bad"), Snapshot: snap})
	var list fault.List
	if !errors.As(err, &list) || len(list) != 3 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{"yaml_duplicate_key bad/dup.yaml:4:1", "manifest_incomplete bad/kind.yaml", "yaml_invalid bad/tab.yaml:2:1"} {
		if got := list[i].Code + " " + list[i].Message; !strings.HasPrefix(got, want) {
			t.Errorf("problem %d: %s, want %s", i, got, want)
		}
	}
	small := newRenderer(t, Options{Limits: Limits{FileBytes: 200, TotalBytes: 150, Objects: 4, Depth: 20, AliasExpansion: 1000}})
	if _, err := small.Render(t.Context(), Request{Source: src("sum"), Snapshot: snap}); !fault.HasCode(err, "too_large") {
		t.Errorf("got %v", err)
	}
	// A kustomization that is a plain directory by explicit wish.
	if res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "sub", Directory: &model.DirectoryOption{Recurse: true, Exclude: "*"}}, Snapshot: snap}); err != nil || !res.Empty || len(res.Warnings) != 1 || res.Warnings[0].Code != "no_manifests" {
		t.Errorf("got %+v %v", res, err)
	}
	if _, err := r.Render(t.Context(), Request{Source: model.Source{Path: "ok", Directory: &model.DirectoryOption{Exclude: "*.jsonnet"}}, Snapshot: snap}); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestUnchangedInputsRenderNothing(t *testing.T) {
	r := newRenderer(t, Options{})
	files := map[string]string{"app/a.yaml": configMap("a"), "app/notes.txt": "1", "app/sub/b.yaml": configMap("b"), "other/x.yaml": configMap("x")}
	render := func(commit, previous string, src model.Source) Result {
		t.Helper()
		res, err := r.Render(t.Context(), Request{Source: src, Snapshot: &memory{commit: commit, files: files}, PreviousKey: previous})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	src := model.Source{Path: "app"}
	first := render("1", "", src)
	jobs := r.pool.Stats().Jobs
	if again := render("2", first.Key, src); !again.Unchanged || again.Key != first.Key || again.Objects != nil || again.Revision.Commit != "2" {
		t.Errorf("%+v", again)
	}
	files["other/x.yaml"] = configMap("y")
	files["app/notes.txt"] = "2"
	files["app/sub/b.yaml"] = configMap("c")
	if res := render("3", first.Key, src); !res.Unchanged {
		t.Error("files that are no manifests of the source made a difference")
	}
	// Another application with the same files shares the result.
	if res := render("3", "", src); res.Unchanged || names(res.Objects) != "a" || res.Key != first.Key {
		t.Errorf("%+v", res)
	}
	if got := r.pool.Stats().Jobs; got != jobs {
		t.Errorf("%d renders without need", got-jobs)
	}
	recursive := model.Source{Path: "app", Directory: &model.DirectoryOption{Recurse: true}}
	if res := render("3", first.Key, recursive); res.Unchanged || names(res.Objects) != "a c" {
		t.Errorf("%+v", res)
	}
	files["app/a.yaml"] = configMap("changed")
	if res := render("4", first.Key, src); res.Unchanged || names(res.Objects) != "changed" || res.Digest == first.Digest {
		t.Errorf("%+v", res)
	}
}

func TestObjectsAreTheCallersOwn(t *testing.T) {
	r := newRenderer(t, Options{})
	snap := &memory{files: map[string]string{"app/a.yaml": configMap("a")}}
	req := Request{Source: model.Source{Path: "app"}, Snapshot: snap}
	one, err := r.Render(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	one.Objects[0].Body["kind"] = "Changed"
	two, err := r.Render(t.Context(), req)
	if err != nil || two.Objects[0].Body["kind"] != "ConfigMap" {
		t.Errorf("%v %v", two.Objects, err)
	}
}

func TestEqualRendersRunOnce(t *testing.T) {
	r := newRenderer(t, Options{})
	snap := &memory{files: map[string]string{"app/a.yaml": configMap("a"), "bad/a.yaml": "a: [", "later/a.yaml": configMap("b")}}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := r.Render(t.Context(), Request{Source: model.Source{Path: "bad"}, Snapshot: snap}); !fault.HasCode(err, "yaml_invalid") {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := r.pool.Stats().Jobs; got != 2 {
		t.Errorf("%d renders", got)
	}
	// An error that the content did not cause is not kept.
	snap.err = errors.New("no Git process")
	if _, err := r.Render(t.Context(), Request{Source: model.Source{Path: "later"}, Snapshot: snap}); err == nil {
		t.Error("no error")
	}
	snap.mu.Lock()
	snap.err = nil
	snap.mu.Unlock()
	if _, err := r.Render(t.Context(), Request{Source: model.Source{Path: "later"}, Snapshot: snap}); err != nil {
		t.Error(err)
	}
}

// hang is a Snapshot that never answers a read.
type hang struct {
	*memory
	reading chan struct{}
}

func (h hang) Contents(ctx context.Context, _ []string) ([][]byte, error) {
	close(h.reading)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestDeadlineAndCancellation(t *testing.T) {
	r := newRenderer(t, Options{Workers: 1})
	snap := hang{&memory{files: map[string]string{"app/a.yaml": configMap("a")}}, make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-snap.reading; cancel() }()
	if _, err := r.Render(ctx, Request{Source: model.Source{Path: "app"}, Snapshot: snap}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap.memory}); err != nil || names(res.Objects) != "a" {
		t.Errorf("%v %v", res.Objects, err)
	}
	hasty := newRenderer(t, Options{Workers: 1, Deadline: time.Nanosecond})
	if _, err := hasty.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap.memory}); !fault.HasCode(err, "render_timeout") || !fault.Is(err, fault.Unprocessable) {
		t.Errorf("got %v", err)
	}
}

func TestHostileFilesEndSoonAndHarmNobody(t *testing.T) {
	laughs := "a0: &a0 [" + strings.Repeat("x,", 50) + "]\n"
	for i := range 9 {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 20))
	}
	aliases := "a: &a x\nb: [" + strings.Repeat("*a,", 2_000_000) + "]\n"
	snap := &memory{files: map[string]string{
		"ok/a.yaml":      configMap("a"),
		"laughs/a.yaml":  laughs,
		"aliases/a.yaml": aliases,
		"tiny/a.yaml":    strings.Repeat(configMap("x")+"---\n", 100_000),
		"deep/a.yaml":    strings.Repeat("[", 400_000),
		"indent/a.yaml":  deepIndent(2000),
		"long/a.yaml":    configMap("x") + "data: {a: \"" + strings.Repeat("y", 9<<20) + "\"}\n",
	}}
	r := newRenderer(t, Options{Workers: 2, MemoryLimit: 768 << 20})
	want := map[string]string{"laughs": "yaml_alias_limit", "aliases": "too_large", "tiny": "too_large", "deep": "yaml_invalid", "indent": "yaml_invalid", "long": ""}
	var wg sync.WaitGroup
	for path, code := range want {
		wg.Go(func() {
			started := time.Now()
			_, err := r.Render(t.Context(), Request{Source: model.Source{Path: path}, Snapshot: snap})
			if (code == "" && err != nil) || (code != "" && !fault.HasCode(err, code)) {
				t.Errorf("%s: %v", path, err)
			}
			t.Logf("%s took %s", path, time.Since(started))
		})
		wg.Go(func() {
			res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "ok", Directory: &model.DirectoryOption{Include: "{a.yaml," + path + "}"}}, Snapshot: snap})
			if err != nil || names(res.Objects) != "a" {
				t.Errorf("a render beside %s: %v", path, err)
			}
		})
	}
	wg.Wait()
	if s := r.pool.Stats(); s.Crashed != 0 {
		t.Errorf("%+v", s)
	}
}

func deepIndent(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func fleetFiles(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		dir := fmt.Sprintf("apps/app-%03d/", i)
		name := fmt.Sprintf("web-%03d", i)
		files[dir+"deployment.yaml"] = fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %[1]s, labels: {app: %[1]s}}\nspec:\n  replicas: 0\n  selector: {matchLabels: {app: %[1]s}}\n  template:\n    metadata: {labels: {app: %[1]s}}\n    spec:\n      containers:\n      - name: main\n        image: registry.example/web:1\n        ports: [{containerPort: 80}]\n", name)
		files[dir+"service.yaml"] = fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %[1]s}\nspec:\n  clusterIP: None\n  selector: {app: %[1]s}\n  ports: [{port: 80}]\n", name)
		files[dir+"account.yaml"] = fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s}\n", name)
		files[dir+"config.yaml"] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata:\n  config: |\n%s", name, strings.Repeat("    some line of configuration, 64 bytes with its indentation ...\n", 30))
	}
	return files
}

// dirs is a Snapshot that lists one directory without looking at all others.
type dirs struct {
	root   string
	byDir  map[string][]string
	files  map[string]string
	byHash map[string][]byte
}

func newDirs(files map[string]string) *dirs {
	d := &dirs{byDir: map[string][]string{}, files: files, byHash: map[string][]byte{}}
	for p, text := range files {
		dir := p[:strings.LastIndexByte(p, '/')]
		d.byDir[dir] = append(d.byDir[dir], p)
		d.byHash[hashOf(text)] = []byte(text)
	}
	for _, l := range d.byDir {
		sort.Strings(l)
	}
	return d
}

func (d *dirs) Revision() model.Revision { return model.Revision{} }

func (d *dirs) Root() string { return d.root }

func (d *dirs) Stat(_ context.Context, p string) (hash string, size int64, mode uint32, err error) {
	if text, ok := d.files[p]; ok {
		return hashOf(text), int64(len(text)), 0o100644, nil
	}
	return "", 0, 0, nil
}

func (d *dirs) List(_ context.Context, dir string, _ bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error {
	for _, p := range d.byDir[dir] {
		visit(p, hashOf(d.files[p]), int64(len(d.files[p])), 0o100644, false)
	}
	return nil
}

func (d *dirs) Contents(_ context.Context, hashes []string) ([][]byte, error) {
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		out[i] = d.byHash[h]
	}
	return out, nil
}

// BenchmarkRender500x4 renders 500 applications of four objects each, the pipe
// to the workers included.
func BenchmarkRender500x4(b *testing.B) {
	snap := newDirs(fleetFiles(500))
	for b.Loop() {
		b.StopTimer()
		r := newRenderer(b, Options{})
		if err := r.pool.Warm(8); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		var wg sync.WaitGroup
		slots := make(chan struct{}, 4)
		for i := range 500 {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				res, err := r.Render(context.Background(), Request{Source: model.Source{Path: fmt.Sprintf("apps/app-%03d", i)}, Snapshot: snap})
				if err != nil || len(res.Objects) != 4 {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		r.Close()
		b.StartTimer()
	}
}

// BenchmarkUnchanged500 is a look at 500 applications of which none changed.
func BenchmarkUnchanged500(b *testing.B) {
	snap := newDirs(fleetFiles(500))
	r := newRenderer(b, Options{})
	keys := make([]string, 500)
	for i := range keys {
		res, err := r.Render(context.Background(), Request{Source: model.Source{Path: fmt.Sprintf("apps/app-%03d", i)}, Snapshot: snap})
		if err != nil {
			b.Fatal(err)
		}
		keys[i] = res.Key
	}
	for b.Loop() {
		for i, k := range keys {
			res, err := r.Render(context.Background(), Request{Source: model.Source{Path: fmt.Sprintf("apps/app-%03d", i)}, Snapshot: snap, PreviousKey: k})
			if err != nil || !res.Unchanged {
				b.Fatal(err)
			}
		}
	}
}
