package helm

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// values are those that the source sets, in Argo CD's order: value files, then
// valuesObject or else values, then parameters, then file parameters.
func (r *renderer) values(chartName string, o *model.HelmSource) (map[string]any, error) {
	values := map[string]any{}
	files, err := r.valueFiles(chartName, o)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if values, err = r.overlay(values, f.name, f.data); err != nil {
			return nil, err
		}
	}
	switch {
	case len(o.ValuesObject) > 0 && string(o.ValuesObject) != "null":
		r.texts = append(r.texts, string(o.ValuesObject))
		object, err := parseValuesObject(o.ValuesObject)
		if err != nil {
			return nil, fault.New(fault.Invalid, codeValues, "the values are no mapping: %s", tidy(err.Error())).WithField(r.field + ".valuesObject")
		}
		values = mergeValues(values, object)
	case o.Values != "":
		if values, err = r.overlay(values, r.field+".values", []byte(o.Values)); err != nil {
			e := *fault.As(err)
			e.Field = r.field + ".values"
			return nil, &e
		}
	}
	return values, r.parameters(values, o)
}

const codeValues = "helm_values_invalid"

// overlay puts the values of a YAML text over others.
func (r *renderer) overlay(values map[string]any, name string, text []byte) (map[string]any, error) {
	if err := checkAliases(name, text, r.w.Limits.Manifest.MaxAliasExpansion); err != nil {
		return nil, err
	}
	r.texts = append(r.texts, string(text))
	over, err := parseValues(text)
	if err != nil {
		// Values of a chart that another tool inflates have no name that lines
		// could be counted in.
		if better := r.syntax(name, text); better != nil && name != r.field {
			return nil, better
		}
		return nil, fault.New(fault.Unprocessable, codeValues, "%s: %s", workspace.Clip(name, 150), tidy(err.Error()))
	}
	return mergeValues(values, over), nil
}

// maxValueDepth is how deep the YAML library itself reads: whether values may be
// as deep is not a question of syntax.
const maxValueDepth = 10_000

// syntax says where a text that could not be read is no YAML, in the words that
// there are for manifests; nil when it is YAML.
func (r *renderer) syntax(name string, text []byte) error {
	lim := r.w.Limits.Manifest
	lim.MaxBytes, lim.MaxDepth = max(len(text), 1), maxValueDepth
	if _, err := manifest.Value(name, text, lim); fault.HasCode(err, "yaml_invalid") {
		return err
	}
	return nil
}

// valueFile is an entry of valueFiles, or a match of one.
type valueFile struct {
	tree, path string
	url        string
	entry      string // as the user wrote it
	field      string
}

// valueFiles reads the files that valueFiles lists, in order.
func (r *renderer) valueFiles(chartName string, o *model.HelmSource) ([]file, error) {
	type pattern struct {
		valueFile
		glob bool
	}
	var entries []pattern
	explicit := map[[2]string]bool{}
	for i, entry := range o.ValueFiles {
		f, err := r.locate(fmt.Sprintf("%s.valueFiles[%d]", r.field, i), entry)
		if err != nil {
			return nil, err
		}
		glob := f.url == "" && isGlob(f.path)
		if !glob {
			explicit[[2]string{f.tree, f.path}] = true
		}
		entries = append(entries, pattern{f, glob})
	}
	// A file that is listed is where it is listed, and not where a glob finds it.
	var files []valueFile
	globbed := map[[2]string]bool{}
	for _, e := range entries {
		if !e.glob {
			if e.url == "" {
				there, err := r.w.Exists(e.tree, e.path)
				if err != nil {
					return nil, err
				}
				if !there && o.IgnoreMissingValueFiles {
					continue
				}
				if !there {
					return nil, r.missingValues(e.valueFile, chartName)
				}
			}
			files = append(files, e.valueFile)
			continue
		}
		matches, err := r.matches(e.valueFile)
		if err != nil {
			return nil, err
		}
		if len(matches) == 0 && !o.IgnoreMissingValueFiles {
			return nil, fault.New(fault.Unprocessable, "helm_values_not_found", "values file glob %q matches no files", clip(e.entry)).
				WithField(e.field).WithFix(ignoreMissing)
		}
		for _, m := range matches {
			key := [2]string{e.tree, m}
			if explicit[key] || globbed[key] {
				continue
			}
			globbed[key] = true
			files = append(files, valueFile{tree: e.tree, path: m, entry: m, field: e.field})
		}
	}
	return r.readValues(files)
}

