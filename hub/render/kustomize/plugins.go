package kustomize

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/hub/render/kustomize/remote"
	"github.com/hawser-dev/hawser/shared/fault"
)

// plugins checks the entries of generators, transformers or validators. Each is
// the configuration of a plugin: written in place, in a file, or in a directory
// with a kustomization that lists files. Only plugins that are built in pass.
// Entries whose configuration has to be changed, or lies in a directory, are
// replaced by their text.
func (p *plan) plugins(k *kustomization, field string, entries *[]string) error {
	var out []string
	for i, entry := range *entries {
		a := k.at(field, i)
		configs, inPlace, err := p.configurations(a, entry)
		if err != nil {
			return err
		}
		var texts []string
		for _, config := range configs {
			text, changed, err := p.plugin(a, config)
			if err != nil {
				return err
			}
			inPlace = inPlace && !changed
			if text != "" {
				texts = append(texts, text)
			}
		}
		if inPlace {
			local := entry
			if !strings.Contains(entry, "\n") {
				local = localName(entry)
			}
			out = append(out, local)
			k.changed = k.changed || local != entry
			continue
		}
		out = append(out, texts...)
		k.changed = true
	}
	*entries = out
	return nil
}

// configurations reads the plugin configurations of an entry. inPlace tells
// that the library may read the entry as it is written.
func (p *plan) configurations(a at, entry string) (configs []*resource.Resource, inPlace bool, err error) {
	if m, err := p.parse.NewResMapFromBytes([]byte(entry)); err == nil {
		return m.Resources(), !remote.Suspicious(entry) || strings.Contains(entry, "\n"), nil
	}
	if strings.Contains(strings.TrimSpace(entry), "\n") {
		return nil, false, a.wrong("the entry is neither the name of a file nor a YAML object")
	}
	if remote.IsURL(entry) || strings.Contains(entry, "://") {
		return nil, false, a.wrong("%q is remote: configurations of plugins are read from the repository only", entry)
	}
	abs, confined := p.t.join(a.k.dir, entry)
	if !confined {
		return nil, false, a.escapes(entry)
	}
	info, err := p.t.stat(abs)
	switch {
	case err != nil:
		return nil, false, a.explain(err)
	case !info.Exists:
		return nil, false, a.wrong("%q does not exist", entry)
	case info.Dir:
		configs, err = p.configurationDir(a, abs, 0)
		return configs, false, err
	}
	if err := a.below(abs, entry); err != nil {
		return nil, false, err
	}
	configs, err = p.configurationFile(a, abs)
	return configs, true, err
}

func (p *plan) configurationFile(a at, abs string) ([]*resource.Resource, error) {
	content, err := p.t.read(abs)
	if err != nil {
		return nil, a.explain(err)
	}
	m, err := p.parse.NewResMapFromBytes(content)
	if err != nil {
		p.resources = append(p.resources, abs)
		return nil, p.broken(a.wrong("%s cannot be read as YAML objects", p.t.name(abs)))
	}
	return m.Resources(), nil
}

// configurationDir reads a directory of configurations. Its kustomization may
// list files and directories and nothing else: what a build changes in a
// configuration could not be checked here.
func (p *plan) configurationDir(a at, dir string, depth int) ([]*resource.Resource, error) {
	if depth > maxDepth || slices.Contains(p.stack, dir) {
		return nil, a.wrong("%s is nested too deep, or in itself", p.t.name(dir))
	}
	k, err := p.load(dir)
	if err != nil {
		return nil, err
	}
	plain := types.Kustomization{TypeMeta: k.TypeMeta, MetaData: k.MetaData, Resources: k.Resources}
	got, errGot := yaml.Marshal(k.Kustomization)
	want, errWant := yaml.Marshal(plain)
	if errGot != nil || errWant != nil || string(got) != string(want) {
		return nil, failure("%s: a kustomization of %s may have \"resources\" only", k.name, strings.TrimRight(a.field, "[]0123456789"))
	}
	var out []*resource.Resource
	for i, entry := range k.Resources {
		inner := k.at("resources", i)
		if remote.IsURL(entry) || strings.Contains(entry, "://") {
			return nil, inner.wrong("%q is remote: configurations of plugins are read from the repository only", entry)
		}
		abs, confined := p.t.join(dir, entry)
		if !confined {
			return nil, inner.escapes(entry)
		}
		info, err := p.t.stat(abs)
		if err != nil {
			return nil, inner.explain(err)
		}
		var more []*resource.Resource
		switch {
		case !info.Exists:
			return nil, inner.wrong("%q does not exist", entry)
		case info.Dir:
			more, err = p.configurationDir(inner, abs, depth+1)
		default:
			if err := inner.below(abs, entry); err != nil {
				return nil, err
			}
			more, err = p.configurationFile(inner, abs)
		}
		if err != nil {
			return nil, err
		}
		if out = append(out, more...); len(out) > maxVisits {
			return nil, a.wrong("more than %d configurations", maxVisits)
		}
	}
	return out, nil
}

