package kustomize

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/kustomize/kyaml/yaml/merge2"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/hub/render/kustomize/remote"
	"github.com/hawser-dev/hawser/hub/render/workspace"
)

// Chart is a Helm chart that a kustomization inflates.
type Chart struct {
	// Tree and Dir are where the chart is.
	Tree, Dir string
	// Where names the place in the kustomization, for messages.
	Where                  string
	ReleaseName, Namespace string
	// Values are YAML mappings over the chart's own; later ones win.
	Values [][]byte
	// KubeVersion and APIVersions are those of the cluster when empty.
	KubeVersion                       string
	APIVersions                       []string
	IncludeCRDs, SkipHooks, SkipTests bool
}

// Inflate renders a chart as `helm template` does, hooks included, and returns
// YAML documents.
type Inflate func(*workspace.Workspace, Chart) ([]byte, error)

// defaultNamespace is Helm's when nobody names one.
const defaultNamespace = "default"

// charts renders the charts of a kustomization and puts the manifests in their
// place, before the library looks for a command.
func (p *plan) charts(k *kustomization, n *node) error {
	if len(k.HelmCharts) == 0 {
		return nil
	}
	var globals types.HelmGlobals
	if k.HelmGlobals != nil {
		globals = *k.HelmGlobals
	}
	for i, chart := range k.HelmCharts {
		if chart.Namespace == "" {
			if chart.Namespace = k.Namespace; chart.Namespace == "" {
				chart.Namespace = n.inherited
				n.needsInherited = true
			}
		}
		if err := p.chart(k.at("helmCharts", i), globals, chart); err != nil {
			return err
		}
	}
	k.HelmCharts, k.HelmGlobals, k.changed = nil, nil, true
	return nil
}

// generatorChart does a chart that is written as a generator.
func (p *plan) generatorChart(a at, fields map[string]any) error {
	text, err := yaml.Marshal(fields)
	if err != nil {
		return a.wrong("the chart cannot be read")
	}
	var c struct {
		types.HelmGlobals
		types.HelmChart
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		return a.wrong("the chart cannot be read: %s", tidy(err.Error()))
	}
	return p.chart(a, c.HelmGlobals, c.HelmChart)
}

// chart renders one chart into a file next to the kustomization.
func (p *plan) chart(a at, globals types.HelmGlobals, c types.HelmChart) error {
	if p.inflate == nil {
		return a.wrong("this hub renders no charts")
	}
	if c.Name == "" {
		return a.wrong("the name of the chart is missing")
	}
	dir, err := p.chartDir(a, globals, c)
	if err != nil {
		return err
	}
	m, _, inTree, _ := p.t.split(dir)
	release, err := p.release(a, c)
	if err != nil {
		return err
	}
	values, err := p.values(a, dir, c)
	if err != nil {
		return err
	}
	in := Chart{
		Tree: m.tree, Dir: inTree, Where: a.k.name + ": " + a.field, ReleaseName: release, Namespace: c.Namespace, Values: values,
		KubeVersion: c.KubeVersion, APIVersions: c.ApiVersions, IncludeCRDs: c.IncludeCRDs, SkipHooks: c.SkipHooks, SkipTests: c.SkipTests,
	}
	if in.Namespace == "" {
		in.Namespace = defaultNamespace
	}
	if o := p.w.Source.Kustomize; o != nil {
		if in.KubeVersion == "" {
			in.KubeVersion = o.KubeVersion
		}
		if len(in.APIVersions) == 0 {
			in.APIVersions = o.APIVersions
		}
	}
	text, err := p.inflate(p.w, in)
	if err != nil {
		return a.explain(err)
	}
	objects, err := p.parse.NewResMapFromBytes(text)
	if err != nil {
		return a.wrong("what chart %q puts out is no list of objects: %s", c.Name, tidy(err.Error()))
	}
	if text, err = p.mark(a, c.Name, objects); err != nil {
		return err
	}
	a.k.Resources = append(a.k.Resources, p.add(a.k, text, addition{from: a.k.file}))
	return nil
}

// mark notes on each object that Helm made it: the namespace of a kustomization
// does not apply to it, because the chart knows it already.
func (p *plan) mark(a at, chart string, objects resmap.ResMap) ([]byte, error) {
	for _, r := range objects.Resources() {
		p.declared = append(p.declared, declaration{r.GetKind(), r.GetName(), a.k.name + " " + a.field + " (chart " + chart + ")"})
		if err := r.PipeE(kyaml.SetAnnotation(konfig.HelmGeneratedAnnotation, "true")); err != nil {
			return nil, a.wrong("chart %q: %s %q cannot be annotated", chart, r.GetKind(), r.GetName())
		}
	}
	text, err := objects.AsYaml()
	if err != nil {
		return nil, a.wrong("chart %q: its objects cannot be written", chart)
	}
	return text, nil
}

