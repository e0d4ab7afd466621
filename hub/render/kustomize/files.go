package kustomize

//lint:file-ignore SA1019 repositories have the deprecated fields of kustomizations, so they are supported

import (
	"strings"

	"sigs.k8s.io/kustomize/api/types"

	"github.com/hawser-dev/hawser/hub/render/kustomize/remote"
)

// files checks the files that the fields of a kustomization name, and fetches
// those that are URLs: the library would fetch them by itself.
func (p *plan) files(k *kustomization) error {
	lists := []struct {
		field   string
		entries []string
	}{{"configurations", k.Configurations}, {"crds", k.Crds}}
	for _, l := range lists {
		for i := range l.entries {
			if err := p.file(k.at(l.field, i), &l.entries[i]); err != nil {
				return err
			}
		}
	}
	for i := range k.Patches {
		if err := p.file(k.at("patches", i), &k.Patches[i].Path); err != nil {
			return err
		}
	}
	for i := range k.PatchesJson6902 {
		if err := p.file(k.at("patchesJson6902", i), &k.PatchesJson6902[i].Path); err != nil {
			return err
		}
	}
	for i, patch := range k.PatchesStrategicMerge {
		// An entry that reads as objects is the patch itself.
		if _, err := p.parse.RF().SliceFromBytes([]byte(patch)); err == nil {
			continue
		}
		name := string(patch)
		if strings.Contains(strings.TrimSpace(name), "\n") {
			return k.at("patchesStrategicMerge", i).wrong("the patch is no YAML object")
		}
		if err := p.file(k.at("patchesStrategicMerge", i), &name); err != nil {
			return err
		}
		k.PatchesStrategicMerge[i] = types.PatchStrategicMerge(name)
	}
	for i := range k.Replacements {
		if err := p.file(k.at("replacements", i), &k.Replacements[i].Path); err != nil {
			return err
		}
	}
	for i := range k.ConfigMapGenerator {
		if err := p.pairs(k.at("configMapGenerator", i), &k.ConfigMapGenerator[i].KvPairSources); err != nil {
			return err
		}
	}
	for i := range k.SecretGenerator {
		if err := p.pairs(k.at("secretGenerator", i), &k.SecretGenerator[i].KvPairSources); err != nil {
			return err
		}
	}
	if len(k.OpenAPI) > 0 {
		p.schema = true
		name, given := k.OpenAPI["path"]
		if given {
			if err := p.file(at{k, "openapi.path"}, &name); err != nil {
				return err
			}
			k.OpenAPI["path"] = name
		}
	}
	return nil
}

// pairs does the files and env files of a generator.
func (p *plan) pairs(a at, sources *types.KvPairSources) error {
	for i := range sources.FileSources {
		if err := p.source(a, &sources.FileSources[i]); err != nil {
			return err
		}
	}
	for i := range sources.EnvSources {
		if err := p.file(a, &sources.EnvSources[i]); err != nil {
			return err
		}
	}
	return nil
}

// source does one "[key=]path" of a generator.
func (p *plan) source(a at, entry *string) error {
	key, name, keyed := strings.Cut(*entry, "=")
	if !keyed {
		name = *entry
		key = name[strings.LastIndex(name, "/")+1:]
	}
	if strings.Contains(name, "=") || key == "" || name == "" {
		return a.wrong("file %q: write NAME=PATH or PATH, without further \"=\"", *entry)
	}
	local := name
	if err := p.file(a, &local); err != nil {
		return err
	}
	if local != name {
		a.k.replace(entry, key+"="+local)
	}
	return nil
}

// file checks one file, or fetches it; "" is no file.
func (p *plan) file(a at, name *string) error {
	if *name == "" {
		return nil
	}
	if remote.IsURL(*name) {
		local, err := p.download(a, *name)
		if err != nil {
			return err
		}
		a.k.replace(name, local)
		return nil
	}
	abs, confined := p.t.join(a.k.dir, *name)
	if !confined {
		return a.escapes(*name)
	}
	if err := a.below(abs, *name); err != nil {
		return err
	}
	info, err := p.t.stat(abs)
	if err != nil {
		return a.explain(err)
	}
	if !info.Exists || info.Dir {
		return a.wrong("file %q does not exist", *name)
	}
	return nil
}