// fetching are the fields of built-in plugins that name files.
var fetching = map[string][]string{
	"ConfigMapGenerator":             {"files", "envs", "env"},
	"SecretGenerator":                {"files", "envs", "env"},
	"PatchTransformer":               {"path"},
	"PatchJson6902Transformer":       {"path"},
	"PatchStrategicMergeTransformer": {"paths"},
	"ReplacementTransformer":         {"replacements"},
	"ValueAddTransformer":            {"targetFilePath"},
}

// plugin checks one configuration and returns its text; "" when nothing is left
// of it for the library to do.
func (p *plan) plugin(a at, config *resource.Resource) (text string, changed bool, err error) {
	gvk := config.GetGvk()
	if gvk.Group != "" || gvk.Version != konfig.BuiltinPluginApiVersion {
		return "", false, fault.New(fault.Unprocessable, "kustomize_plugin_forbidden", "%s: %s: %s %q is not built into kustomize",
			a.k.name, a.field, gvk.Kind, config.GetName()).
			WithFix("functions in containers, executables, Starlark and Go plugins are not run: use a built-in one, or a config management plugin")
	}
	fields, err := config.Map()
	if err != nil {
		return "", false, a.wrong("%s %q cannot be read", gvk.Kind, config.GetName())
	}
	if gvk.Kind == "HelmChartInflationGenerator" {
		return "", true, p.generatorChart(a, fields)
	}
	for key, value := range fields {
		// The library reads the names of fields in any case.
		if !slices.ContainsFunc(fetching[gvk.Kind], func(f string) bool { return strings.EqualFold(f, key) }) {
			continue
		}
		with, did, err := p.localize(a, gvk.Kind, value)
		if err != nil {
			return "", false, err
		}
		if did {
			fields[key], changed = with, true
		}
	}
	if changed {
		out, err := yaml.Marshal(fields)
		return string(out), true, err
	}
	out, err := config.AsYAML()
	return string(out), false, err
}

// localize fetches the URLs in the value of a field that names files: one, a
// list, or a list of objects with a path.
func (p *plan) localize(a at, kind string, value any) (with any, changed bool, err error) {
	switch v := value.(type) {
	case string:
		key, name := "", v
		if kind == "ConfigMapGenerator" || kind == "SecretGenerator" {
			if k, n, keyed := strings.Cut(v, "="); keyed {
				key, name = k+"=", n
			} else {
				key = path.Base(v) + "="
			}
		}
		if !remote.IsURL(name) && !remote.IsURL(v) {
			if path.IsAbs(name) {
				return nil, false, a.escapes(name)
			}
			return v, false, nil
		}
		if !remote.IsURL(name) {
			return nil, false, a.wrong("file %q: write NAME=PATH or PATH, without further \"=\"", v)
		}
		local, err := p.download(a, name)
		return key + local, true, err
	case []any:
		for i := range v {
			item, did, err := p.localize(a, kind, v[i])
			if err != nil {
				return nil, false, err
			}
			v[i], changed = item, changed || did
		}
		return v, changed, nil
	case map[string]any:
		for key := range v {
			if !strings.EqualFold(key, "path") {
				continue
			}
			item, did, err := p.localize(a, kind, v[key])
			if err != nil {
				return nil, false, err
			}
			v[key], changed = item, changed || did
		}
		return v, changed, nil
	}
	return value, false, nil
}
