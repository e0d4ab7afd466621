package kustomize_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/e2e/peers"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// TestMain lets the test binary be the render worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker-render" {
		if err := render.WorkerMain(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// set is a tree of files and the directories in it to build.
type set struct {
	name   string
	files  map[string]string
	links  map[string]string
	builds []string
	args   []string // of kustomize build
}

// sets reads testdata: a line of text, "build: DIR" lines, and files, each below
// a line "-- PATH --", "-- PATH crlf --" or "-- PATH -> TARGET --".
func sets(t testing.TB) []set {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	var out []set
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s := set{name: strings.TrimSuffix(filepath.Base(name), ".txt"), files: map[string]string{}, links: map[string]string{}}
		at, crlf := "", false
		for line := range strings.Lines(string(text)) {
			head, isHead := strings.CutPrefix(line, "-- ")
			if isHead && strings.HasSuffix(line, " --\n") {
				at = strings.TrimSuffix(head, " --\n")
				if from, to, link := strings.Cut(at, " -> "); link {
					s.links[from] = to
					at = ""
					continue
				}
				at, crlf = strings.CutSuffix(at, " crlf")
				s.files[at] = ""
				continue
			}
			if at == "" {
				if dir, ok := strings.CutPrefix(line, "build: "); ok {
					s.builds = append(s.builds, strings.TrimSpace(dir))
				}
				if args, ok := strings.CutPrefix(line, "args: "); ok {
					s.args = strings.Fields(args)
				}
				continue
			}
			if crlf {
				line = strings.TrimSuffix(line, "\n") + "\r\n"
			}
			s.files[at] += line
		}
		out = append(out, s)
	}
	return out
}

func (s set) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range s.files {
		abs := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(abs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range s.links {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// disk is a directory as a snapshot; nothing outside of it can be reached.
type disk struct{ root *os.Root }

func openDisk(t testing.TB, dir string) disk {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return disk{root}
}

func (d disk) Revision() model.Revision { return model.Revision{Commit: "disk"} }
func (d disk) Root() string             { return "" }

func orDot(p string) string {
	if p == "" {
		return "."
	}
	return p
}

func (d disk) Stat(_ context.Context, p string) (hash string, size int64, mode uint32, err error) {
	info, err := d.root.Stat(orDot(p))
	switch {
	case err != nil && strings.Contains(err.Error(), "escapes"):
		return "", 0, 0, fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s leaves the repository", p)
	case err != nil:
		return "", 0, 0, nil
	case info.IsDir():
		return "", 0, 0o040000, nil
	}
	text, err := d.root.ReadFile(p)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]) + ":" + p, int64(len(text)), 0o100644, err
}

func (d disk) Real(_ context.Context, p string) (string, error) {
	real, err := filepath.EvalSymlinks(filepath.Join(d.root.Name(), p))
	if err != nil {
		return p, nil
	}
	real, err = filepath.Rel(d.root.Name(), real)
	return strings.TrimPrefix(path.Clean("/"+real), "/"), err
}

func (d disk) List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error {
	return fs.WalkDir(d.root.FS(), orDot(dir), func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == orDot(dir) {
			return err
		}
		hash, size, mode, err := d.Stat(ctx, p)
		if err != nil {
			return err
		}
		if !recurse || mode != 0o040000 {
			visit(p, hash, size, mode, mode == 0)
		}
		if e.IsDir() && !recurse {
			return fs.SkipDir
		}
		return nil
	})
}

func (d disk) Contents(_ context.Context, hashes []string) ([][]byte, error) {
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		_, p, _ := strings.Cut(h, ":")
		var err error
		if out[i], err = d.root.ReadFile(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func newRenderer(t testing.TB, opts render.Options) *render.Renderer {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	opts.WorkerCommand = []string{exe, "worker-render"}
	if opts.Workers == 0 {
		opts.Workers = 1
	}
	r, err := render.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// same compares what the worker rendered with what kustomize put out.
func same(t *testing.T, got []manifest.Object, text []byte) {
	t.Helper()
	want, err := manifest.Parse("kustomize", text, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	manifest.SortForApply(want)
	if len(got) != len(want) {
		t.Errorf("%d objects, kustomize has %d", len(got), len(want))
	}
	byKey := map[model.ObjectKey]string{}
	for _, o := range got {
		byKey[o.Key] = string(o.JSON())
	}
	for _, o := range want {
		if byKey[o.Key] != string(o.JSON()) {
			t.Errorf("%s\n got %s\nwant %s", o.Key, byKey[o.Key], o.JSON())
		}
	}
}

func TestRendersEqualThoseOfTheCommand(t *testing.T) {
	bins := peers.Get(t)
	r := newRenderer(t, render.Options{})
	for _, s := range sets(t) {
		dir := s.write(t)
		snapshot := openDisk(t, dir)
		for _, build := range s.builds {
			t.Run(s.name+"/"+build, func(t *testing.T) {
				args := append([]string{build}, s.args...)
				text, err := bins.Build(t.Context(), dir, t.TempDir(), args...)
				if err != nil {
					t.Fatal(err)
				}
				res, err := r.Render(t.Context(), render.Request{Source: model.Source{Path: build}, Snapshot: snapshot})
				if err != nil {
					t.Fatal(err)
				}
				if res.Tool != "Kustomize" {
					t.Errorf("tool %s", res.Tool)
				}
				same(t, res.Objects, text)
				for _, o := range res.Objects {
					if o.Origin == "" || strings.Contains(o.Origin, "hawser-tree") {
						t.Errorf("%s has origin %q", o.Key, o.Origin)
					}
				}
			})
		}
	}
}

// TestOptionsAreTheEditsOfTheCommand runs the kustomize commands that Argo CD
// runs, and compares with what the options of the source do.
func TestOptionsAreTheEditsOfTheCommand(t *testing.T) {
	bins := peers.Get(t)
	r := newRenderer(t, render.Options{})
	const patch = "- op: add\n  path: /spec/paused\n  value: true\n"
	for _, tt := range []struct {
		name    string
		options model.KustomizeSource
		edits   []string // separated by spaces
		append  string   // to the kustomization afterwards
	}{
		{name: "names and namespace", options: model.KustomizeSource{NamePrefix: "pre-", NameSuffix: "-suf", Namespace: "other"},
			edits: []string{"set nameprefix -- pre-", "set namesuffix -- -suf", "set namespace -- other"}},
		{name: "images", options: model.KustomizeSource{Images: []string{"nginx=registry.example.com:5000/nginx:2@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3", "busybox:9", "sidecar@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3", "kept=*:7", "new=fresh"}},
			edits: []string{"set image nginx=registry.example.com:5000/nginx:2@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3 busybox:9 sidecar@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3 kept=*:7 new=fresh"}},
		{name: "replicas", options: model.KustomizeSource{Replicas: []model.KustomizeReplica{{Name: "web", Count: model.IntOrString{IsInt: true, Int: 7}}, {Name: "db", Count: model.IntOrString{Str: "2"}}}},
			edits: []string{"set replicas web=7 db=2"}},
		{name: "labels", options: model.KustomizeSource{CommonLabels: map[string]string{"a": "1", "quoted": `"true"`}},
			edits: []string{`add label a:1 quoted:"true"`}},
		{name: "labels forced", options: model.KustomizeSource{CommonLabels: map[string]string{"app": "other"}, ForceCommonLabels: true},
			edits: []string{"add label --force app:other"}},
		{name: "labels without selector", options: model.KustomizeSource{CommonLabels: map[string]string{"a": "1", "plain": "x"}, LabelWithoutSelector: true, ForceCommonLabels: true},
			edits: []string{"add label --force --without-selector a:1 plain:x"}},
		{name: "labels in templates", options: model.KustomizeSource{CommonLabels: map[string]string{"a": "1"}, LabelWithoutSelector: true, LabelIncludeTemplates: true},
			edits: []string{"add label --without-selector --include-templates a:1"}},
		{name: "annotations", options: model.KustomizeSource{CommonAnnotations: map[string]string{"n": "${X}", "note": "mine"}, ForceCommonAnnotations: true},
			edits: []string{"add annotation --force n:${X} note:mine"}},
		{name: "components", options: model.KustomizeSource{Components: []string{"../parts/a", "../parts/missing", "../parts/b"}, IgnoreMissingComponents: true},
			edits: []string{"add component ../parts/a ../parts/b"}},
		{name: "components by pattern", options: model.KustomizeSource{Components: []string{"../parts/*"}}, edits: []string{"add component ../parts/*"}},
		{name: "patches", options: model.KustomizeSource{Patches: []model.KustomizePatch{
			{Patch: patch, Target: &model.KustomizeSelector{Kind: "Deployment", LabelSelector: "app=web"}},
			{Path: "rename.yaml", Target: &model.KustomizeSelector{Kind: "ConfigMap", Name: "settings"}, Options: map[string]bool{"allowNameChange": true}},
		}}, append: "- patch: |\n    " + strings.ReplaceAll(strings.TrimSpace(patch), "\n", "\n    ") + "\n  target: {kind: Deployment, labelSelector: app=web}\n" +
			"- path: rename.yaml\n  target: {kind: ConfigMap, name: settings}\n  options: {allowNameChange: true}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := editable().write(t)
			snapshot := openDisk(t, editable().write(t))
			for _, edit := range tt.edits {
				cmd := exec.Command(bins.Kustomize, append([]string{"edit"}, strings.Fields(edit)...)...)
				cmd.Dir, cmd.Env = filepath.Join(dir, "app"), []string{"HOME=" + t.TempDir()}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v %s", edit, err, out)
				}
			}
			if tt.append != "" {
				name := filepath.Join(dir, "app", "kustomization.yaml")
				text, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				text = append(bytes.TrimSpace(text), "\n"+tt.append...)
				if err := os.WriteFile(name, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := bins.Build(t.Context(), dir, t.TempDir(), "app")
			if err != nil {
				t.Fatal(err)
			}
			plain, err := r.Render(t.Context(), render.Request{Source: model.Source{Path: "app"}, Snapshot: snapshot})
			if err != nil {
				t.Fatal(err)
			}
			res, err := r.Render(t.Context(), render.Request{Source: model.Source{Path: "app", Kustomize: &tt.options}, Snapshot: snapshot})
			if err != nil {
				t.Fatal(err)
			}
			if res.Digest == plain.Digest {
				t.Error("the options changed nothing")
			}
			same(t, res.Objects, want)
		})
	}
}

// editable is a kustomization with something for each option to meet.
func editable() set {
	return set{files: map[string]string{
		"app/kustomization.yaml": `resources: [web.yaml]
namePrefix: old-
images:
- {name: nginx, newName: old/nginx, newTag: "1"}
- {name: kept, newName: old/kept, newTag: "1"}
- {name: untouched, newTag: "5"}
replicas: [{name: web, count: 2}]
commonLabels: {app: web}
labels:
- pairs: {plain: "y"}
commonAnnotations: {note: theirs}
configMapGenerator:
- {name: settings, literals: [a=b]}
patches:
- target: {kind: Service}
  patch: '[{"op": "add", "path": "/spec/type", "value": "ClusterIP"}]'
`,
		"app/rename.yaml": "- op: replace\n  path: /metadata/name\n  value: renamed\n",
		"app/web.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  template:
    spec:
      containers:
      - {name: a, image: nginx}
      - {name: b, image: "busybox:1"}
      - {name: c, image: sidecar}
      - {name: d, image: kept}
      - {name: e, image: "untouched:1"}
      - {name: f, image: "new:1"}
      volumes: [{name: s, configMap: {name: settings}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {serviceName: web, template: {spec: {containers: [{name: db, image: postgres}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
`,
		"parts/a/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nconfigMapGenerator:\n- {name: a, literals: [x=1]}\n",
		"parts/b/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: b-\n",
	}}
}