// readValues reads value files: those of a tree that follow each other with one
// question.
func (r *renderer) readValues(files []valueFile) ([]file, error) {
	out := make([]file, 0, len(files))
	for i := 0; i < len(files); {
		if u := files[i].url; u != "" {
			content, err := r.w.Host.Download(u)
			if err != nil {
				return nil, err
			}
			out = append(out, file{files[i].entry, content})
			i++
			continue
		}
		end := i + 1
		for end < len(files) && files[end].url == "" && files[end].tree == files[i].tree {
			end++
		}
		var paths []string
		for _, f := range files[i:end] {
			paths = append(paths, f.path)
		}
		contents, err := r.w.ReadAll(files[i].tree, paths)
		if err != nil {
			return nil, err
		}
		for j, content := range contents {
			out = append(out, file{files[i+j].path, content})
		}
		i = end
	}
	return out, nil
}

const ignoreMissing = "set spec.source.helm.ignoreMissingValueFiles to go on without it"

// missingValues says where a value file was looked for, and what is there.
func (r *renderer) missingValues(f valueFile, chartName string) error {
	entry, at := workspace.Clip(f.entry, 80), workspace.Clip(f.path, 80)
	var text string
	switch ref, ok := strings.CutPrefix(f.tree, workspace.RefTree("")); {
	case ok:
		text = fmt.Sprintf("values file %q not found: the source with the ref %q has no %s", entry, workspace.Clip(ref, 40), at)
	case strings.HasPrefix(f.entry, "/"):
		text = fmt.Sprintf("values file %q not found: the repository has no %s", entry, at)
	default:
		text = fmt.Sprintf("values file %q not found next to chart %q: there is no %s", entry, workspace.Clip(chartName, 60), at)
	}
	near, err := r.nearValues(f)
	if err != nil {
		return err
	}
	if near != "" {
		text += "; closest: " + near
	}
	return fault.New(fault.Unprocessable, "helm_values_not_found", "%s", workspace.Clip(text, maxMessage)).WithField(f.field).WithFix(ignoreMissing)
}

// nearValues is the value file that most likely was meant: one with a similar
// name in the directory, else one somewhere below the directory of the source,
// or in the repository of a ref; "" when there is none.
func (r *renderer) nearValues(f valueFile) (string, error) {
	dir, name := path.Split(f.path)
	below := r.w.Dir
	if f.tree != workspace.Main {
		below = ""
	}
	for _, place := range []struct {
		dir     string
		recurse bool
	}{{strings.TrimSuffix(dir, "/"), false}, {below, true}} {
		entries, err := r.w.Host.List(f.tree, place.dir, place.recurse)
		if fault.HasCode(err, "path_not_found") {
			continue
		}
		if err != nil {
			return "", err
		}
		var names, paths []string
		for _, e := range entries {
			base := path.Base(e.Path)
			switch path.Ext(base) {
			case ".yaml", ".yml", ".json":
			default:
				continue
			}
			inChart := strings.Contains(e.Path, "templates/") || strings.Contains(e.Path, "charts/") || strings.Contains(e.Path, "crds/")
			if e.Dir || e.Broken || base == "Chart.yaml" || place.recurse && inChart {
				continue
			}
			names, paths = append(names, base), append(paths, e.Path)
		}
		if i := slices.Index(names, nearest.Word(name, names)); i >= 0 {
			return workspace.Clip(paths[i], 80), nil
		}
	}
	return "", nil
}

// locate finds out what an entry of valueFiles or fileParameters means: a URL, a
// path from the root of another source ("$ref/…"), from the root of the
// repository ("/…"), or from the directory of the source.
func (r *renderer) locate(field, entry string) (valueFile, error) {
	f := valueFile{tree: workspace.Main, entry: entry, field: field}
	dir, p := r.w.Dir, entry
	if tree, rest, ok := r.w.RefPath(entry); ok {
		f.tree, dir, p = tree, "", strings.TrimLeft(rest, "/")
	} else if name, rest, _ := strings.Cut(entry, "/"); strings.HasPrefix(name, "$") && rest != "" && !isVariable(name[1:]) {
		return f, fault.New(fault.Invalid, "ref_not_found", "%q: no source of this application has the ref %q", clip(entry), clip(name[1:])).
			WithField(field).WithFix("set ref: %s on one of spec.sources", clip(name[1:]))
	}
	p, err := r.w.Expand(p)
	if err != nil {
		return f, err
	}
	if lower := strings.ToLower(p); f.tree == workspace.Main && (strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://")) {
		f.url = p
		return f, nil
	}
	f.path, err = workspace.Confine(field, dir, p)
	return f, err
}

// isVariable reports whether what follows a "$" begins with a variable of the
// build environment, "$$" included.
func isVariable(name string) bool {
	name = strings.TrimPrefix(name, "{")
	return name == "" || name[0] == '$' || slices.ContainsFunc(workspace.BuildEnvironment, func(v string) bool { return strings.HasPrefix(name, v) })
}