// chartDir finds a chart where the kustomization keeps charts, or fetches it.
func (p *plan) chartDir(a at, globals types.HelmGlobals, c types.HelmChart) (string, error) {
	home := globals.ChartHome
	if home == "" {
		home = types.HelmDefaultHome
	}
	local := path.Join(home, c.Name)
	if c.Version != "" && c.Repo != "" {
		local = path.Join(home, c.Name+"-"+c.Version, c.Name)
	}
	if path.IsAbs(home) {
		return "", a.escapes(home)
	}
	dir, confined := p.t.join(a.k.dir, local)
	if !confined {
		return "", a.escapes(local)
	}
	info, err := p.t.stat(dir)
	switch {
	case err != nil:
		return "", a.explain(err)
	case info.Exists && info.Dir:
		return dir, nil
	case c.Repo == "":
		return "", a.wrong("chart %q is not in %s", c.Name, p.t.name(dir)).WithFix("put the chart there, or name its repository in \"repo\"")
	}
	version := c.Version
	if version == "" && c.Devel {
		version = ">0.0.0-0"
	}
	fetched, err := p.w.Host.Chart(strings.TrimSuffix(c.Repo, "/"), c.Name, version)
	if err != nil {
		return "", a.explain(err)
	}
	dir, confined = p.t.join(p.t.mount(mount{tree: fetched.Tree, label: "chart " + c.Name}), fetched.Path)
	if !confined {
		return "", a.escapes(fetched.Path)
	}
	return dir, nil
}

// release is the name of the release. Helm would make one up from the clock
// where there is none, and then the objects would never be the same twice.
func (p *plan) release(a at, c types.HelmChart) (string, error) {
	switch {
	case c.NameTemplate == "" && c.ReleaseName != "":
		return c.ReleaseName, nil
	case c.NameTemplate == "":
		p.w.Warn("helm_release_unnamed", "%s: %s: the release of chart %q has no name, and gets that of the chart: set releaseName", a.k.name, a.field, c.Name)
		return path.Base(c.Name), nil
	case c.ReleaseName != "":
		return "", a.wrong("releaseName and nameTemplate are both set: keep one of them")
	}
	functions := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(functions, name)
	}
	t, err := template.New("nameTemplate").Funcs(functions).Parse(c.NameTemplate)
	var out strings.Builder
	if err == nil {
		err = t.Execute(&out, nil)
	}
	if err != nil {
		return "", a.wrong("nameTemplate: %s", tidy(err.Error()))
	}
	if strings.Contains(c.NameTemplate, "{{") {
		p.w.MayVary()
	}
	return out.String(), nil
}

// values are what helm would get with -f: the values file, which replaces the
// chart's own, with the inline values in it, and the additional files.
func (p *plan) values(a at, chartDir string, c types.HelmChart) ([][]byte, error) {
	switch c.ValuesMerge {
	case "", "override", "merge", "replace":
	default:
		return nil, a.wrong("valuesMerge %q is none of override, merge and replace", c.ValuesMerge)
	}
	var base []byte
	var err error
	if c.ValuesFile != "" {
		base, err = p.valuesFile(a, "valuesFile", c.ValuesFile)
	} else {
		own := path.Join(chartDir, "values.yaml")
		if p.t.Exists(own) {
			base, err = p.t.read(own)
		}
		if err == nil {
			err = p.t.failed
		}
	}
	if err != nil {
		return nil, err
	}
	if len(c.ValuesInline) > 0 {
		if base, err = mergeValues(base, c); err != nil {
			return nil, a.wrong("valuesInline: %s", tidy(err.Error()))
		}
	}
	out := [][]byte{base}
	for i, file := range c.AdditionalValuesFiles {
		text, err := p.valuesFile(a, fmt.Sprintf("additionalValuesFiles[%d]", i), file)
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

func (p *plan) valuesFile(a at, field, name string) ([]byte, error) {
	a.field += "." + field
	if remote.IsURL(name) {
		content, err := p.w.Host.Download(name)
		if err != nil {
			return nil, a.explain(err)
		}
		return content, nil
	}
	if err := p.file(a, &name); err != nil {
		return nil, err
	}
	return p.t.read(path.Join(a.k.dir, name))
}

// mergeValues puts the inline values over those of the file, or below them. The
// library's own merge is used, so that lists and nulls come out as there.
func mergeValues(file []byte, c types.HelmChart) ([]byte, error) {
	if c.ValuesMerge == "replace" {
		return yaml.Marshal(c.ValuesInline)
	}
	text := string(file)
	if strings.TrimSpace(text) == "" {
		text = "{}"
	}
	own, err := kyaml.Parse(text)
	if err != nil {
		return nil, err
	}
	inline, err := kyaml.FromMap(c.ValuesInline)
	if err != nil {
		return nil, err
	}
	over, under := inline, own
	if c.ValuesMerge == "merge" {
		over, under = own, inline
	}
	merged, err := merge2.Merge(over, under.Copy(), kyaml.MergeOptions{})
	if err != nil {
		return nil, err
	}
	values, err := merged.Map()
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(values)
}

// relativePath is a path of the build's file system from a directory of it.
func relativePath(dir, abs string) string {
	relative, err := filepath.Rel(dir, abs)
	if err != nil {
		return abs
	}
	return relative
}
