package kustomize

import (
	"fmt"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// Version is that of the kustomize command whose libraries these are.
const Version = "v5.8.1"

// toolName is the tool in results.
const toolName = "Kustomize"

// maxCopied bounds what the copy operations of one JSON patch add; each may
// double an object.
const maxCopied = 8 << 20

// one build runs at a time: the library's schema is global to the process.
var one sync.Mutex

// Render builds the kustomization in the directory of a source, with the
// options of the source. Charts are rendered by inflate.
//
// Codes: kustomize_error, kustomize_plugin_forbidden, path_escapes_repo,
// too_large, those of YAML (see manifest.Parse), and those of the host for what
// is remote (remote_base_forbidden, …) and of inflate.
func Render(w *workspace.Workspace, inflate Inflate) (out workspace.Output, err error) {
	one.Lock()
	defer one.Unlock()
	p := newPlan(w, inflate)
	root := path.Join(mountName+"0", w.Dir)
	defer func() {
		if cause := recover(); cause != nil {
			fmt.Fprintf(os.Stderr, "panic in kustomize: %v\n%s\n", cause, debug.Stack())
			openapi.ResetOpenAPI()
			out, err = workspace.Output{}, p.panicked(root, cause)
		}
	}()
	info, err := p.t.stat(root)
	if err != nil {
		return workspace.Output{}, err
	}
	if info.Dir {
		root = p.t.real(root, info)
	}
	if err := p.root(root, p.edit); err != nil {
		return workspace.Output{}, err
	}
	objects, err := p.build(root)
	return workspace.Output{Objects: objects, Tool: toolName}, err
}

// panicked names the panic of a library. Those that are known come of an
// OpenAPI schema that is none.
func (p *plan) panicked(root string, cause any) error {
	name := p.t.name(root)
	if n := p.visited[root]; n != nil {
		name = n.file
	}
	if err, ok := cause.(error); ok && p.schema {
		return failure("%s: openapi: the schema cannot be used: %s", name, tidy(p.t.plain(err.Error())))
	}
	return failure("%s: kustomize failed inside", name).
		WithFix("this is a bug: please report it with the files that caused it")
}

// build runs the library over what was planned.
func (p *plan) build(root string) ([]manifest.Object, error) {
	if p.schema {
		// What was learned from earlier builds must not be there, and what this
		// build learns must not stay. Other builds share the built-in schema,
		// which takes a while to read.
		openapi.ResetOpenAPI()
		defer openapi.ResetOpenAPI()
	}
	jsonpatch.AccumulatedCopySizeLimit = maxCopied
	order := krusty.ReorderOptionNone
	if p.sorted {
		order = krusty.ReorderOptionUnspecified // that it is none would be a conflict
	}
	built, err := krusty.MakeKustomizer(&krusty.Options{
		Reorder:          order,
		LoadRestrictions: types.LoadRestrictionsRootOnly,
		PluginConfig:     types.DisabledPluginConfig(),
	}).Run(p.t, root)
	if err != nil {
		return nil, p.failed(root, err)
	}
	if p.t.failed != nil {
		return nil, p.t.failed
	}
	if limit := p.w.Limits.Manifest.MaxObjects; limit > 0 && built.Size() > limit {
		return nil, fault.New(fault.Unprocessable, "too_large", "%s: the build has %d objects; the limit is %d", p.visited[root].file, built.Size(), limit)
	}
	if err := p.correctOrigins(root, built); err != nil {
		return nil, err
	}
	if slices.Contains(p.metadata, types.ManagedByLabelOption) {
		// The library asks the program that it is in for its version.
		for _, r := range built.Resources() {
			labels := r.GetLabels()
			labels[konfig.ManagedbyLabelKey] = "kustomize-" + Version
			if err := r.SetLabels(labels); err != nil {
				return nil, failure("%s: buildMetadata: %s %q cannot be labelled", p.visited[root].file, r.GetKind(), r.GetName())
			}
		}
	}
	return p.objects(root, built)
}

// objects reads what the library puts out, from the JSON that its YAML is made
// of, so that values are those that kubectl would see.
func (p *plan) objects(root string, built resmap.ResMap) ([]manifest.Object, error) {
	origins := p.origins()
	rootFile := p.visited[root].file
	out := make([]manifest.Object, 0, built.Size())
	var size int64
	for _, r := range built.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			return nil, p.failed(root, err) // a key that is there twice, mostly
		}
		size += int64(len(text))
		if limit := p.w.Limits.OutputBytes; limit > 0 && size > limit {
			return nil, fault.New(fault.Unprocessable, "too_large", "%s: the build puts out more than %d MiB", rootFile, limit>>20)
		}
		origin := origins.of(r.GetKind(), r.GetName())
		if origin == "" {
			origin = rootFile
		}
		lim := p.w.Limits.Manifest
		lim.MaxBytes = max(len(text), 1)
		parsed, err := manifest.Parse(origin, text, lim)
		if err != nil {
			return nil, err
		}
		for i := range parsed {
			parsed[i].Origin = origin
		}
		out = append(out, parsed...)
	}
	return out, nil
}
