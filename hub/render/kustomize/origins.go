package kustomize

import (
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// declaration is an object that a build has before it changes names.
type declaration struct{ kind, name, origin string }

// whence tells where objects of a build were written. A build renames objects
// and keeps no record, so the answer is a good guess: the only object of the
// kind whose name is part of the new name, the longest such name counting.
type whence map[string][]declaration // by kind

// origins collects the documents of resource files and what was declared.
// Files are not parsed again for this: a line that reads "kind:" and the first
// "name:" below "metadata:" are enough for a guess.
func (p *plan) origins() whence {
	out := whence{}
	seen := map[string]bool{}
	for _, abs := range p.resources {
		name := p.t.name(abs)
		if seen[name] {
			continue
		}
		seen[name] = true
		m, _, inTree, _ := p.t.split(abs)
		for _, d := range documents(string(p.t.content[place{m.tree, inTree}])) {
			d.origin = name + d.origin
			out[d.kind] = append(out[d.kind], d)
		}
	}
	for _, d := range p.declared {
		out[d.kind] = append(out[d.kind], d)
	}
	return out
}

// of returns the origin of an object, "" when nothing can be said.
func (w whence) of(kind, name string) string {
	best, length := "", 0
	for _, d := range w[kind] {
		switch {
		case len(d.name) < length || d.name == "" || !strings.Contains(name, d.name):
		case len(d.name) == length && d.origin != best:
			best = ""
		default:
			best, length = d.origin, len(d.name)
		}
	}
	return best
}

// documents finds kind and name of the documents of a YAML file. origin is the
// number of the document, as "#2".
func documents(text string) []declaration {
	var out []declaration
	var d declaration
	number, metadata, used := 1, false, false
	level := 0 // of the fields of metadata
	finish := func() {
		if d.kind != "" && d.name != "" {
			d.origin = "#" + strconv.Itoa(number)
			out = append(out, d)
		}
		if used {
			number++
		}
		d, metadata, used = declaration{}, false, false
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "---" || strings.HasPrefix(line, "--- "):
			finish()
			continue
		case line == "" || strings.HasPrefix(strings.TrimLeft(line, " "), "#"):
			continue
		}
		used = true
		key, value, ok := strings.Cut(strings.TrimLeft(line, " "), ":")
		if !ok {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		indented := indent > 0
		switch {
		case !indented && key == "kind":
			d.kind = value
		case !indented && key == "metadata" && strings.HasPrefix(value, "{"):
			d.name = flowName(value)
		case !indented:
			metadata, level = key == "metadata", 0
		case metadata:
			if level == 0 {
				level = indent
			}
			if indent == level && key == "name" && d.name == "" {
				d.name = value
			}
		}
	}
	finish()
	return out
}

// flowName finds the name in "{name: x, namespace: y}".
func flowName(mapping string) string {
	for part := range strings.SplitSeq(strings.Trim(mapping, "{}"), ",") {
		if key, value, ok := strings.Cut(part, ":"); ok && strings.Trim(strings.TrimSpace(key), `"'`) == "name" {
			return strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return ""
}

// declare notes the objects that the generators of a kustomization make.
func (p *plan) declare(k *kustomization) {
	for i, g := range k.ConfigMapGenerator {
		p.declared = append(p.declared, declaration{"ConfigMap", g.Name, k.name + " configMapGenerator[" + strconv.Itoa(i) + "]"})
	}
	for i, g := range k.SecretGenerator {
		p.declared = append(p.declared, declaration{"Secret", g.Name, k.name + " secretGenerator[" + strconv.Itoa(i) + "]"})
	}
}

// correctOrigins makes the annotations of buildMetadata say what they would say
// if the library had fetched what is remote, and had rendered the charts.
func (p *plan) correctOrigins(root string, built resmap.ResMap) error {
	origins := slices.Contains(p.metadata, types.OriginAnnotations)
	transformations := slices.Contains(p.metadata, types.TransformerAnnotations)
	if !origins && !transformations {
		return nil
	}
	for _, r := range built.Resources() {
		if origins {
			o, err := r.GetOrigin()
			if err != nil {
				return failure("%s %q: its origin annotation cannot be read", r.GetKind(), r.GetName())
			}
			if o != nil && p.correct(root, o) {
				if err := r.SetOrigin(o); err != nil {
					return failure("%s %q: its origin annotation cannot be written", r.GetKind(), r.GetName())
				}
			}
		}
		if transformations {
			list, err := r.GetTransformations()
			if err != nil {
				return failure("%s %q: its transformations annotation cannot be read", r.GetKind(), r.GetName())
			}
			changed := false
			for _, o := range list {
				changed = p.correct(root, o) || changed
			}
			if !changed {
				continue
			}
			if err := r.ClearTransformations(); err != nil {
				return failure("%s %q: its transformations annotation cannot be written", r.GetKind(), r.GetName())
			}
			for _, o := range list {
				if err := r.AddTransformation(o); err != nil {
					return failure("%s %q: its transformations annotation cannot be written", r.GetKind(), r.GetName())
				}
			}
		}
	}
	return nil
}

// correct changes one origin; false says that it is right as it is.
func (p *plan) correct(root string, o *resource.Origin) bool {
	changed := false
	for _, at := range []*string{&o.Path, &o.ConfiguredIn} {
		if *at == "" {
			continue
		}
		abs := path.Join(root, *at)
		if what, ok := p.added[abs]; ok {
			changed = true
			if what.url != "" {
				*at = what.url
				continue
			}
			*at = ""
			o.ConfiguredIn = p.relative(root, what.from, o)
			o.ConfiguredBy = kyaml.ResourceIdentifier{TypeMeta: kyaml.TypeMeta{APIVersion: "builtin", Kind: "HelmChartInflationGenerator"}}
			return true
		}
		if corrected := p.relative(root, abs, o); corrected != *at {
			*at, changed = corrected, true
		}
	}
	return changed
}

// relative is the path that an origin has for a file, which is from the root of
// its repository when that is another one.
func (p *plan) relative(root, abs string, o *resource.Origin) string {
	m, dir, inTree, ok := p.t.split(abs)
	if !ok {
		return path.Base(abs)
	}
	if m.label != "" {
		o.Repo, o.Ref = m.label, m.revision
		return inTree
	}
	// The same tree may be there more than once.
	_, rootDir, _, _ := p.t.split(root)
	relative, err := filepath.Rel(root, path.Join(rootDir, strings.TrimPrefix(abs, dir)))
	if err != nil {
		return inTree
	}
	return relative
}