func isGlob(p string) bool { return strings.ContainsAny(p, "*?[") }

// matches lists the files that a glob matches: in each directory its own files
// before what is below, all in order of names.
func (r *renderer) matches(f valueFile) ([]string, error) {
	if !doublestar.ValidatePattern(f.path) {
		return nil, fault.New(fault.Invalid, "expression_invalid", "%q is no glob", clip(f.entry)).WithField(f.field)
	}
	base, _ := doublestar.SplitPattern(f.path)
	if base == "." {
		base = ""
	}
	entries, err := r.w.Host.List(f.tree, base, true)
	if fault.HasCode(err, "path_not_found") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if e.Dir {
			continue
		}
		ok, err := doublestar.Match(f.path, e.Path)
		if err != nil {
			return nil, fault.New(fault.Invalid, "expression_invalid", "%q is no glob", clip(f.entry)).WithField(f.field)
		}
		if ok && e.Broken {
			// A link out of the repository, or to nothing.
			there, err := r.w.Exists(f.tree, e.Path)
			if err != nil {
				return nil, err
			}
			if !there {
				continue
			}
		}
		if ok {
			out = append(out, e.Path)
		}
	}
	sort.Slice(out, func(i, j int) bool { return globLess(out[i], out[j]) })
	return out, nil
}

func globLess(a, b string) bool {
	for {
		ha, ra, deepA := strings.Cut(a, "/")
		hb, rb, deepB := strings.Cut(b, "/")
		if deepA != deepB {
			return !deepA
		}
		if ha != hb || !deepA {
			return ha < hb
		}
		a, b = ra, rb
	}
}

// parameters sets parameters as Argo CD passes them to helm: plain ones first,
// then those that are strings, then those from files; of equal names the last
// counts.
func (r *renderer) parameters(values map[string]any, o *model.HelmSource) error {
	for _, text := range []bool{false, true} {
		for i, p := range o.Parameters {
			if p.ForceString != text || slices.ContainsFunc(o.Parameters[i+1:], func(q model.HelmParameter) bool { return q.Name == p.Name && q.ForceString == text }) {
				continue
			}
			field := fmt.Sprintf("%s.parameters[%d]", r.field, i)
			value, err := r.w.Expand(p.Value)
			if err != nil {
				return err
			}
			r.texts = append(r.texts, value)
			if err := r.set(field, p.Name, func() error { return setValue(values, p.Name+"="+escapeCommas(value), text) }); err != nil {
				return err
			}
		}
	}
	for i, p := range o.FileParameters {
		if slices.ContainsFunc(o.FileParameters[i+1:], func(q model.HelmFileParameter) bool { return q.Name == p.Name }) {
			continue
		}
		field := fmt.Sprintf("%s.fileParameters[%d]", r.field, i)
		f, err := r.locate(field+".path", p.Path)
		if err != nil {
			return err
		}
		var content []byte
		if f.url != "" {
			content, err = r.w.Host.Download(f.url)
		} else {
			var there bool
			if there, err = r.w.Exists(f.tree, f.path); err == nil && !there {
				return fault.New(fault.Unprocessable, "file_not_found", "file %q of the parameter %q does not exist", clip(p.Path), clip(p.Name)).WithField(field + ".path")
			}
			if err == nil {
				content, err = r.w.Read(f.tree, f.path)
			}
		}
		if err != nil {
			return err
		}
		r.texts = append(r.texts, string(content))
		if err := r.set(field, p.Name, func() error { return setFile(values, p.Name, content) }); err != nil {
			return err
		}
	}
	return nil
}

// set runs f and explains its error. What is set may be set inside values of
// files that are not this render's alone, so values is a copy of its own.
func (r *renderer) set(field, name string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Invalid, "helm_parameter_invalid", "the parameter %q cannot be set", clip(name)).WithField(field)
		}
	}()
	if err := f(); err != nil {
		return fault.New(fault.Invalid, "helm_parameter_invalid", "the parameter %q cannot be set: %s", clip(name), tidy(err.Error())).WithField(field)
	}
	return nil
}

// escapeCommas keeps commas of a value, as Argo CD does: "a,b" is one value and
// "{a,b}" a list.
func escapeCommas(v string) string {
	if strings.HasPrefix(v, "{") && strings.HasSuffix(v, "}") {
		return v
	}
	var b strings.Builder
	for i := range len(v) {
		if v[i] == ',' && (i == 0 || v[i-1] != '\\') {
			b.WriteByte('\\')
		}
		b.WriteByte(v[i])
	}
	return b.String()
}
